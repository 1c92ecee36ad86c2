/**
 * Rot of a device: damaged blocks stay so, and bits that flip in the catalogue while the device rests are found.
 *
 * @module
 */
import { assertEquals, assertRejects } from "@std/assert";
import { CATALOGUE_FILE, DATA_FILE, INTENTS_FILE, SLOT_BYTES, SPARE_FILE } from "@/sds/device/layout.ts";
import { setBitsOf } from "@/sds/device/bitmap.ts";
import { BLOCK_BYTES } from "@/shared/constants.ts";
import { StorageError } from "@/shared/errors.ts";
import {
  asWrite,
  DeviceFixture,
  findChunk,
  groupOf,
  readBlocksOf,
  stampedBlocks,
  writeStamp,
} from "@/tests/support/device_fixture.ts";

Deno.test("Device.findBadBlocks() names each block that does not match, and a damaged block fails until it is written", async () => {
  const fixture = await DeviceFixture.format();
  let device = await fixture.open();
  let pg = await groupOf(device);
  await writeStamp(device, { pg, chunkIndex: 0, blockIndex: 0, blockCount: 16, stamp: 5 });
  const chunk = findChunk(device, { pg, chunkIndex: 0 })!;
  for (const block of [3, 9]) {
    fixture.disk.flipBit(DATA_FILE, { positionBytes: chunk.slot * SLOT_BYTES + block * BLOCK_BYTES, bit: 1 });
  }
  assertEquals(await device.findBadBlocks(chunk, { first: 0, end: 256 }), [3, 9]);
  await asWrite(device, { pg, chunkIndex: 0 }, (of) => void device.damage.mark(of, 3));
  assertEquals(device.totals().damagedBlockCount, 1);
  // After an unclean stop the chunk is taken as it is: rot counts as a torn write, a damaged block does not become good.
  await device.close({ clean: false });
  device = await fixture.open();
  pg = await groupOf(device);
  const again = findChunk(device, { pg, chunkIndex: 0 })!;
  assertEquals(again.unverified, true);
  await device.acceptUnverified(again);
  const place = { pg, chunkIndex: 0, blockIndex: 3 };
  assertEquals(await readBlocksOf(device, place), "checksum_mismatch");
  await writeStamp(device, { ...place, stamp: 7 });
  assertEquals(await readBlocksOf(device, place), stampedBlocks(1, 7));
  assertEquals(device.totals().damagedBlockCount, 0);
  await device.close({ clean: true });
});

Deno.test("openDevice() refuses a catalogue whose rows are not those of the clean stop", async () => {
  for (const sql of ["UPDATE chunk SET slot = 9", "DELETE FROM chunk", "UPDATE pg SET epoch = epoch + 1"]) {
    const fixture = await DeviceFixture.format();
    const device = await fixture.open();
    await writeStamp(device, { pg: await groupOf(device), chunkIndex: 0, blockIndex: 0, stamp: 5 });
    await device.close({ clean: true });
    const database = fixture.disk.openDatabase(CATALOGUE_FILE);
    database.exec("DELETE FROM reserved_slot WHERE slot = 9");
    database.exec(sql);
    database.close();
    const error = await assertRejects(() => fixture.open(), StorageError);
    assertEquals([error.code, error.message.includes("its rows are not those")], ["device_failed", true]);
  }
});

Deno.test("openDevice() that fails for a passing reason leaves the digest to the next", async () => {
  const fixture = await DeviceFixture.format();
  const device = await fixture.open();
  await writeStamp(device, { pg: await groupOf(device), chunkIndex: 0, blockIndex: 0, stamp: 5 });
  await device.close({ clean: true });
  const open = fixture.disk.open.bind(fixture.disk);
  fixture.disk.open = (name) => {
    if (name === SPARE_FILE) throw new Error("too many open files");
    return open(name);
  };
  await assertRejects(() => fixture.open(), StorageError, "too many open files");
  fixture.disk.open = open;
  const database = fixture.disk.openDatabase(CATALOGUE_FILE);
  database.exec("DELETE FROM reserved_slot WHERE slot = 9");
  database.exec("UPDATE chunk SET slot = 9");
  database.close();
  await assertRejects(() => fixture.open(), StorageError, "its rows are not those that the last stop left");
});

Deno.test("openDevice() has every region copied again when a record of intents has rotted at rest", async () => {
  const fixture = await DeviceFixture.format();
  let device = await fixture.open();
  const { intentSlot } = await groupOf(device);
  await device.close({ clean: true });
  fixture.disk.flipBit(INTENTS_FILE, { positionBytes: 2 * intentSlot * 512 + 80 });
  device = await fixture.open();
  const { intents } = await groupOf(device);
  assertEquals([setBitsOf(intents.resync).length, setBitsOf(intents.dirty).length], [1024, 0]);
  await device.close({ clean: true });
});
