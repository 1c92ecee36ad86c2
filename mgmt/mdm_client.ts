/**
 * The calls that MGMT makes at the MDM, where it is enrolled as a component of its own.
 *
 * @module
 */
import { z } from "zod";
import type { HttpSend } from "@/shared/http_client.ts";
import { type KeyStore, NodeClient } from "@/shared/node_client.ts";

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

/** Longest wait for a change: the MDM may wait for servers before it answers. */
export const OPERATE_MS_MAX = 20_000;

/** What the MDM said to a change. */
export type OperatorAnswer =
  | { readonly kind: "ok"; readonly value: unknown }
  | {
    readonly kind: "refused";
    readonly status: number;
    readonly code: string;
    /** In its own words. */
    readonly detail: string;
    /** Which fields were wrong. */
    readonly errors: readonly { readonly path: string; readonly message: string }[];
  };

const problemSchema = z.object({
  code: z.string().catch(""),
  detail: z.string().catch(""),
  errors: z.array(z.object({ path: z.string(), message: z.string() })).catch([]),
}).catch({ code: "", detail: "", errors: [] });

/** MGMT's side of the MDM's API. */
export class MdmClient {
  readonly #node: NodeClient;
  readonly #heartbeatPath: string;

  constructor({ guiPort, ...parts }: ClientParts) {
    this.#node = new NodeClient({ ...parts, componentType: "MGMT", ports: { mgmt: guiPort } });
    this.#heartbeatPath = `/discovery/heartbeat/${encodeURIComponent(parts.componentId)}`;
  }

  /** `GET /api/v1/overview`, not checked yet. @throws {StorageError} when the MDM does not answer or refuses. */
  overview(): Promise<unknown> {
    return this.#node.call("GET", "/api/v1/overview");
  }

  /** Makes a change for a person. @throws {StorageError} `unavailable` when the MDM does not answer. */
  async operate(
    request: { readonly method: "GET" | "POST" | "DELETE"; readonly path: string; readonly body?: unknown },
  ): Promise<OperatorAnswer> {
    const { status, body } = await this.#node.exchange({ ...request, timeoutMs: OPERATE_MS_MAX });
    let value: unknown;
    try {
      value = JSON.parse(body);
    } catch {
      value = undefined; // a proxy's page, say: the status tells enough
    }
    if (status >= 200 && status < 300) return { kind: "ok", value };
    const { code, detail, errors } = problemSchema.parse(value);
    const words = detail === "" ? `The MDM answered with status ${status} and no reason` : detail;
    return { kind: "refused", status, code, detail: words, errors };
  }

  /** Makes the MDM know this process. @throws {StorageError} when it does not answer or refuses. */
  register(): Promise<void> {
    return this.#node.enrol();
  }

  /** Tells the MDM that MGMT lives. @throws {StorageError} `not_found` when the MDM does not know it: register. */
  async heartbeat(): Promise<void> {
    await this.#node.call("POST", this.#heartbeatPath, {});
  }
}
