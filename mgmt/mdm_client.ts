/**
 * The calls that MGMT makes at the MDM. MGMT enrols as a component of its own with the join token, keeps the node key that it
 * is given, and signs everything with it.
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
  status: z.string(),
  component_id: z.string(),
  /** This node's own key; given at the first enrolment only. */
  cluster_secret: z.string().regex(/^[0-9a-f]{64}$/).nullish(),
  message: z.string().optional(),
});

/** Where the node key is kept. */
export interface KeyStore {
  load(): string | undefined;
  save(nodeKeyHex: string): void;
}

interface ClientParts {
  readonly send: HttpSend;
  readonly mdmUrl: string;
  readonly componentId: string;
  /** Under which others reach MGMT. */
  readonly address: string;
  readonly guiPort: number;
  readonly joinToken: string | undefined;
  readonly keys: KeyStore;
}

/** MGMT's side of the MDM's API. */
export class MdmClient {
  readonly #parts: ClientParts;
  #nodeKeyHex: string | undefined;

  constructor(parts: ClientParts) {
    this.#parts = parts;
    this.#nodeKeyHex = parts.keys.load();
  }

  /** `GET /api/v1/overview`, not checked yet. @throws {Error} when the MDM does not answer or refuses. */
  async overview(): Promise<unknown> {
    return bodyOf(await this.#call("GET", "/api/v1/overview"));
  }

  /**
   * Makes the MDM know this process: enrols it with the join token at the first time, and says hello with its own key later. An
   * MDM that does not know the key (it was set up anew) is enrolled at again. @throws {Error} when it does not answer or refuses.
   */
  async register(): Promise<void> {
    const { joinToken } = this.#parts;
    if (this.#nodeKeyHex === undefined) return await this.#registerWith({ join_token: joinToken });
    const proof = createHash("sha256").update(this.#nodeKeyHex + this.#parts.componentId).digest("hex");
    try {
      await this.#registerWith({ auth_token: proof });
    } catch (error) {
      const keyRefused = error instanceof StorageError && (error.code === "forbidden" || error.code === "unauthorized");
      if (!keyRefused || joinToken === undefined) throw error;
      await this.#registerWith({ join_token: joinToken });
    }
  }

  async #registerWith(proof: { join_token?: string | undefined; auth_token?: string }): Promise<void> {
    const { componentId, address, guiPort, keys } = this.#parts;
    const answer = registrationSchema.parse(bodyOf(
      await this.#call("POST", "/discovery/register", {
        component_id: componentId,
        component_type: "MGMT",
        address,
        ports: { mgmt: guiPort },
        metadata: {},
        ...proof,
      }),
    ));
    if (!answer.cluster_secret || answer.cluster_secret === this.#nodeKeyHex) return;
    keys.save(answer.cluster_secret);
    this.#nodeKeyHex = answer.cluster_secret;
  }

  /** Tells the MDM that MGMT lives. @throws {StorageError} `not_found` when the MDM does not know it: register. */
  async heartbeat(): Promise<void> {
    bodyOf(await this.#call("POST", `/discovery/heartbeat/${encodeURIComponent(this.#parts.componentId)}`, {}));
  }

  #call(method: "GET" | "POST", path: string, body?: unknown): Promise<HttpAnswer> {
    const { send, mdmUrl, componentId } = this.#parts;
    const text = body === undefined ? "" : JSON.stringify(body);
    return send({
      method,
      url: `${mdmUrl}${path}`,
      headers: {
        Accept: "application/json",
        ...(body !== undefined && { "Content-Type": "application/json" }),
        ...(this.#nodeKeyHex !== undefined &&
          signRequest({ method, path, body: text, nodeKeyHex: this.#nodeKeyHex, componentId })),
      },
      ...(body !== undefined && { body: text }),
      timeoutMs: MDM_TIMEOUT_MS,
    });
  }
}

/** The JSON of a good answer. @throws {StorageError} with the MDM's own words otherwise. */
function bodyOf(answer: HttpAnswer): unknown {
  let value: unknown;
  try {
    value = JSON.parse(answer.body);
  } catch (error) {
    throw new StorageError("unavailable", `the answer (status ${answer.status}) is not JSON`, { cause: error });
  }
  if (answer.status >= 200 && answer.status < 300) return value;
  const { code, detail } = z.object({ code: z.string().optional(), detail: z.unknown().optional() }).catch({}).parse(
    value,
  );
  const known: ErrorCode = code !== undefined && isErrorCode(code) ? code : codeOf(answer.status);
  throw new StorageError(known, typeof detail === "string" ? detail : `the MDM answered with status ${answer.status}`);
}

function codeOf(status: number): ErrorCode {
  if (status === 401) return "unauthorized";
  if (status === 403) return "forbidden";
  return status === 404 ? "not_found" : "unavailable";
}
