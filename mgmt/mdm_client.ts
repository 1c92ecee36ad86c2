/**
 * The calls that MGMT makes at the MDM, where it is enrolled as a component of its own.
 *
 * @module
 */
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

  /** Makes the MDM know this process. @throws {StorageError} when it does not answer or refuses. */
  register(): Promise<void> {
    return this.#node.enrol();
  }

  /** Tells the MDM that MGMT lives. @throws {StorageError} `not_found` when the MDM does not know it: register. */
  async heartbeat(): Promise<void> {
    await this.#node.call("POST", this.#heartbeatPath, {});
  }
}
