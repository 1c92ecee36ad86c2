import { assert, assertEquals } from "@std/assert";
import { hasBit, setBitsOf } from "@/sds/device/bitmap.ts";
import { DevicePg } from "@/sds/device/device_pg.ts";
import { DeviceHealth } from "@/sds/device/health.ts";
import { IntentLog } from "@/sds/device/intent_log.ts";
import { INTENTS_FILE } from "@/sds/device/layout.ts";
import { ALL_GUARDS } from "@/shared/guards.ts";
import { SyncedFile } from "@/sds/device/synced_file.ts";
import { asId, type PgId } from "@/shared/ids.ts";
import { SeededRandom } from "@/tests/sim/seeded_random.ts";
import { MemoryDisk } from "@/tests/support/memory_disk.ts";

function openLog(disk: MemoryDisk) {
  const health = new DeviceHealth();
  const file = new SyncedFile(disk.open(INTENTS_FILE), { name: INTENTS_FILE, health });
  return { log: new IntentLog({ file, health, clearMs: 1_000, guards: ALL_GUARDS }), file, health };
}

function group(pgId: number, intentSlot: number): DevicePg {
  return new DevicePg(asId<PgId>(pgId), { intentSlot, epoch: 1, complete: true });
}

function set(log: IntentLog, place: { readonly pg: DevicePg; readonly region: number }): Promise<string | undefined> {
  return new Promise((resolve) => log.set(place.pg, place.region, resolve));
}

/** The group's bitmaps as the next start reads them. */
function reload(disk: MemoryDisk, pg: DevicePg): DevicePg {
  const again = new DevicePg(pg.pgId, { intentSlot: pg.intentSlot, epoch: 1, complete: true });
  openLog(disk).log.load(again, { wasClean: false });
  return again;
}

async function freshLog() {
  const disk = new MemoryDisk();
  const opened = openLog(disk);
  await disk.syncDirectory();
  return { disk, ...opened };
}

Deno.test("IntentLog.set() calls back when the bits are durable, and at once when they were", async () => {
  const { disk, log } = await freshLog();
  const pg = group(1, 0);
  log.create(pg);
  assertEquals(pg.hasIntent(5), false);
  assertEquals(await set(log, { pg, region: 5 }), undefined);
  assertEquals(pg.hasIntent(5), true);
  let called = false;
  log.set(pg, 5, () => called = true);
  assertEquals(called, true);
  for (let seed = 1; seed <= 10; seed++) {
    disk.powerLoss(new SeededRandom(String(seed)));
    const again = reload(disk, pg);
    assertEquals(setBitsOf(again.intents.dirty), [5]);
    assertEquals(setBitsOf(again.intents.resync), [5]);
    assertEquals(again.hasIntent(5), true);
  }
});

Deno.test("IntentLog.set() of many regions and groups in one turn costs one sync", async () => {
  const { disk, log, file } = await freshLog();
  const groups = [group(1, 0), group(2, 1), group(3, 2)];
  for (const pg of groups) log.create(pg);
  await file.sync();
  const before = disk.operationCount;
  await Promise.all(groups.flatMap((pg) => [1, 2, 3, 1000].map((region) => set(log, { pg, region }))));
  assertEquals(disk.operationCount - before, 3 + 1, "one write per group and one sync");
});

Deno.test("IntentLog clears dirty regions after two rounds without a write, never one with a write running", async () => {
  const { log } = await freshLog();
  const pg = group(1, 0);
  log.create(pg);
  for (const region of [1, 2, 3, 4]) await set(log, { pg, region });
  pg.beginWrite(2, log.round);
  pg.noteUnverified(3, 1);
  assertEquals(log.beginRound(0), true);
  pg.beginWrite(4, log.round);
  pg.endWrite(4, log.round);
  log.finishRound([pg]);
  assertEquals(setBitsOf(pg.intents.dirty), [2, 3, 4]);
  assertEquals(pg.hasIntent(1), false, "a cleared bit is not used");
  assertEquals(log.beginRound(500), false, "rounds are apart");
  assertEquals(log.beginRound(1_000), true);
  log.finishRound([pg]);
  assertEquals(setBitsOf(pg.intents.dirty), [2, 3, 4]);
  pg.endWrite(2, log.round);
  log.beginRound(2_000);
  log.finishRound([pg]);
  assertEquals(setBitsOf(pg.intents.dirty), [2, 3]);
  log.beginRound(3_000);
  log.finishRound([pg]);
  assertEquals(setBitsOf(pg.intents.dirty), [3]);
  assertEquals(setBitsOf(pg.intents.resync), [1, 2, 3, 4]);
  await log.settled();
});

Deno.test("IntentLog gives a bit back that was cleared and set again before the record was written", async () => {
  const { disk, log } = await freshLog();
  const pg = group(1, 0);
  log.create(pg);
  await set(log, { pg, region: 7 });
  log.clearAllDirty([pg]);
  assertEquals(pg.hasIntent(7), false);
  await set(log, { pg, region: 7 });
  disk.powerLoss(new SeededRandom("again"));
  assertEquals(reload(disk, pg).hasIntent(7), true);
});

Deno.test("IntentLog.clearResync() leaves regions that are dirty or being written", async () => {
  const { disk, log } = await freshLog();
  const pg = group(1, 0);
  log.create(pg);
  for (const region of [1, 2, 3]) await set(log, { pg, region });
  assertEquals(log.clearResync(pg, [1, 2, 3]), 0);
  log.clearAllDirty([pg]);
  pg.beginWrite(2, log.round);
  assertEquals(log.clearResync(pg, [1, 2, 9]), 1);
  assertEquals(setBitsOf(pg.intents.resync), [2, 3]);
  await log.settled();
  disk.crash();
  assertEquals(setBitsOf(reload(disk, pg).intents.resync), [2, 3]);
});

Deno.test("IntentLog.load() takes the newer valid record, and all bits when one has rotted or none is of the group", async () => {
  const { disk, log } = await freshLog();
  const pg = group(1, 3);
  log.create(pg);
  await set(log, { pg, region: 1 });
  await set(log, { pg, region: 2 });
  // Generations 1 and 2 are the first records, 3 and 4 those with bits; 4 stands in the first place.
  assertEquals(setBitsOf(reload(disk, pg).intents.dirty), [1, 2]);
  disk.flipBit(INTENTS_FILE, { positionBytes: 3 * 1024 + 70 });
  // What is left may be the older one.
  assertEquals(setBitsOf(reload(disk, pg).intents.resync).length, 1024);
  assertEquals(setBitsOf(reload(disk, pg).intents.dirty).length, 1024);
  disk.flipBit(INTENTS_FILE, { positionBytes: 3 * 1024 + 512 + 70 });
  assertEquals(setBitsOf(reload(disk, pg).intents.dirty).length, 1024);
  assertEquals(setBitsOf(reload(disk, group(9, 3)).intents.resync).length, 1024);
});

Deno.test("IntentLog.create() outlives the records of an earlier copy of the group", async () => {
  const { disk, log } = await freshLog();
  const old = group(1, 0);
  log.create(old);
  for (const region of [1, 2, 3, 4, 5]) await set(log, { pg: old, region });
  const pg = group(1, 0);
  log.create(pg);
  assertEquals(setBitsOf(reload(disk, pg).intents.resync), []);
  await set(log, { pg, region: 9 });
  assertEquals(setBitsOf(reload(disk, pg).intents.resync), [9]);
});

Deno.test("IntentLog.mergeResync() adds to resync alone, setAll() sets both", async () => {
  const { log } = await freshLog();
  const pg = group(1, 0);
  log.create(pg);
  const bitmap = new Uint8Array(128);
  bitmap[0] = 0b10;
  await new Promise((resolve) => log.mergeResync(pg, bitmap, resolve));
  assertEquals([setBitsOf(pg.intents.resync), setBitsOf(pg.intents.dirty)], [[1], []]);
  assert(!pg.hasIntent(1), "data is written only where both are set");
  await new Promise((resolve) => log.setAll(pg, resolve));
  assert(hasBit(pg.intents.dirty, 1023) && pg.hasIntent(1023));
});

Deno.test("IntentLog tells those who wait when the disk fails", async () => {
  const { disk, log, health } = await freshLog();
  const pg = group(1, 0);
  log.create(pg);
  disk.inject({ operations: ["sync"], effect: "EIO" });
  assertEquals(await set(log, { pg, region: 1 }), "device_failed");
  assertEquals(health.failed, "device_failed");
  assertEquals(await set(log, { pg, region: 2 }), "device_failed");
  assertEquals(pg.hasIntent(1), false);
});
