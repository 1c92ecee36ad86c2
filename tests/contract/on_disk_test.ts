/**
 * Golden bytes of a device's files. They were computed apart from the codecs; a change of them is a change of the format.
 */
import { assertEquals } from "@std/assert";
import { migrateCatalogue } from "@/sds/device/catalogue_schema.ts";
import { decodeIntentRecord, encodeIntentRecord } from "@/sds/device/intent_record.ts";
import {
  blockChecksum,
  CHECKSUM_PAGE_BYTES,
  CHECKSUMS_FILE,
  DATA_FILE,
  INTENT_RECORD_BYTES,
  SLOT_BYTES,
} from "@/sds/device/layout.ts";
import { decodeSuperblock, encodeSuperblock } from "@/sds/device/superblock.ts";
import { asId, type DeviceId, type PgId, type SdsId } from "@/shared/ids.ts";
import { DeviceFixture, findChunk, groupOf, writeStamp } from "@/tests/support/device_fixture.ts";
import { MemoryDisk } from "@/tests/support/memory_disk.ts";

const INCARNATION = { counter: 3, random: "0123456789abcdef" };
const SUPERBLOCK = {
  clusterId: "cluster-a",
  sdsId: asId<SdsId>(2),
  deviceId: asId<DeviceId>(7),
  slotCount: 993,
  generation: 5,
  incarnation: INCARNATION,
  cleanFor: INCARNATION,
  failed: false,
};
const SUPERBLOCK_HEAD = "50464c5844455631" + "00000001" + "000003e1" + "0000000000000005" + "0000000000000002" +
  "0000000000000007" + "0000000000000003" + "0123456789abcdef" + "0000000000000003" + "0123456789abcdef" + "00000001" +
  "00000009" + "636c75737465722d61";

Deno.test("encodeSuperblock() gives the golden bytes, decodeSuperblock() takes them back", () => {
  const bytes = encodeSuperblock(SUPERBLOCK);
  assertEquals(bytes.toHex(), SUPERBLOCK_HEAD.padEnd(2 * 4092, "0") + "93c4c38b");
  assertEquals(decodeSuperblock(bytes), SUPERBLOCK);
  for (const change of [{ cleanFor: undefined }, { failed: true }]) {
    assertEquals(decodeSuperblock(encodeSuperblock({ ...SUPERBLOCK, ...change })), { ...SUPERBLOCK, ...change });
  }
});

Deno.test("decodeSuperblock() names what is wrong", () => {
  const bytes = encodeSuperblock(SUPERBLOCK);
  assertEquals(decodeSuperblock(bytes.subarray(1)), "it has 4095 bytes instead of 4096");
  for (const [positionBytes, problem] of [[3, "magic is not PFLXDEV1"], [9, "crc does not match"]] as const) {
    const changed = bytes.slice();
    changed[positionBytes]! ^= 1;
    assertEquals(decodeSuperblock(changed), problem);
  }
});

Deno.test("encodeIntentRecord() gives the golden bytes, decodeIntentRecord() takes them back", () => {
  const resync = new Uint8Array(128);
  const dirty = new Uint8Array(128);
  // Regions 1, 5 and 1023; region 1 is dirty.
  resync[0] = 0x22;
  resync[127] = 0x80;
  dirty[0] = 0x02;
  const record = { pgId: asId<PgId>(9), generation: 4, resync, dirty };
  const bytes = encodeIntentRecord(record);
  const head = "5046494e" + "00000001" + "0000000000000009" + "0000000000000004";
  const bitmaps = "22".padEnd(2 * 127, "0") + "80" + "02".padEnd(2 * 128, "0");
  assertEquals(bytes.toHex(), (head.padEnd(2 * 64, "0") + bitmaps).padEnd(2 * 508, "0") + "09630c69");
  assertEquals(decodeIntentRecord(bytes), record);
  const changed = bytes.slice();
  changed[100]! ^= 4;
  assertEquals(decodeIntentRecord(changed), "crc does not match");
  assertEquals(decodeIntentRecord(new Uint8Array(INTENT_RECORD_BYTES)), "magic is not PFIN");
});

Deno.test("checksum pages hold CRC-32, little-endian, and never 0 for a block that was written", async () => {
  assertEquals(blockChecksum(new Uint8Array(4096)), 0xc71c0011);
  const fixture = await DeviceFixture.format();
  const device = await fixture.open();
  const pg = await groupOf(device);
  await writeStamp(device, { pg, chunkIndex: 0, blockIndex: 2, stamp: 0 });
  await writeStamp(device, { pg, chunkIndex: 1, blockIndex: 0, stamp: 0x01020304 });
  const [first, second] = [
    findChunk(device, { pg, chunkIndex: 0 })!.slot,
    findChunk(device, { pg, chunkIndex: 1 })!.slot,
  ];
  await device.close({ clean: true });
  const page = fixture.disk.peek(CHECKSUMS_FILE, {
    positionBytes: first * CHECKSUM_PAGE_BYTES,
    lengthBytes: CHECKSUM_PAGE_BYTES,
  });
  assertEquals(page.toHex(), "0000000000000000" + "11001cc7".padEnd(2 * 1016, "0"));
  const data = fixture.disk.peek(DATA_FILE, { positionBytes: second * SLOT_BYTES, lengthBytes: 8 });
  assertEquals(data.toHex(), "0403020104030201");
});

Deno.test("migrateCatalogue() makes the tables that the format names, and no others", () => {
  const database = new MemoryDisk().openDatabase("catalogue.db");
  migrateCatalogue(database);
  const tables = database.prepare("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name").all();
  assertEquals(tables.map((row) => row["name"]), ["chunk", "damaged", "migration", "pg", "reserved_slot", "scrub"]);
  const checksums = database.prepare("SELECT checksum FROM migration ORDER BY number").all();
  assertEquals(checksums.map((row) => row["checksum"]), [
    "42a3a08b46173cf97c58ac8d5b6a22db254bc0759bdb9692b2ed8441636ed190",
    "f54e3902e9dd738880c3a10651ae425baee44496d8453ed02cee27f684f342c7",
  ]);
  database.close();
});
