import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { DATA_FILE, SLOT_BYTES } from "@/sds/device/layout.ts";
import { BLOCK_BYTES } from "@/shared/constants.ts";
import { StorageError } from "@/shared/errors.ts";
import { asId, type PgId } from "@/shared/ids.ts";
import {
  asWrite,
  DeviceFixture,
  findChunk,
  groupOf,
  NODE_ID,
  readBlocksOf,
  regionOfChunk,
  stampedBlocks,
  VTREE_ID,
  writeStamp,
} from "@/tests/support/device_fixture.ts";

async function codeOf(promise: Promise<unknown>): Promise<string> {
  const error = await assertRejects(() => promise, StorageError);
  return error.code;
}

Deno.test("Device keeps what was written over clean stops, and says that they were clean", async () => {
  const fixture = await DeviceFixture.format();
  for (const round of [1, 2, 3]) {
    const device = await fixture.open();
    assertEquals(device.incarnation.counter, round);
    assertEquals(device.wasClean, true);
    assertEquals(device.cleanFor?.counter, round - 1);
    const pg = await groupOf(device);
    for (let chunkIndex = 0; chunkIndex < round - 1; chunkIndex++) {
      const found = await readBlocksOf(device, { pg, chunkIndex, blockIndex: 254, blockCount: 2 });
      assertEquals(found, stampedBlocks(2, 100 + chunkIndex));
    }
    await writeStamp(device, { pg, chunkIndex: round - 1, blockIndex: 254, blockCount: 2, stamp: 99 + round });
    assertEquals(device.totals().usedBytes, round * SLOT_BYTES);
    assertEquals(device.listUnverified(pg, 10), []);
    await device.close({ clean: true });
  }
});

Deno.test("Device.close() without a clean stop leaves chunks of dirty regions unverified at the next start", async () => {
  const fixture = await DeviceFixture.format();
  const first = await fixture.open();
  await writeStamp(first, { pg: await groupOf(first), chunkIndex: 2, blockIndex: 0, stamp: 7 });
  await first.close({ clean: false });
  const device = await fixture.open();
  assertEquals(device.wasClean, false);
  assertEquals(device.cleanFor, undefined);
  const pg = await groupOf(device);
  assertEquals(device.listUnverified(pg, 10).map((chunk) => chunk.chunkIndex), [2]);
  const chunk = findChunk(device, { pg, chunkIndex: 2 })!;
  assertEquals(await readBlocksOf(device, { pg, chunkIndex: 2, blockIndex: 0 }), "not_ready");
  await Promise.all([device.acceptUnverified(chunk), device.acceptUnverified(chunk)]);
  assertEquals(device.listUnverified(pg, 10), []);
  assertEquals(await readBlocksOf(device, { pg, chunkIndex: 2, blockIndex: 0 }), stampedBlocks(1, 7));
  await device.close({ clean: true });
});

Deno.test("Device.readBlocks() gives zeros for blocks that were never written or trimmed", async () => {
  const fixture = await DeviceFixture.format();
  const device = await fixture.open();
  const pg = await groupOf(device);
  await writeStamp(device, { pg, chunkIndex: 0, blockIndex: 10, blockCount: 3, stamp: 9 });
  const range = { offsetBytes: 11 * BLOCK_BYTES, lengthBytes: BLOCK_BYTES };
  await asWrite(device, { pg, chunkIndex: 0 }, (chunk) => device.zeroBlocks(chunk, { ...range, keepAllocated: false }));
  const found = await readBlocksOf(device, { pg, chunkIndex: 0, blockIndex: 9, blockCount: 5 });
  const expected = new Uint8Array(5 * BLOCK_BYTES);
  expected.set(stampedBlocks(1, 9), BLOCK_BYTES);
  expected.set(stampedBlocks(1, 9), 3 * BLOCK_BYTES);
  assertEquals(found, expected);
  const { checksums } = findChunk(device, { pg, chunkIndex: 0 })!;
  assertEquals(checksums[11], 0);
  await asWrite(device, { pg, chunkIndex: 0 }, (chunk) => device.zeroBlocks(chunk, { ...range, keepAllocated: true }));
  assert(checksums[11] !== 0);
  assertEquals(await readBlocksOf(device, { pg, chunkIndex: 0, blockIndex: 9, blockCount: 5 }), expected);
  await device.close({ clean: true });
});

Deno.test("Device serves more chunks than it keeps in memory", async () => {
  const fixture = await DeviceFixture.format({ slotCount: 24 });
  const device = await fixture.open({ cachedChunksMax: 3 });
  const pg = await groupOf(device);
  for (let chunkIndex = 0; chunkIndex < 20; chunkIndex++) {
    await writeStamp(device, { pg, chunkIndex, blockIndex: chunkIndex, stamp: 1 + chunkIndex });
  }
  for (let round = 0; round < 2; round++) {
    for (let chunkIndex = 0; chunkIndex < 20; chunkIndex++) {
      const found = await readBlocksOf(device, { pg, chunkIndex, blockIndex: chunkIndex });
      assertEquals(found, stampedBlocks(1, 1 + chunkIndex));
      await writeStamp(device, { pg, chunkIndex, blockIndex: chunkIndex, stamp: 1 + chunkIndex });
    }
  }
  assertEquals(device.totals().cachedChunkCount, 3);
  await device.close({ clean: true });
});

Deno.test("Chunk.pin() keeps a chunk in memory; an evicted one is not used any more", async () => {
  const fixture = await DeviceFixture.format();
  const device = await fixture.open({ cachedChunksMax: 2 });
  const pg = await groupOf(device);
  await writeStamp(device, { pg, chunkIndex: 0, blockIndex: 0, stamp: 1 });
  await writeStamp(device, { pg, chunkIndex: 1, blockIndex: 0, stamp: 2 });
  const pinned = findChunk(device, { pg, chunkIndex: 0 })!;
  const other = findChunk(device, { pg, chunkIndex: 1 })!;
  pinned.pin();
  for (const chunkIndex of [2, 3, 4]) await writeStamp(device, { pg, chunkIndex, blockIndex: 0, stamp: 3 });
  assertEquals(findChunk(device, { pg, chunkIndex: 0 }), pinned);
  const read = { offsetBytes: 0, lengthBytes: BLOCK_BYTES, into: new Uint8Array(BLOCK_BYTES), intoOffset: 0 };
  assertThrows(() => device.readBlocks(other, read, () => {}), Error, "looked up again or pinned");
  pinned.unpin();
  await device.close({ clean: true });
});

Deno.test("Device.deleteChunk() makes the slot zeros and gives it to another chunk", async () => {
  const fixture = await DeviceFixture.format({ slotCount: 2 });
  const device = await fixture.open();
  const pg = await groupOf(device);
  await writeStamp(device, { pg, chunkIndex: 0, blockIndex: 3, stamp: 1 });
  await writeStamp(device, { pg, chunkIndex: 1, blockIndex: 3, stamp: 2 });
  await assertRejects(() => writeStamp(device, { pg, chunkIndex: 2, blockIndex: 0, stamp: 3 }), Error, "pool_full");
  const chunk = findChunk(device, { pg, chunkIndex: 0 })!;
  const { slot } = chunk;
  chunk.pin();
  await asWrite(device, { pg, chunkIndex: 0 }, (found) => device.deleteChunk(found));
  assertEquals(findChunk(device, { pg, chunkIndex: 0 }), undefined);
  await fixture.advance(5_000);
  const bytesOf = () => fixture.disk.peek(DATA_FILE, { positionBytes: slot * SLOT_BYTES, lengthBytes: SLOT_BYTES });
  assert(bytesOf().some((byte) => byte !== 0), "a pinned chunk's slot is not zeroed");
  chunk.unpin();
  await fixture.advance(5_000);
  assert(bytesOf().every((byte) => byte === 0));
  assertEquals(device.totals().freeSlotCount, 1);
  await fixture.drive(writeStamp(device, { pg, chunkIndex: 2, blockIndex: 9, stamp: 3 }));
  assertEquals(findChunk(device, { pg, chunkIndex: 2 })!.slot, slot);
  assertEquals(await readBlocksOf(device, { pg, chunkIndex: 2, blockIndex: 3 }), stampedBlocks(1, 0));
  await device.close({ clean: true });
});

Deno.test("Device.dropPg() deletes one group's chunks and leaves the other's", async () => {
  const fixture = await DeviceFixture.format();
  const device = await fixture.open();
  const [one, two] = [await groupOf(device, 1), await groupOf(device, 2)];
  for (const chunkIndex of [0, 1, 2]) await writeStamp(device, { pg: one, chunkIndex, blockIndex: 0, stamp: 1 });
  await writeStamp(device, { pg: two, chunkIndex: 0, blockIndex: 0, stamp: 2 });
  device.dropPg(one);
  const again = device.createPg(one.pgId, { epoch: 9, complete: false });
  await device.commitFull();
  assertEquals(device.listPgChunks(again, { afterKey: -1, limit: 10 }), []);
  assertEquals(await readBlocksOf(device, { pg: two, chunkIndex: 0, blockIndex: 0 }), stampedBlocks(1, 2));
  assertEquals(device.totals().usedBytes, SLOT_BYTES);
  await fixture.advance(5_000);
  assertEquals(device.totals().freeSlotCount, 15);
  await device.close({ clean: true });
  const reopened = await fixture.open();
  assertEquals(reopened.pg(one.pgId)?.epoch, 9);
  assertEquals(reopened.pg(one.pgId)?.complete, false);
  await reopened.close({ clean: true });
});

Deno.test("Device.listChunks() and listPgChunks() give keys in order, keyHash does not depend on the order of writes", async () => {
  const hashes: number[] = [];
  for (const order of [[9, 1, 4, 6], [6, 4, 9, 1]]) {
    const fixture = await DeviceFixture.format();
    const device = await fixture.open();
    const pg = await groupOf(device);
    for (const chunkIndex of order) await writeStamp(device, { pg, chunkIndex, blockIndex: 0, stamp: 1 });
    const indexes = (chunks: readonly { readonly chunkIndex: number }[]) => chunks.map((chunk) => chunk.chunkIndex);
    assertEquals(indexes(device.listChunks(pg, regionOfChunk(4))), [4, 6]);
    const firstPage = device.listPgChunks(pg, { afterKey: -1, limit: 3 });
    assertEquals(indexes(firstPage), [1, 4, 6]);
    const afterKey = findChunk(device, { pg, chunkIndex: 6 })!.key;
    assertEquals(indexes(device.listPgChunks(pg, { afterKey, limit: 3 })), [9]);
    hashes.push(pg.keyHash);
    device.deleteChunk(findChunk(device, { pg, chunkIndex: 9 })!);
    assert(pg.keyHash !== hashes.at(-1));
    await device.close({ clean: true });
    const reopened = await fixture.open();
    assertEquals(reopened.pg(pg.pgId)?.keyHash, pg.keyHash);
    assertEquals(reopened.pg(pg.pgId)?.chunkCount, 3);
    assertEquals([...reopened.pg(pg.pgId)?.nodeCounts ?? []], [[NODE_ID, 3]]);
    await reopened.close({ clean: true });
  }
  assertEquals(hashes[0], hashes[1]);
});

Deno.test("Device.readBlocks() finds a flipped bit in data, and many of them fail the device", async () => {
  const fixture = await DeviceFixture.format();
  const device = await fixture.open();
  const pg = await groupOf(device);
  await writeStamp(device, { pg, chunkIndex: 0, blockIndex: 0, blockCount: 16, stamp: 5 });
  const { slot } = findChunk(device, { pg, chunkIndex: 0 })!;
  const flip = (block: number) =>
    fixture.disk.flipBit(DATA_FILE, { positionBytes: slot * SLOT_BYTES + block * BLOCK_BYTES + 100, bit: 4 });
  flip(2);
  const place = { pg, chunkIndex: 0, blockIndex: 0 };
  assertEquals(await readBlocksOf(device, { ...place, blockCount: 16 }), "checksum_mismatch");
  assertEquals(await readBlocksOf(device, { ...place, blockCount: 2 }), stampedBlocks(2, 5));
  for (let count = 2; count <= 11; count++) {
    assertEquals(device.failed, undefined);
    // One place counts once.
    for (let again = 0; again < 20; again++) await readBlocksOf(device, { ...place, blockCount: 16 });
    flip(1 + count);
    await readBlocksOf(device, { ...place, blockIndex: 1 + count });
  }
  assertEquals(device.failed, "device_failed");
  await device.close({ clean: false });
});

Deno.test("Device.readBlocks() reads cold data off the event loop", async () => {
  const fixture = await DeviceFixture.format();
  const device = await fixture.open({ coldReadMs: 0 });
  const pg = await groupOf(device);
  await writeStamp(device, { pg, chunkIndex: 0, blockIndex: 0, stamp: 5 });
  const place = { pg, chunkIndex: 0, blockIndex: 0 };
  assertEquals(await readBlocksOf(device, place), stampedBlocks(1, 5));
  const chunk = findChunk(device, place)!;
  const into = new Uint8Array(BLOCK_BYTES);
  let done = false;
  device.readBlocks(chunk, { offsetBytes: 0, lengthBytes: BLOCK_BYTES, into, intoOffset: 0 }, () => done = true);
  assertEquals([done, chunk.isPinned], [false, true]);
  await fixture.advance(1);
  assertEquals([done, chunk.isPinned], [true, false]);
  assertEquals(into, stampedBlocks(1, 5));
  await device.close({ clean: true });
});

Deno.test("Device fails for ever at the first write or sync error, also for the next start (I22)", async (t) => {
  const cases = [
    { name: "EIO of a write of data", operations: ["write"], file: "data" },
    { name: "EIO of a sync of data", operations: ["sync"], file: "data" },
    { name: "EIO of a sync of the catalogue's log", operations: ["sync"], file: "catalogue.db-wal" },
    { name: "EIO of a write of checksums", operations: ["write"], file: "checksums" },
    { name: "EIO of a sync of intents", operations: ["sync"], file: "intents" },
  ] as const;
  for (const { name, operations, file } of cases) {
    await t.step(name, async () => {
      const fixture = await DeviceFixture.format();
      const device = await fixture.open();
      const failures: string[] = [];
      device.onFailed((failure) => failures.push(failure.code));
      const pg = await groupOf(device);
      await writeStamp(device, { pg, chunkIndex: 0, blockIndex: 0, stamp: 1 });
      fixture.disk.inject({ operations, file, times: 1, effect: "EIO" });
      const work = async () => {
        await writeStamp(device, { pg, chunkIndex: 8, blockIndex: 1, stamp: 2 });
        await device.sync();
      };
      await assertRejects(work);
      assertEquals(device.failed, "device_failed");
      assertEquals(failures, ["device_failed"]);
      assertEquals(await codeOf(device.sync()), "device_failed");
      assertEquals(await readBlocksOf(device, { pg, chunkIndex: 0, blockIndex: 0 }), "device_failed");
      await device.close({ clean: true });
      assertEquals(await codeOf(fixture.open()), "device_failed");
    });
  }
});

Deno.test("Device.sync() that does not end in time fails the device", async () => {
  const fixture = await DeviceFixture.format({ delayMs: 1 });
  const device = await fixture.open({ syncTimeoutMs: 30_000 });
  const pg = await fixture.drive(groupOf(device));
  await fixture.drive(writeStamp(device, { pg, chunkIndex: 0, blockIndex: 0, stamp: 1 }));
  fixture.delayMs = 50_000;
  assertEquals(await codeOf(fixture.drive(device.sync())), "device_failed");
  await fixture.drive(device.close({ clean: false }));
});

Deno.test("Device.sync() joins callers: those who ask while one runs share the next", async () => {
  const fixture = await DeviceFixture.format({ delayMs: 10 });
  const device = await fixture.open();
  const pg = await fixture.drive(groupOf(device));
  await fixture.drive(writeStamp(device, { pg, chunkIndex: 0, blockIndex: 0, stamp: 1 }));
  const ends: number[] = [];
  const ask = () => device.sync().then(() => void ends.push(fixture.time.nowMs));
  const first = ask();
  await fixture.advance(5);
  await fixture.drive(writeStamp(device, { pg, chunkIndex: 0, blockIndex: 1, stamp: 2 }));
  await fixture.drive(Promise.all([first, ask(), ask(), ask()]));
  assertEquals(new Set(ends).size, 2);
  assertEquals(device.totals().dirtyBytes, 0);
  await fixture.drive(device.close({ clean: true }));
});

Deno.test("Device syncs by itself after the set time, clears dirty regions, and then arms no timer", async () => {
  const fixture = await DeviceFixture.format();
  const device = await fixture.open();
  const pg = await groupOf(device);
  await writeStamp(device, { pg, chunkIndex: 0, blockIndex: 0, stamp: 1 });
  assert(device.totals().dirtyBytes > 0);
  await fixture.advance(10_001);
  assertEquals(device.totals().dirtyBytes, 0);
  assert(pg.intents.dirty[0] !== 0, "a region written within two rounds keeps its bit");
  await fixture.advance(30_000);
  assertEquals(pg.intents.dirty[0], 0);
  assert(pg.intents.resync[0] !== 0, "resync is cleared by the primary only");
  const ranCount = fixture.time.ranCount;
  await fixture.advance(3_600_000);
  assertEquals(fixture.time.ranCount, ranCount);
  assertEquals(device.clearResync(pg, [0, 1]), 1);
  await device.close({ clean: true });
});

Deno.test("Device syncs by itself when the set bytes were written", async () => {
  const fixture = await DeviceFixture.format();
  const device = await fixture.open({ backgroundSyncBytes: 8 * 2 ** 20 });
  const pg = await groupOf(device);
  const nowMs = fixture.time.nowMs;
  for (let index = 0; index < 40; index++) {
    await writeStamp(device, { pg, chunkIndex: index % 4, blockIndex: 0, blockCount: 256, stamp: 1 });
  }
  assert(device.totals().dirtyBytes < 9 * 2 ** 20);
  assertEquals(fixture.time.nowMs, nowMs);
  await device.close({ clean: true });
});

Deno.test("Device of a full file system refuses new chunks and still takes overwrites", async () => {
  const fixture = await DeviceFixture.format({ slotCount: 64, diskBytes: 5 * 2 ** 20 });
  const device = await fixture.open();
  const pg = await groupOf(device);
  const places: number[] = [];
  const fillUp = async () => {
    for (let chunkIndex = 0; chunkIndex < 64; chunkIndex++) {
      await fixture.drive(writeStamp(device, { pg, chunkIndex, blockIndex: 0, stamp: 1 }));
      places.push(chunkIndex);
    }
  };
  await assertRejects(fillUp, Error, "pool_full");
  assert(places.length >= 1 && places.length < 10, `${places.length} chunks`);
  for (const chunkIndex of places) await writeStamp(device, { pg, chunkIndex, blockIndex: 0, stamp: 2 });
  await fixture.drive(device.sync());
  assertEquals(device.failed, undefined);
  await fixture.drive(device.close({ clean: true }));
});

Deno.test("Device whose disk fills up fills what it has reserved, checksums included", async () => {
  const fixture = await DeviceFixture.format({ slotCount: 64 });
  const device = await fixture.open();
  const pg = await groupOf(device);
  await fixture.drive(device.sync());
  await fixture.time.run({ limitMs: fixture.time.nowMs + 1_000 });
  fixture.disk.fill(true);
  let count = 0;
  const fillUp = async () => {
    for (; count < 64; count++) {
      await fixture.drive(writeStamp(device, { pg, chunkIndex: count, blockIndex: 0, stamp: 1 }));
    }
  };
  await assertRejects(fillUp, Error, "pool_full");
  await fixture.drive(device.sync());
  assertEquals(device.failed, undefined);
  assert(count >= 1, "some slots were reserved");
  await fixture.drive(device.close({ clean: true }));
});

Deno.test("Device asserts that data is written only under a durable intent and a begun write (I7)", async () => {
  const fixture = await DeviceFixture.format();
  const device = await fixture.open();
  const pg = await groupOf(device);
  const id = { vtreeId: VTREE_ID, nodeId: NODE_ID, chunkIndex: 0, region: 0 };
  assertThrows(() => device.createChunk(pg, id), Error, "I7");
  await writeStamp(device, { pg, chunkIndex: 0, blockIndex: 0, stamp: 1 });
  const chunk = findChunk(device, { pg, chunkIndex: 0 })!;
  const write = { offsetBytes: 0, data: stampedBlocks(1, 2), crcs: Uint32Array.of(1), crcIndex: 0 };
  assertThrows(() => device.writeBlocks(chunk, write), Error, "a write begins before it changes data");
  assertThrows(() => device.storePg(pg, { epoch: 0, complete: true }), Error, "I1");
  await device.close({ clean: true });
});

Deno.test("Device.createPg() refuses a copy when the file system is full, and the device lives", async () => {
  const fixture = await DeviceFixture.format();
  const device = await fixture.open();
  fixture.disk.fill(true);
  const error = assertThrows(() => device.createPg(asId<PgId>(77), { epoch: 1, complete: false }), StorageError);
  assertEquals([error.code, device.failed, device.pg(asId<PgId>(77))], ["pool_full", undefined, undefined]);
  fixture.disk.fill(false);
  device.createPg(asId<PgId>(77), { epoch: 1, complete: false });
  await device.close({ clean: true });
});
