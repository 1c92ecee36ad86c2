import { assertEquals, assertThrows } from "@std/assert";
import { Catalogue, CHECKPOINT_ROW_CHANGES } from "@/sds/device/catalogue.ts";
import { migrateCatalogue, SLOT_FREED, SLOT_IN_RESERVE } from "@/sds/device/catalogue_schema.ts";
import { DeviceHealth } from "@/sds/device/health.ts";
import { CATALOGUE_FILE, CATALOGUE_LOG_FILE } from "@/sds/device/layout.ts";
import { SyncedFile } from "@/sds/device/synced_file.ts";
import { openDirectory } from "@/shared/disk_deno.ts";
import type { Disk } from "@/shared/disk.ts";
import { StorageError } from "@/shared/errors.ts";
import { asId, type NodeId, type PgId, type VtreeId } from "@/shared/ids.ts";
import { MemoryDisk } from "@/tests/support/memory_disk.ts";

const PG_ID = asId<PgId>(1);

function openCatalogue(disk: Disk) {
  const database = disk.openDatabase(CATALOGUE_FILE);
  migrateCatalogue(database);
  const health = new DeviceHealth();
  const log = new SyncedFile(disk.open(CATALOGUE_LOG_FILE), { name: CATALOGUE_LOG_FILE, health });
  return { catalogue: new Catalogue(database, { disk, log, health }), database, health, log };
}

function row(chunkIndex: number, slot: number) {
  return {
    nodeId: asId<NodeId>(5),
    chunkIndex,
    vtreeId: asId<VtreeId>(3),
    region: chunkIndex % 4,
    slot,
    unverified: false,
  };
}

Deno.test("Catalogue commits the changes of one turn together, and answers after that", async () => {
  const { catalogue, database } = openCatalogue(new MemoryDisk());
  catalogue.putPg({ pgId: PG_ID, epoch: 1, complete: true, intentSlot: 0 });
  catalogue.insertChunk(PG_ID, row(0, 0));
  const seen: boolean[] = [];
  catalogue.afterCommit(() => seen.push(database.isTransaction));
  assertEquals([seen, database.isTransaction], [[], true]);
  await Promise.resolve();
  assertEquals([seen, database.isTransaction], [[false], false]);
  catalogue.afterCommit(() => seen.push(database.isTransaction));
  assertEquals(seen, [false, false], "at once without a transaction");
  await catalogue.close();
});

Deno.test("Catalogue.insertChunk() takes the slot's mark away, deleteChunk() sets it, in one transaction", async () => {
  const { catalogue } = openCatalogue(new MemoryDisk());
  const marked = (state: number) => catalogue.listMarkedSlots({ state, from: 0, limit: 10 });
  catalogue.reserveSlots([3, 1, 2]);
  assertEquals(marked(SLOT_IN_RESERVE), [1, 2, 3]);
  catalogue.insertChunk(PG_ID, row(0, 2));
  assertEquals(marked(SLOT_IN_RESERVE), [1, 3]);
  catalogue.deleteChunk(PG_ID, row(0, 2));
  assertEquals([marked(SLOT_IN_RESERVE), marked(SLOT_FREED)], [[1, 3], [2]]);
  await catalogue.close();
});

Deno.test("Catalogue that cannot be changed fails the device and tells those who wait", () => {
  const { catalogue, health } = openCatalogue(new MemoryDisk());
  catalogue.insertChunk(PG_ID, row(0, 2));
  const errors: (string | undefined)[] = [];
  catalogue.afterCommit((error) => errors.push(error));
  const error = assertThrows(() => catalogue.insertChunk(PG_ID, row(1, 2)), StorageError);
  assertEquals(error.code, "device_failed");
  catalogue.commit();
  assertEquals([errors, health.failed], [["device_failed"], "device_failed"]);
});

Deno.test("Catalogue.problem() finds a slot with two owners, one outside, and a chunk without its group", async (t) => {
  const cases = [
    { name: "outside", sql: "INSERT INTO reserved_slot VALUES (100, 0)", problem: "a slot is not below 100" },
    {
      name: "two owners",
      sql: "INSERT INTO reserved_slot VALUES (7, 1)",
      problem: "a slot of a chunk is marked as reserved",
    },
    { name: "no group", sql: "DELETE FROM pg", problem: "a chunk belongs to no group of the device" },
  ];
  for (const { name, sql, problem } of cases) {
    await t.step(name, async () => {
      const { catalogue, database } = openCatalogue(new MemoryDisk());
      catalogue.putPg({ pgId: PG_ID, epoch: 1, complete: true, intentSlot: 0 });
      catalogue.insertChunk(PG_ID, row(0, 7));
      catalogue.commit();
      assertEquals(catalogue.problem(100), undefined);
      database.exec(sql);
      assertEquals(catalogue.problem(100), problem);
      await catalogue.close();
    });
  }
});

Deno.test("migrateCatalogue() refuses a migration that is not ours and a newer catalogue", () => {
  for (const sql of ["UPDATE migration SET checksum = 'other'", "INSERT INTO migration VALUES (3, 'newer')"]) {
    const database = new MemoryDisk().openDatabase(CATALOGUE_FILE);
    migrateCatalogue(database);
    migrateCatalogue(database);
    database.exec(sql);
    const error = assertThrows(() => migrateCatalogue(database), StorageError);
    assertEquals(error.code, "device_failed");
    database.close();
  }
});

Deno.test("Catalogue.checkpointIfDue() empties the log of a real disk off the event loop", async () => {
  const path = await Deno.makeTempDir();
  try {
    const { catalogue, log } = openCatalogue(openDirectory(path));
    const sizes: number[] = [];
    for (let round = 0; round < 3; round++) {
      for (let index = 0; index < CHECKPOINT_ROW_CHANGES; index++) {
        const number = round * CHECKPOINT_ROW_CHANGES + index;
        catalogue.insertChunk(PG_ID, row(number, number));
      }
      await catalogue.commitFull();
      catalogue.checkpointIfDue();
      await catalogue.checkpointed();
      sizes.push(log.file.sizeBytes());
    }
    assertEquals(sizes[2]! < 1.5 * sizes[0]!, true, `the log is used anew: ${sizes}`);
    await catalogue.close();
    log.file.close();
  } finally {
    await Deno.remove(path, { recursive: true });
  }
});
