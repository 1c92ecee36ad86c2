/**
 * Failures as problem details (RFC 9457): one `onError` for every HTTP application. `detail` is also the field in which the
 * predecessor's clients look.
 *
 * @module
 */
import type { Context, ErrorHandler } from "hono";
import { HTTPException } from "hono/http-exception";
import { z } from "zod";
import { type ErrorCode, errorTraits, StorageError } from "@/shared/errors.ts";
import type { Logger } from "@/shared/log.ts";

/** Body of an answer that reports a failure, `application/problem+json`. */
export interface Problem {
  /** `urn:powerflex:error:` and the code. */
  readonly type: string;
  /** The code in words. */
  readonly title: string;
  readonly status: number;
  /** What was attempted, what is, what should be. */
  readonly detail: string;
  readonly code: ErrorCode;
  /** As in the header `X-Request-Id` and in the log. */
  readonly requestId: string;
  /** Which fields were wrong, for 422. */
  readonly errors?: readonly FieldProblem[];
}

/** One wrong field. */
export interface FieldProblem {
  /** Such as `devices.0.name`; empty for the body as a whole. */
  readonly path: string;
  readonly message: string;
}

/** Answers every thrown value as a problem. What is nobody's expectation becomes a bare 500 and goes to the log in full. */
export function problemHandler(log: Logger): ErrorHandler {
  return (error, c) => {
    const failure = failureOf(error);
    if (failure === undefined) {
      log.error("Request {method} {path} failed unexpectedly ({requestId}): {error}", {
        method: c.req.method,
        path: c.req.path,
        requestId: requestIdOf(c),
        error: error.stack ?? String(error),
      });
    }
    return problemAnswer(
      c,
      failure ?? { code: "internal", detail: "The request failed for a reason of our own; see the log" },
    );
  };
}

interface Failure {
  readonly code: ErrorCode;
  readonly detail: string;
  /** Where it differs from the code's own. */
  readonly status?: number;
  readonly errors?: readonly FieldProblem[];
}

function failureOf(error: unknown): Failure | undefined {
  if (error instanceof StorageError) return { code: error.code, detail: error.message };
  if (error instanceof z.ZodError) return invalidFields(error);
  if (error instanceof HTTPException && error.status < 500) {
    return { code: codeOfStatus(error.status), status: error.status, detail: error.message };
  }
  return undefined;
}

function invalidFields(error: z.ZodError): Failure {
  const errors = error.issues.map((issue) => ({ path: issue.path.map(String).join("."), message: issue.message }));
  const detail = errors.map(({ path, message }) => path === "" ? message : `${path}: ${message}`).join("; ");
  return { code: "invalid", detail: `Cannot accept the request: ${detail}`, errors };
}

const CODE_OF_STATUS: Readonly<Record<number, ErrorCode>> = {
  401: "unauthorized",
  403: "forbidden",
  404: "not_found",
  405: "wrong_method",
  409: "conflict",
  413: "too_large",
  422: "invalid",
};

function codeOfStatus(status: number): ErrorCode {
  return CODE_OF_STATUS[status] ?? "bad_request";
}

function problemAnswer(c: Context, failure: Failure): Response {
  const status = failure.status ?? errorTraits(failure.code).http;
  const problem: Problem = {
    type: `urn:powerflex:error:${failure.code}`,
    title: titleOf(failure.code),
    status,
    detail: failure.detail,
    code: failure.code,
    requestId: requestIdOf(c),
    ...(failure.errors && { errors: failure.errors }),
  };
  return c.newResponse(JSON.stringify(problem), {
    status: status as 400, // Hono's type lists the statuses it knows; the error catalogue has only such
    headers: { "Content-Type": "application/problem+json" },
  });
}

function titleOf(code: ErrorCode): string {
  const words = code.replaceAll("_", " ");
  return words[0]!.toUpperCase() + words.slice(1);
}

function requestIdOf(c: Context): string {
  const id: unknown = c.get("requestId");
  return typeof id === "string" ? id : "";
}
