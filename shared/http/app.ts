/**
 * What every HTTP application of the cluster shares: request ids, a body limit, problem details, refusals of wrong methods,
 * `/healthz`, `/readyz` and, with a registry, `/metrics` for Prometheus.
 *
 * @module
 */
import type { OpenAPIHono } from "@hono/zod-openapi";
import type { Context, Handler, Hono, MiddlewareHandler } from "hono";
import { bodyLimit } from "hono/body-limit";
import { requestId } from "hono/request-id";
import type { Registry } from "prom-client";
import { StorageError } from "@/shared/errors.ts";
import { describePlainRoute } from "@/shared/http/api.ts";
import { BODY_BYTES_MAX } from "@/shared/http/body.ts";
import { methodCheck } from "@/shared/http/methods.ts";
import { problemHandler } from "@/shared/http/problem.ts";
import type { Logger } from "@/shared/log.ts";
import { type Random, randomUuid, systemRandom } from "@/shared/random.ts";

/** What an application brings. */
export interface CommonRouteOptions {
  readonly log: Logger;
  /** Why the process is not ready to serve, or undefined when it is. Asked at each `/readyz`. */
  readonly notReady: () => string | undefined;
  /** Largest request body, in bytes. */
  readonly bodyBytesMax?: number;
  readonly metrics?: Registry;
  /** What `/metrics` answers to who does not ask for Prometheus text. Without it everybody gets the text. */
  readonly metricsOtherwise?: Handler;
  readonly random?: Random;
}

/** Adds the shared parts to `app`, before its own routes. */
// deno-lint-ignore no-explicit-any -- an application's variables and bindings are its own
export function installCommonRoutes(app: Hono<any, any, any>, options: CommonRouteOptions): void {
  const { log, notReady, bodyBytesMax = BODY_BYTES_MAX, metrics, metricsOtherwise, random = systemRandom } = options;
  app.onError(problemHandler(log));
  const methods = methodCheck(app);
  app.notFound(methods.notFound);
  app.use(requestId({ generator: () => randomUuid(random) }));
  app.use(methods.middleware);
  app.use(limitBody(bodyBytesMax));
  app.get("/healthz", (c) => c.json({ status: "ok" }));
  app.get("/readyz", (c) => {
    const reason = notReady();
    if (reason !== undefined) throw new StorageError("unavailable", `Not ready: ${reason}`);
    return c.json({ status: "ready" });
  });
  if (metrics) app.get("/metrics", metricsHandler(metrics, metricsOtherwise));
}

/** Refuses a larger body with 413, by its announced length or, where none is announced, as soon as more has come. */
function limitBody(bodyBytesMax: number): MiddlewareHandler {
  return bodyLimit({
    maxSize: bodyBytesMax,
    onError: () => {
      throw new StorageError("too_large", `Cannot accept the request: its body exceeds ${bodyBytesMax} bytes`);
    },
  });
}

function metricsHandler(metrics: Registry, otherwise: Handler | undefined): Handler {
  return async (c, next) => {
    if (otherwise && !asksForPrometheus(c)) return otherwise(c, next);
    return c.body(await metrics.metrics(), 200, { "Content-Type": metrics.contentType });
  };
}

function asksForPrometheus(c: Context): boolean {
  const accept = c.req.header("Accept") ?? "";
  return accept.includes("text/plain") || accept.includes("application/openmetrics-text");
}

/** Puts what {@linkcode installCommonRoutes} adds into the document of an application that has one. */
export function describeCommonRoutes(app: OpenAPIHono, options: { readonly metrics: boolean }): void {
  const common = { method: "get", tag: "Common" } as const;
  const json = "application/json";
  describePlainRoute(app, { ...common, path: "/healthz", summary: "Says that the process lives", contentType: json });
  describePlainRoute(app, { ...common, path: "/readyz", summary: "Says whether it can serve", contentType: json });
  if (!options.metrics) return;
  const summary = "Figures for Prometheus";
  describePlainRoute(app, { ...common, path: "/metrics", summary, contentType: "text/plain" });
}
