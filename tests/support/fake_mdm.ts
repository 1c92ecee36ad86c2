/**
 * The MDM as an SDC sees it, over a {@linkcode FakeCluster}: enrolment, sessions, mappings, maps, tokens. Signed calls are
 * checked as the real one checks them.
 *
 * @module
 */
import { type IoFailureReport, sdcHeartbeatCallSchema, type SdcMapping } from "@/shared/api/sdc.ts";
import { StorageError } from "@/shared/errors.ts";
import { signRequest, verifyRequest } from "@/shared/http/node_auth.ts";
import type { HttpAnswer, HttpRequest, HttpSend } from "@/shared/http_client.ts";
import { asId } from "@/shared/ids.ts";
import type { FakeCluster } from "@/tests/support/fake_cluster.ts";

/** What a new SDC must bring. */
export const FAKE_JOIN_TOKEN = "join-me";
const NODE_KEY_HEX = "5a".repeat(32);

/** See the module comment. */
export class FakeMdm {
  readonly cluster: FakeCluster;
  /** Undefined while no operator added the SDC. */
  sdcId: number | undefined = 9;
  sdcSession = 0;
  mappings: SdcMapping[];
  enrolCount = 0;
  /** What the SDC said of itself when it enrolled last. */
  metadata: unknown;
  registerCount = 0;
  heartbeatCount = 0;
  /** What heartbeats told. */
  readonly ioFailures: IoFailureReport[] = [];

  constructor(cluster: FakeCluster) {
    this.cluster = cluster;
    this.mappings = [{
      volumeId: asId(cluster.volumeId),
      volumeName: "demo",
      sizeBytes: cluster.sizeBytes,
      accessMode: "readWrite",
      mappingGeneration: 1,
    }];
  }

  /** Answers one request of the SDC. Rejects while the MDM is away. */
  readonly send: HttpSend = async (request) => {
    await Promise.resolve();
    if (!this.cluster.mdmIsUp) throw new Error("connection refused");
    try {
      return answerOf(200, this.#answer(request));
    } catch (error) {
      if (!(error instanceof StorageError)) throw error;
      return answerOf(409, { code: error.code, detail: error.message });
    }
  };

  /** Headers with which the MDM signs a call to the SDC. */
  signed(request: { method: string; path: string; body: string; componentId: string }): Record<string, string> {
    return signRequest({ ...request, nodeKeyHex: NODE_KEY_HEX });
  }

  #answer({ url, method, headers, body = "" }: HttpRequest): unknown {
    const { pathname } = new URL(url);
    if (pathname === "/discovery/register") return this.#enrol(JSON.parse(body));
    verifyRequest(new Headers(headers), { method, path: pathname, body, keyOf: () => NODE_KEY_HEX });
    const call = JSON.parse(body);
    switch (pathname) {
      case "/internal/v1/sdc/register":
        return this.#register();
      case "/internal/v1/sdc/heartbeat":
        this.heartbeatCount++;
        this.ioFailures.push(...sdcHeartbeatCallSchema.parse(call).ioFailures ?? []);
        return {
          registered: this.sdcId === undefined ? call.sdcSession === null : call.sdcSession === this.sdcSession,
          mappingVersion: 1,
          mappings: this.mappings,
        };
      case "/internal/v1/sdc/map":
        this.#requireGrant(call);
        this.cluster.mapCalls++;
        return this.cluster.map();
      case "/internal/v1/sdc/token":
        this.#requireGrant(call);
        this.cluster.tokenCalls++;
        return this.cluster.issueToken();
    }
    throw new StorageError("not_found", `Cannot ${method} ${pathname}`);
  }

  #enrol(call: { join_token?: string; auth_token?: string; metadata?: unknown }): unknown {
    if (call.join_token !== FAKE_JOIN_TOKEN && call.auth_token === undefined) {
      throw new StorageError("forbidden", "Cannot enrol: the join token is wrong");
    }
    this.enrolCount++;
    this.metadata = call.metadata;
    return { status: "registered", cluster_name: "fake", cluster_secret: NODE_KEY_HEX };
  }

  #register(): unknown {
    this.registerCount++;
    const base = { clusterName: "fake", mdmTerm: 1, mappingVersion: 1 };
    if (this.sdcId === undefined) return { ...base, sdcId: null, sdcSession: null, mappings: [] };
    this.sdcSession++;
    return { ...base, sdcId: this.sdcId, sdcSession: this.sdcSession, mappings: this.mappings };
  }

  #requireGrant(call: { sdcSession: number; volumeId: number }): void {
    if (call.sdcSession !== this.sdcSession) throw new StorageError("stale_session", "the session is not the newest");
    if (!this.mappings.some(({ volumeId }) => volumeId === call.volumeId)) {
      throw new StorageError("fenced", "the volume is not mapped");
    }
  }
}

function answerOf(status: number, value: unknown): HttpAnswer {
  return { status, body: JSON.stringify(value) };
}
