/**
 * What the MDM knows of a cluster of fake SDSs: groups with their epochs and primaries, one volume, tokens. Data is kept
 * once, for all SDSs: replication is not what is tested with it.
 *
 * @module
 */
import type { PgConfig } from "@/shared/api/pg.ts";
import type { SessionTokenAnswer, VolumeMap } from "@/shared/api/sdc.ts";
import { BLOCK_BYTES, CHUNK_BYTES } from "@/shared/constants.ts";
import { asId } from "@/shared/ids.ts";

/** A group as the MDM sees it. */
export interface FakeGroup {
  readonly pgId: number;
  epoch: number;
  primarySdsId: number;
  lossGeneration: number;
  memberCount: number;
}

/** Where a fake SDS listens. */
export interface FakeEndpoint {
  readonly sdsId: number;
  readonly host: string;
  dataPort: number;
  readonly keyHex: string;
}

/** A mutation that an SDS applied. */
export interface AppliedOperation {
  readonly sdsId: number;
  readonly lane: number;
  readonly kind: "write" | "trim" | "write_zeroes";
  readonly opSession: number;
  readonly opSeq: number;
  readonly epoch: number;
  readonly chunkIndex: number;
  readonly offsetBytes: number;
  readonly lengthBytes: number;
  readonly fua: boolean;
}

/** Number under which data of the volume is kept at the MDM. */
const VTREE_ID = 1;

/** See the module comment. */
export class FakeCluster {
  readonly volumeId: number;
  sizeBytes: number;
  readonly groups: FakeGroup[];
  readonly endpoints = new Map<number, FakeEndpoint>();
  readonly applied: AppliedOperation[] = [];
  /** Serial number of the newest token; SDSs refuse older ones when `oldestToken` was raised. */
  newestToken = 0;
  oldestToken = 1;
  mapCalls = 0;
  tokenCalls = 0;
  /** False: calls fail as if nobody listened. */
  mdmIsUp = true;
  readonly #chunks = new Map<number, Uint8Array>();
  readonly #written = new Map<number, Uint8Array>();

  constructor(options: { readonly pgCount: number; readonly sizeBytes: number; readonly sdsIds: readonly number[] }) {
    this.volumeId = 7;
    this.sizeBytes = options.sizeBytes;
    this.groups = Array.from({ length: options.pgCount }, (_, index) => ({
      pgId: 100 + index,
      epoch: 1,
      primarySdsId: options.sdsIds[index % options.sdsIds.length]!,
      lossGeneration: 0,
      memberCount: 1,
    }));
  }

  /** Makes another SDS primary of all groups of `from`, one epoch later. */
  failOver(from: number, to: number): void {
    for (const group of this.groups) {
      if (group.primarySdsId !== from) continue;
      group.primarySdsId = to;
      group.epoch++;
    }
  }

  group(pgId: number): FakeGroup | undefined {
    return this.groups[pgId - 100];
  }

  map(): VolumeMap {
    const endpoints = [...this.endpoints.values()];
    return {
      volumeId: asId(this.volumeId),
      vtreeId: asId(VTREE_ID),
      nodeId: asId(3),
      sizeBytes: this.sizeBytes,
      pgCount: this.groups.length,
      pgs: this.groups.map((group) => ({
        pgId: asId(group.pgId),
        epoch: asId(group.epoch),
        lossGeneration: group.lossGeneration,
        primaryDeviceId: asId(group.primarySdsId * 10),
        memberCount: group.memberCount,
      })),
      devices: endpoints.map(({ sdsId }) => ({ deviceId: asId(sdsId * 10), sdsId: asId(sdsId) })),
      sdss: endpoints.map(({ sdsId, host, dataPort, keyHex }) => ({ sdsId: asId(sdsId), host, dataPort, keyHex })),
    };
  }

  config(group: FakeGroup): PgConfig {
    const incarnation = { counter: 1, random: "0".repeat(16) };
    return {
      pgId: asId(group.pgId),
      poolId: asId(1),
      pgIndex: group.pgId - 100,
      pgCount: this.groups.length,
      epoch: asId(group.epoch),
      mdmTerm: 1,
      members: [{ deviceId: asId(group.primarySdsId * 10), sdsId: asId(group.primarySdsId), incarnation, bootId: "b" }],
      lossGeneration: group.lossGeneration,
      fresh: false,
      syncWrites: false,
      signature: "0".repeat(64),
    };
  }

  issueToken(): SessionTokenAnswer {
    this.newestToken++;
    return {
      token: `token-${this.newestToken}`,
      renewAfterMs: 30_000,
      accessMode: "readWrite",
      sizeBytes: this.sizeBytes,
    };
  }

  acceptsToken(text: string): boolean {
    const serial = Number(text.slice("token-".length));
    return text.startsWith("token-") && serial >= this.oldestToken && serial <= this.newestToken;
  }

  write(chunkIndex: number, offsetBytes: number, data: Uint8Array): void {
    this.chunk(chunkIndex).set(data, offsetBytes);
    const written = this.written(chunkIndex);
    const last = Math.floor((offsetBytes + data.length - 1) / BLOCK_BYTES);
    for (let block = Math.floor(offsetBytes / BLOCK_BYTES); block <= last; block++) {
      written[block >>> 3]! |= 1 << (block & 7);
    }
  }

  zero(chunkIndex: number, offsetBytes: number, lengthBytes: number): void {
    this.chunk(chunkIndex).fill(0, offsetBytes, offsetBytes + lengthBytes);
    const written = this.written(chunkIndex);
    const end = Math.floor((offsetBytes + lengthBytes) / BLOCK_BYTES);
    for (let block = Math.ceil(offsetBytes / BLOCK_BYTES); block < end; block++) {
      written[block >>> 3]! &= ~(1 << (block & 7));
    }
  }

  /** Bytes of a chunk, zeros at first. */
  chunk(chunkIndex: number): Uint8Array {
    const known = this.#chunks.get(chunkIndex);
    if (known !== undefined) return known;
    const made = new Uint8Array(CHUNK_BYTES);
    this.#chunks.set(chunkIndex, made);
    return made;
  }

  /** Which blocks of a chunk were written, one bit each. */
  written(chunkIndex: number): Uint8Array {
    const known = this.#written.get(chunkIndex);
    if (known !== undefined) return known;
    const made = new Uint8Array(CHUNK_BYTES / BLOCK_BYTES / 8);
    this.#written.set(chunkIndex, made);
    return made;
  }
}
