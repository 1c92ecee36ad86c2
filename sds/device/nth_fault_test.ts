/**
 * A device whose n-th call of the disk fails, for every n over one workload: no read ever gives what was not written, a device that
 * failed stays failed, and after a failure that it survived every answered change is there.
 */
import { assert, assertEquals } from "@std/assert";
import type { Device } from "@/sds/device/device.ts";
import { BLOCK_BYTES } from "@/shared/constants.ts";
import {
  asWrite,
  DeviceFixture,
  findChunk,
  groupOf,
  readBlocksOf,
  writeStamp,
} from "@/tests/support/device_fixture.ts";

/** Chunks of the workload, each in a region of its own. */
const CHUNKS = [0, 4, 8, 12] as const;
const LIMITS = { cachedChunksMax: 2, slotReserveCount: 3, coldReadMs: 0 };
const OPERATIONS = ["open", "read", "write", "sync", "truncate"] as const;

/** What block 0 of each chunk may hold: its last answered stamp, and those tried since; 0 is zeros. */
class Allowed {
  readonly #stamps = new Map<number, Set<number>>();

  of(chunkIndex: number): Set<number> {
    return this.#stamps.get(chunkIndex) ?? new Set([0]);
  }

  /** Runs a change; without an answer it may or may not have been made. */
  async change(chunkIndex: number, stamp: number, operation: () => Promise<void>): Promise<void> {
    this.#stamps.set(chunkIndex, new Set([...this.of(chunkIndex), stamp]));
    await tolerated(operation);
  }

  /** As `change`, and forgets what was before once it was answered. */
  async answered(chunkIndex: number, stamp: number, operation: () => Promise<void>): Promise<void> {
    await this.change(chunkIndex, stamp, async () => {
      await operation();
      this.#stamps.set(chunkIndex, new Set([stamp]));
    });
  }
}

/** Runs `operation`; an error is an answer, a broken invariant is not. */
async function tolerated<Value>(operation: () => Promise<Value>): Promise<Value | undefined> {
  try {
    return await operation();
  } catch (error) {
    if (error instanceof Error && error.message.startsWith("Invariant broken")) throw error;
    return undefined;
  }
}

async function work(fixture: DeviceFixture, allowed: Allowed, device: Device): Promise<void> {
  const pg = await tolerated(() => fixture.drive(groupOf(device)));
  if (pg === undefined) return;
  let stamp = 0;
  for (let round = 0; round < 2; round++) {
    for (const chunkIndex of CHUNKS) {
      const place = { pg, chunkIndex, blockIndex: 0 };
      const next = ++stamp;
      await allowed.answered(chunkIndex, next, () => fixture.drive(writeStamp(device, { ...place, stamp: next })));
    }
    await tolerated(() => fixture.drive(device.sync()));
    const remove = (chunkIndex: number) => async () => {
      const stored = findChunk(device, { pg, chunkIndex }) !== undefined;
      if (stored) await fixture.drive(asWrite(device, { pg, chunkIndex }, (chunk) => device.deleteChunk(chunk)));
    };
    await allowed.answered(CHUNKS[round]!, 0, remove(CHUNKS[round]!));
    await fixture.advance(12_000);
    await tolerated(() => read(fixture, { allowed, device }));
  }
}

/** Compares every chunk with what it may hold; errors of single blocks are answers too. */
async function read(
  fixture: DeviceFixture,
  options: { readonly allowed: Allowed; readonly device: Device },
): Promise<number> {
  const { allowed, device } = options;
  const pg = await fixture.drive(groupOf(device));
  let goodCount = 0;
  for (const chunkIndex of CHUNKS) {
    const found = await fixture.drive(readBlocksOf(device, { pg, chunkIndex, blockIndex: 0 }));
    if (typeof found === "string") continue;
    const words = new Uint32Array(found.buffer, 0, BLOCK_BYTES / 4);
    const value = words[0]!;
    if (!allowed.of(chunkIndex).has(value) || words.some((word) => word !== value)) {
      const may = [...allowed.of(chunkIndex)];
      throw new Error(`Invariant broken: chunk ${chunkIndex} holds ${value} instead of one of ${may}`);
    }
    goodCount++;
  }
  return goodCount;
}

/** One run; `reached` is false when the workload has fewer calls than `skip`. */
async function run(effect: "EIO" | "ENOSPC", skip: number): Promise<{ reached: boolean; failed: boolean }> {
  const fixture = await DeviceFixture.format({ slotCount: 16, delayMs: 1 });
  const allowed = new Allowed();
  const operations = effect === "EIO" ? OPERATIONS : ["write", "truncate"] as const;
  fixture.disk.inject({ operations, skip, times: 1, effect });
  const before = fixture.disk.operationCount;
  const device = await tolerated(() => fixture.open(LIMITS));
  let failed = false;
  if (device !== undefined) {
    await work(fixture, allowed, device);
    failed = device.failed !== undefined;
    await tolerated(() => fixture.drive(device.close({ clean: true })));
  }
  const reached = fixture.disk.operationCount > before + skip;
  fixture.disk.crash(); // also what an open that failed left behind
  const again = await tolerated(() => fixture.open(LIMITS));
  assert(!failed || again === undefined, "I22: a device that failed is not opened again");
  if (again !== undefined) {
    const pg = await fixture.drive(groupOf(again));
    for (const chunkIndex of CHUNKS) {
      const chunk = findChunk(again, { pg, chunkIndex });
      if (chunk?.unverified) await fixture.drive(again.acceptUnverified(chunk));
    }
    assertEquals(await read(fixture, { allowed, device: again }), CHUNKS.length, "every chunk is read");
    await fixture.drive(again.close({ clean: true }));
  }
  return { reached, failed: failed || again === undefined };
}

for (const effect of ["EIO", "ENOSPC"] as const) {
  Deno.test(`scenario: the n-th call of the disk ends with ${effect}, for every n, and no read is wrong`, async () => {
    let count = 0;
    let failedCount = 0;
    for (let skip = 0;; skip++) {
      const outcome = await run(effect, skip).catch((cause) => {
        throw new Error(`Call ${skip} of the disk ended with ${effect}`, { cause });
      });
      if (!outcome.reached) break;
      count++;
      if (outcome.failed) failedCount++;
    }
    console.log(`${effect}: ${count} calls failed one by one, ${failedCount} of them failed the device for good`);
    assert(count > 30, `${count} calls`);
  });
}
