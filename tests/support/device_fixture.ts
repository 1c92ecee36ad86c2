/**
 * A device on a `MemoryDisk` under virtual time, for tests of the device and of what stands on it.
 *
 * @module
 */
import type { Chunk } from "@/sds/device/chunk.ts";
import { chunkKey } from "@/sds/device/chunk.ts";
import type { Device } from "@/sds/device/device.ts";
import type { DevicePg } from "@/sds/device/device_pg.ts";
import { formatDevice } from "@/sds/device/format_device.ts";
import { blockChecksum } from "@/sds/device/layout.ts";
import type { DeviceLimits } from "@/sds/device/limits.ts";
import { openDevice } from "@/sds/device/open_device.ts";
import type { Clock } from "@/shared/clock.ts";
import { BLOCK_BYTES } from "@/shared/constants.ts";
import { asId, type DeviceId, type NodeId, type PgId, type SdsId, type VtreeId } from "@/shared/ids.ts";
import type { ErrorCode } from "@/shared/errors.ts";
import { SeededRandom } from "@/tests/sim/seeded_random.ts";
import { VirtualTime } from "@/tests/sim/virtual_time.ts";
import { MemoryDisk } from "@/tests/support/memory_disk.ts";

export const IDENTITY = { clusterId: "cluster-a", sdsId: asId<SdsId>(1), deviceId: asId<DeviceId>(11) };
export const VTREE_ID = asId<VtreeId>(3);
export const NODE_ID = asId<NodeId>(5);

/** Small, so that tests meet every limit. */
const SMALL: Partial<DeviceLimits> = { cachedChunksMax: 4, slotReserveCount: 4, spareBytes: 2 ** 18 };

/** A formatted disk, and what opens devices on it. */
export class DeviceFixture {
  readonly time = new VirtualTime();
  readonly disk: MemoryDisk;
  readonly random: SeededRandom;
  readonly clock: Clock;
  /** Time of each asynchronous operation of the disk. */
  delayMs: number;

  private constructor(options: { readonly seed: string; readonly delayMs: number; readonly capacityBytes?: number }) {
    this.random = new SeededRandom(options.seed);
    this.clock = clockOf(this.time);
    this.delayMs = options.delayMs;
    this.disk = new MemoryDisk({
      ...(options.capacityBytes === undefined ? {} : { capacityBytes: options.capacityBytes }),
      ...(options.delayMs === 0 ? {} : { clock: this.clock, delayMs: () => this.delayMs }),
    });
  }

  /** Formats a device of `slotCount` slots. `delayMs`: time of each asynchronous operation of the disk; 0 needs no driving. */
  static async format(
    options: {
      readonly slotCount?: number;
      readonly seed?: string;
      readonly delayMs?: number;
      readonly diskBytes?: number;
    } = {},
  ): Promise<DeviceFixture> {
    const fixture = new DeviceFixture({
      seed: options.seed ?? "device",
      delayMs: options.delayMs ?? 0,
      ...(options.diskBytes === undefined ? {} : { capacityBytes: options.diskBytes }),
    });
    const capacityBytes = Math.ceil((options.slotCount ?? 16) / 0.97 * 2 ** 20);
    await fixture.drive(formatDevice({ disk: fixture.disk, ...IDENTITY, capacityBytes }));
    return fixture;
  }

  open(limits: Partial<DeviceLimits> = {}): Promise<Device> {
    const { disk, clock, random } = this;
    return this.drive(openDevice({ disk, identity: IDENTITY, clock, random, limits: { ...SMALL, ...limits } }));
  }

  /** Lets time go on until `promise` settles. @throws {Error} if it cannot any more, as after a crash of the disk */
  async drive<Value>(promise: Promise<Value>): Promise<Value> {
    let settled = false;
    const watched = promise.finally(() => settled = true);
    watched.catch(() => {});
    await this.time.run({ limitMs: this.time.nowMs + 600_000, done: () => settled || this.disk.hasCrashed });
    if (!settled) throw new Error("It does not end");
    return await watched;
  }

  /** Lets `durationMs` pass. */
  async advance(durationMs: number): Promise<void> {
    await this.time.run({ limitMs: this.time.nowMs + durationMs });
  }
}

function clockOf(time: VirtualTime): Clock {
  return {
    monotonicMs: () => time.nowMs,
    wallMs: () => time.nowMs,
    setTimer: (delayMs, callback) => time.after(delayMs, callback),
  };
}

/** The copy of group 1, made if it is missing. */
export async function groupOf(device: Device, pgId: number = 1): Promise<DevicePg> {
  const id = asId<PgId>(pgId);
  const found = device.pg(id);
  if (found !== undefined) return found;
  const pg = device.createPg(id, { epoch: 1, complete: true });
  await device.commitFull();
  return pg;
}

/** Chunks fall on regions as they would in a pool of one group. */
export function regionOfChunk(chunkIndex: number): number {
  return Math.floor(chunkIndex / 4) % 1024;
}

export function findChunk(device: Device, { pg, chunkIndex }: { pg: DevicePg; chunkIndex: number }): Chunk | undefined {
  return device.chunk(pg, chunkKey(NODE_ID, chunkIndex));
}

/** Does `action` as a write of the chunk, in the order that the device asks for, and resolves when it may be answered. */
export async function asWrite(
  device: Device,
  place: { readonly pg: DevicePg; readonly chunkIndex: number },
  action: (chunk: Chunk) => void,
): Promise<void> {
  const { pg, chunkIndex } = place;
  const region = regionOfChunk(chunkIndex);
  device.beginWrite(pg, region);
  try {
    await callback((done) => device.setIntent(pg, region, done));
    let chunk = findChunk(device, place);
    while (chunk === undefined) {
      chunk = device.createChunk(pg, { vtreeId: VTREE_ID, nodeId: NODE_ID, chunkIndex, region });
      if (chunk === undefined) await callback((done) => device.whenSlotReady(done));
    }
    action(chunk);
    await callback((done) => device.afterCommit(done));
  } finally {
    device.endWrite(pg, region);
  }
}

/** Writes blocks filled with the byte or 32-bit stamp `stamp`. */
export function writeStamp(
  device: Device,
  place: {
    readonly pg: DevicePg;
    readonly chunkIndex: number;
    readonly blockIndex: number;
    readonly blockCount?: number;
    readonly stamp: number;
  },
): Promise<void> {
  const data = stampedBlocks(place.blockCount ?? 1, place.stamp);
  const crcs = Uint32Array.from(
    { length: data.length / BLOCK_BYTES },
    (_, index) => blockChecksum(data.subarray(index * BLOCK_BYTES, (index + 1) * BLOCK_BYTES)),
  );
  return asWrite(device, place, (chunk) => {
    device.writeBlocks(chunk, { offsetBytes: place.blockIndex * BLOCK_BYTES, data, crcs, crcIndex: 0 });
  });
}

export function stampedBlocks(blockCount: number, stamp: number): Uint8Array<ArrayBuffer> {
  return new Uint8Array(new Uint32Array(blockCount * BLOCK_BYTES / 4).fill(stamp).buffer);
}

/** What a read of blocks of a chunk gives: the bytes, or the error. A chunk that is not stored reads as zeros. */
export function readBlocksOf(
  device: Device,
  place: {
    readonly pg: DevicePg;
    readonly chunkIndex: number;
    readonly blockIndex: number;
    readonly blockCount?: number;
  },
): Promise<Uint8Array<ArrayBuffer> | ErrorCode> {
  const into = new Uint8Array((place.blockCount ?? 1) * BLOCK_BYTES);
  const chunk = findChunk(device, place);
  if (chunk === undefined) return Promise.resolve(into);
  return new Promise((resolve) => {
    const offsetBytes = place.blockIndex * BLOCK_BYTES;
    const read = { offsetBytes, lengthBytes: into.length, into, intoOffset: 0 };
    device.readBlocks(chunk, read, (error) => resolve(error ?? into));
  });
}

async function callback(ask: (done: (error: ErrorCode | undefined) => void) => void): Promise<void> {
  const error = await new Promise<ErrorCode | undefined>((resolve) => ask(resolve));
  if (error !== undefined) throw new Error(error);
}
