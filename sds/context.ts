/**
 * What every part of an SDS needs, made once by `app.ts`: the capabilities, the times, and the directory of peers.
 *
 * @module
 */
import type { Peer, TokenKey } from "@/shared/api/sds.ts";
import type { BufferPool } from "@/shared/buffers.ts";
import type { Clock } from "@/shared/clock.ts";
import type { Guards } from "@/shared/guards.ts";
import type { HttpSend } from "@/shared/http_client.ts";
import type { DeviceId, SdsId } from "@/shared/ids.ts";
import type { Logger } from "@/shared/log.ts";
import type { Random } from "@/shared/random.ts";
import type { Transport } from "@/shared/transport.ts";
import type { MdmTime } from "@/sds/core/mdm_time.ts";
import type { Heart } from "@/sds/heart.ts";
import type { ScrubSettings } from "@/sds/replication/scrub.ts";

/** Times of replication, in ms; defaults in `shared/constants.ts`. */
export interface SdsTimes {
  readonly heartbeatMs: number;
  readonly leaseMs: number;
  readonly graceMs: number;
  readonly replicationTimeoutMs: number;
  readonly linkRetryMs: number;
  readonly sdsHeartbeatMs: number;
  readonly intentClearMs: number;
  readonly flushTimeoutMs: number;
  readonly stopMs: number;
}

/** Capabilities and settings of one SDS process. */
export interface SdsContext {
  readonly clock: Clock;
  readonly random: Random;
  readonly transport: Transport;
  readonly httpSend: HttpSend;
  readonly buffers: BufferPool;
  readonly log: Logger;
  readonly times: SdsTimes;
  /** What happens at a steady pace happens at its beats. */
  readonly heart: Heart;
  /** Bytes per second that joins of one primary may copy. */
  readonly rebuildBytesPerSecond: number;
  readonly scrub: ScrubSettings;
  /** Newest regions per group whose `resync` bit is not cleared (5.4). */
  readonly regionsKeptSet: number;
  readonly bootId: string;
  readonly hostId: string;
  readonly mdmTime: MdmTime;
  readonly peers: PeerDirectory;
  readonly keys: SdsKeys;
  /** All on, but under a simulation that shows what each is for. */
  readonly guards: Guards;
}

/** Where other SDSs are, as the MDM told last. */
export class PeerDirectory {
  #byDevice = new Map<DeviceId, Peer>();

  replace(peers: readonly Peer[]): void {
    this.#byDevice = new Map(peers.flatMap((peer) => peer.deviceIds.map((deviceId) => [deviceId, peer] as const)));
  }

  /** Every peer, in the MDM's order. */
  all(): readonly Peer[] {
    return [...new Set(this.#byDevice.values())];
  }

  /** The SDS that holds a device; undefined while the MDM has not told. */
  ofDevice(deviceId: DeviceId): Peer | undefined {
    return this.#byDevice.get(deviceId);
  }
}

/** Secrets of this SDS: its node key, and what the MDM hands every SDS. */
export class SdsKeys {
  sdsId: SdsId | undefined;
  nodeKeyHex = "";
  configKeyHex = "";
  clusterId = "";
  tokenKeys: ReadonlyMap<number, TokenKey> = new Map();

  setTokenKeys(keys: readonly TokenKey[]): void {
    this.tokenKeys = new Map(keys.map((key) => [key.keyId, key]));
  }
}
