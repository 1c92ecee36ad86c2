/**
 * A component's calls at the MDM: enrolment with the join token at the first time, return visits with the node key that it was
 * given, and signed calls (architecture: authority, tokens, enrolment).
 *
 * @module
 */
import { createHash } from "node:crypto";
import { z } from "zod";
import { type ErrorCode, isErrorCode, StorageError } from "@/shared/errors.ts";
import { signRequest } from "@/shared/http/node_auth.ts";
import type { HttpAnswer, HttpSend } from "@/shared/http_client.ts";

/** An MDM that has not answered after this time is taken for away. */
export const MDM_TIMEOUT_MS = 3_000;

const registrationSchema = z.object({
  /** This node's own key; given when it is a new one. */
  cluster_secret: z.string().regex(/^[0-9a-f]{64}$/).nullish(),
});

/** Where the node key is kept: in the component's own directory. */
export interface KeyStore {
  load(): string | undefined;
  save(nodeKeyHex: string): void;
}

/** Who calls. */
export interface NodeClientOptions {
  readonly send: HttpSend;
  readonly mdmUrl: string;
  readonly componentId: string;
  readonly componentType: "SDS" | "SDC" | "MGMT";
  /** Host under which others reach this process, and its ports. */
  readonly address: string;
  readonly ports: { readonly control?: number; readonly data?: number; readonly mgmt?: number };
  readonly joinToken: string | undefined;
  readonly keys: KeyStore;
  readonly metadata?: Readonly<Record<string, unknown>>;
}

/** One component's side of the MDM's API. */
export class NodeClient {
  readonly #options: NodeClientOptions;
  #nodeKeyHex: string | undefined;

  constructor(options: NodeClientOptions) {
    this.#options = options;
    this.#nodeKeyHex = options.keys.load();
  }

  /** The key that signs this node's calls, and the MDM's calls to it; undefined before the first enrolment. */
  get nodeKeyHex(): string | undefined {
    return this.#nodeKeyHex;
  }

  /**
   * Makes the MDM know this process. An MDM that does not know the key (it was set up anew) is enrolled at again.
   * @throws {StorageError} when it does not answer or refuses.
   */
  async enrol(): Promise<void> {
    const { componentId, joinToken } = this.#options;
    if (this.#nodeKeyHex === undefined) return await this.#enrolWith({ join_token: joinToken });
    const proof = createHash("sha256").update(this.#nodeKeyHex + componentId).digest("hex");
    try {
      await this.#enrolWith({ auth_token: proof });
    } catch (error) {
      const keyRefused = error instanceof StorageError && (error.code === "forbidden" || error.code === "unauthorized");
      if (!keyRefused || joinToken === undefined) throw error;
      await this.#enrolWith({ join_token: joinToken });
    }
  }

  /** Sends a signed call and gives the JSON of a good answer. @throws {StorageError} with the MDM's own words otherwise. */
  async call(method: "GET" | "POST", path: string, body?: unknown): Promise<unknown> {
    return jsonOf(await this.exchange({ method, path, body }));
  }

  /**
   * Sends a signed call and gives the answer, good or bad. @param request.timeoutMs for calls that may take longer than
   * {@linkcode MDM_TIMEOUT_MS}. @throws {StorageError} `unavailable` when none came.
   */
  async exchange(
    { method, path, body, timeoutMs = MDM_TIMEOUT_MS }: {
      readonly method: "GET" | "POST" | "DELETE";
      readonly path: string;
      readonly body?: unknown;
      readonly timeoutMs?: number;
    },
  ): Promise<HttpAnswer> {
    const { send, mdmUrl, componentId } = this.#options;
    const text = body === undefined ? "" : JSON.stringify(body);
    const nodeKeyHex = this.#nodeKeyHex;
    try {
      return await send({
        method,
        url: `${mdmUrl}${path}`,
        headers: {
          Accept: "application/json",
          ...(body !== undefined && { "Content-Type": "application/json" }),
          ...(nodeKeyHex !== undefined && signRequest({ method, path, body: text, nodeKeyHex, componentId })),
        },
        ...(body !== undefined && { body: text }),
        timeoutMs,
      });
    } catch (cause) {
      const reason = cause instanceof Error ? cause.message : String(cause);
      throw new StorageError("unavailable", `Cannot reach the MDM at ${mdmUrl}: ${reason}`, { cause });
    }
  }

  async #enrolWith(proof: { join_token?: string | undefined; auth_token?: string }): Promise<void> {
    const { componentId, componentType, address, ports, keys, metadata = {} } = this.#options;
    const body = { component_id: componentId, component_type: componentType, address, ports, metadata, ...proof };
    const answer = registrationSchema.parse(await this.call("POST", "/discovery/register", body));
    if (!answer.cluster_secret || answer.cluster_secret === this.#nodeKeyHex) return;
    keys.save(answer.cluster_secret);
    this.#nodeKeyHex = answer.cluster_secret;
  }
}

/** The JSON of a good answer. @throws {StorageError} with the MDM's own words otherwise. */
function jsonOf(answer: HttpAnswer): unknown {
  let value: unknown;
  try {
    value = JSON.parse(answer.body);
  } catch (cause) {
    throw new StorageError("unavailable", `the MDM's answer (status ${answer.status}) is not JSON`, { cause });
  }
  if (answer.status >= 200 && answer.status < 300) return value;
  const problem = z.object({ code: z.string().optional(), detail: z.unknown().optional() }).catch({}).parse(value);
  const { code, detail } = problem;
  const known: ErrorCode = code !== undefined && isErrorCode(code) ? code : codeOf(answer.status);
  throw new StorageError(known, typeof detail === "string" ? detail : `the MDM answered with status ${answer.status}`);
}

function codeOf(status: number): ErrorCode {
  if (status === 401) return "unauthorized";
  if (status === 403) return "forbidden";
  return status === 404 ? "not_found" : "unavailable";
}
