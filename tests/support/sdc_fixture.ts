/**
 * A volume of the SDC over fake SDSs, on a fake clock and a memory transport.
 *
 * @module
 */
import type { BlockOperation, BlockRequest } from "@/sdc/block_device.ts";
import type { SdcContext } from "@/sdc/context.ts";
import { RemoteVolume } from "@/sdc/remote/remote_volume.ts";
import { SdsPeers } from "@/sdc/remote/sds_peer.ts";
import type { VolumeCalls } from "@/sdc/remote/volume_calls.ts";
import type { IoFailure } from "@/sdc/remote/volume_events.ts";
import { type SessionScope, VolumeLink } from "@/sdc/remote/volume_link.ts";
import { BufferPool } from "@/shared/buffers.ts";
import { TIMES } from "@/shared/constants.ts";
import { type ErrorCode, StorageError } from "@/shared/errors.ts";
import { asId } from "@/shared/ids.ts";
import { logger } from "@/shared/log.ts";
import type { Random } from "@/shared/random.ts";
import { FakeClock } from "@/tests/support/fake_clock.ts";
import { FakeCluster } from "@/tests/support/fake_cluster.ts";
import { FakeSds } from "@/tests/support/fake_sds.ts";
import { MemoryTransport } from "@/tests/support/memory_transport.ts";

/** Session under which the fixture's SDC is registered. */
export const FIXTURE_SESSION = 5;

/** The same numbers each time: bytes count up, jitter is in the middle. */
export function plainRandom(): Random {
  let next = 0;
  return {
    bytes: (count) => Uint8Array.from({ length: count }, () => next = (next + 1) % 256),
    fraction: () => 0.5,
  };
}

/** What a test changes. */
export interface SdcFixtureOptions {
  readonly sdsCount?: number;
  readonly pgCount?: number;
  readonly sizeBytes?: number;
  readonly queueDepth?: number;
  readonly ioGiveUpMs?: number;
  /** Kept generations by pgId, as if the volume had been attached before. */
  readonly kept?: ReadonlyMap<number, number>;
}

/** See the module comment. */
export class SdcFixture implements AsyncDisposable {
  readonly clock = new FakeClock();
  readonly transport = new MemoryTransport();
  readonly cluster: FakeCluster;
  readonly sdss: readonly FakeSds[];
  readonly context: SdcContext;
  readonly peers: SdsPeers;
  readonly volume: RemoteVolume;
  readonly failures: IoFailure[] = [];
  fencedCount = 0;
  /** Generations that the volume asked to keep, by pgId. */
  readonly kept: Map<number, number>;

  constructor(options: SdcFixtureOptions = {}) {
    const { sdsCount = 2, pgCount = 4, sizeBytes = 16 * 1024 * 1024, queueDepth = 256 } = options;
    const random = plainRandom();
    const sdsIds = Array.from({ length: sdsCount }, (_, index) => index + 1);
    this.cluster = new FakeCluster({ pgCount, sizeBytes, sdsIds });
    const parts = { cluster: this.cluster, transport: this.transport, clock: this.clock, random };
    this.sdss = sdsIds.map((sdsId) => new FakeSds({ ...parts, sdsId }));
    this.context = {
      clock: this.clock,
      random,
      transport: this.transport,
      buffers: new BufferPool(),
      log: logger("sdc"),
      times: { ...TIMES, ioGiveUpMs: options.ioGiveUpMs ?? TIMES.ioGiveUpMs },
      queueDepth,
    };
    this.kept = new Map(options.kept);
    const identity = { sdcId: asId<never>(9), sdcSession: asId<never>(FIXTURE_SESSION) };
    this.peers = new SdsPeers(this.context, identity);
    let opSeq = 0;
    const session: SessionScope = { peers: this.peers, opSession: FIXTURE_SESSION, nextOpSeq: () => ++opSeq };
    this.volume = new RemoteVolume(this.context, {
      name: "vol-7",
      link: new VolumeLink(this.context, { calls: callsOf(this.cluster), session: () => session }),
      events: {
        keptGenerations: () => new Map(this.kept),
        keepGenerations: (generations) => {
          for (const { pgId, lossGeneration } of generations) this.kept.set(pgId, lossGeneration);
        },
        ioFailed: (failure) => this.failures.push(failure),
        fenced: () => this.fencedCount++,
      },
    });
  }

  sds(sdsId: number): FakeSds {
    return this.sdss[sdsId - 1]!;
  }

  /** Chunks of the volume whose group has this SDS as primary, in order. */
  chunksAt(sdsId: number): number[] {
    const chunkCount = this.cluster.sizeBytes / 1048576;
    return Array.from({ length: chunkCount }, (_, chunk) => chunk).filter((chunk) =>
      this.groupOfChunk(chunk).primarySdsId === sdsId
    );
  }

  groupOfChunk(chunkIndex: number) {
    // baseOf(1) modulo a power of two up to 16: SHA-256 of "1" begins 6b86b273.
    return this.cluster.groups[(0x6b86b273 + chunkIndex) % this.cluster.groups.length]!;
  }

  /** Starts a request; `outcome` is set when it completes. */
  submit(operation: BlockOperation, offsetBytes = 0, options: RequestOptions = {}): Submitted {
    const { data = new Uint8Array(0), lengthBytes = data.length } = options;
    const submitted: Submitted = { outcome: undefined, data };
    const request: BlockRequest = {
      operation,
      offsetBytes,
      lengthBytes,
      forceUnitAccess: options.forceUnitAccess ?? false,
      noHole: options.noHole ?? false,
      data,
      complete(error) {
        if (submitted.outcome !== undefined) throw new Error("completed twice");
        submitted.outcome = error ?? "ok";
        options.onComplete?.();
      },
    };
    this.volume.submit(request);
    return submitted;
  }

  write(offsetBytes: number, data: Uint8Array): Submitted {
    return this.submit("write", offsetBytes, { data });
  }

  read(offsetBytes: number, lengthBytes: number): Submitted {
    return this.submit("read", offsetBytes, { data: new Uint8Array(lengthBytes) });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.volume.stop("shutting_down");
    await this.peers.close();
    await Promise.all(this.sdss.map((sds) => sds.stop()));
  }
}

/** What a request carries besides its place. */
export interface RequestOptions {
  readonly data?: Uint8Array;
  readonly lengthBytes?: number;
  readonly forceUnitAccess?: boolean;
  readonly noHole?: boolean;
  readonly onComplete?: () => void;
}

/** A request under way. */
export interface Submitted {
  outcome: ErrorCode | "ok" | undefined;
  readonly data: Uint8Array;
}

/** Calls that a fake cluster answers; they fail while its MDM is away. */
export function callsOf(cluster: FakeCluster): VolumeCalls {
  const ask = async <Answer>(answer: () => Answer): Promise<Answer> => {
    await Promise.resolve();
    if (!cluster.mdmIsUp) throw new StorageError("unavailable", "the MDM is away");
    return answer();
  };
  return {
    fetchMap: () =>
      ask(() => {
        cluster.mapCalls++;
        return cluster.map();
      }),
    fetchToken: () =>
      ask(() => {
        cluster.tokenCalls++;
        return cluster.issueToken();
      }),
  };
}
