import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import { openDirectory } from "@/shared/disk_deno.ts";
import { DISK_CASES } from "@/tests/conformance/disk_cases.ts";
import { MemoryDisk } from "@/tests/support/memory_disk.ts";
import { SeededRandom } from "@/tests/sim/seeded_random.ts";

for (const { name, run } of DISK_CASES) {
  Deno.test(`MemoryDisk: ${name}`, async () => {
    const disk = new MemoryDisk();
    await run({ disk, reopen: () => disk });
  });

  Deno.test(`openDirectory(): ${name}`, async () => {
    const path = await Deno.makeTempDir();
    try {
      await run({ disk: openDirectory(path), reopen: () => openDirectory(path) });
    } finally {
      await Deno.remove(path, { recursive: true });
    }
  });
}

Deno.test("openDirectory() refuses names that are not plain", async () => {
  const path = await Deno.makeTempDir();
  try {
    const disk = openDirectory(path);
    for (const name of ["../other", "/etc/passwd", "a/b", ".hidden", ""]) {
      assertThrows(() => disk.open(name), Error, "is a plain file name");
    }
  } finally {
    await Deno.remove(path, { recursive: true });
  }
});

Deno.test("MemoryDisk.crash() keeps the page cache and committed rows, and ends old handles", async () => {
  const disk = new MemoryDisk();
  const file = disk.open("data");
  const database = disk.openDatabase("catalogue.db");
  file.writeSync(new Uint8Array(1024).fill(7), 0);
  assertEquals(file.tryLock(), true);
  database.exec("CREATE TABLE item (id INTEGER PRIMARY KEY) STRICT; INSERT INTO item VALUES (1)");
  database.exec("BEGIN; INSERT INTO item VALUES (2)");
  disk.crash();
  assertThrows(() => file.writeSync(new Uint8Array(1), 0), Error, "EBADF");
  await assertRejects(() => file.syncData(), Error, "EBADF");
  assertThrows(() => database.exec("COMMIT"));
  const again = disk.open("data");
  assertEquals(again.tryLock(), true);
  assertEquals(disk.peek("data", { positionBytes: 0, lengthBytes: 4096 }), new Uint8Array(1024).fill(7));
  const reopened = disk.openDatabase("catalogue.db");
  assertEquals(reopened.prepare("SELECT id FROM item").all().length, 1);
  reopened.close();
});

Deno.test("MemoryDisk.powerLoss() keeps what was synced, and of each unsynced sector the old or the new content", async () => {
  const seen = new Set<string>();
  for (let seed = 1; seed <= 20; seed++) {
    const disk = new MemoryDisk();
    const file = disk.open("data");
    file.writeSync(new Uint8Array(4096).fill(1), 0);
    await file.syncData();
    await disk.syncDirectory();
    file.writeSync(new Uint8Array(2048).fill(2), 1024);
    file.writeSync(new Uint8Array(4096).fill(3), 4096);
    disk.powerLoss(new SeededRandom(String(seed)));
    const found = disk.peek("data", { positionBytes: 0, lengthBytes: 8192 });
    const sectors = Array.from({ length: found.length / 512 }, (_, index) => found[index * 512]!);
    for (const [index, value] of sectors.entries()) {
      assertEquals(found.subarray(index * 512, index * 512 + 512), new Uint8Array(512).fill(value));
      const allowed = index >= 8 ? [0, 3] : index >= 2 && index < 6 ? [1, 2] : [1];
      assertEquals(allowed.includes(value), true, `sector ${index} holds ${value}`);
    }
    seen.add(sectors.join());
  }
  assertEquals(seen.size > 5, true, "the subsets differ");
});

Deno.test("MemoryDisk.powerLoss() undoes commits whose log was not synced, or keeps them", async () => {
  const counts = new Set<number>();
  for (let seed = 1; seed <= 20; seed++) {
    const disk = new MemoryDisk();
    const database = disk.openDatabase("catalogue.db");
    const log = disk.open("catalogue.db-wal");
    await disk.syncDirectory();
    database.exec("CREATE TABLE item (id INTEGER PRIMARY KEY) STRICT; INSERT INTO item VALUES (1)");
    await log.syncData();
    database.exec("INSERT INTO item VALUES (2)");
    disk.powerLoss(new SeededRandom(String(seed)));
    const again = disk.openDatabase("catalogue.db");
    counts.add(again.prepare("SELECT id FROM item").all().length);
    again.close();
  }
  assertEquals([...counts].sort(), [1, 2]);
});

Deno.test("MemoryDisk.powerLoss() leaves the first of the commits that were not synced", () => {
  const kept = new Set<string>();
  for (let seed = 1; seed <= 40; seed++) {
    const disk = new MemoryDisk();
    const database = disk.openDatabase("catalogue.db");
    database.exec("CREATE TABLE item (id INTEGER PRIMARY KEY) STRICT");
    for (let id = 1; id <= 5; id++) {
      database.exec("BEGIN IMMEDIATE");
      database.exec(`INSERT INTO item VALUES (${id})`);
      database.exec("COMMIT");
    }
    disk.syncDirectory();
    disk.powerLoss(new SeededRandom(String(seed)));
    if (!disk.exists("catalogue.db")) continue;
    const again = disk.openDatabase("catalogue.db");
    const hasTable = again.prepare("SELECT 1 FROM sqlite_schema").all().length > 0;
    kept.add(hasTable ? again.prepare("SELECT id FROM item").all().map((row) => row["id"]).join() : "no table");
    again.close();
  }
  assertEquals([...kept].sort(), ["1", "1,2", "1,2,3,4", "1,2,3,4,5", "no table"]);
});

Deno.test("MemoryDisk.inject() strikes the named operations, as often as it says", () => {
  const disk = new MemoryDisk();
  const file = disk.open("data");
  disk.inject({ operations: ["write"], file: "data", skip: 1, times: 1, effect: "EIO" });
  file.writeSync(new Uint8Array(1), 0);
  assertThrows(() => file.writeSync(new Uint8Array(1), 0), Error, "EIO");
  file.writeSync(new Uint8Array(1), 0);
});

Deno.test("MemoryDisk of a capacity refuses to grow beyond it and still takes overwrites", () => {
  const disk = new MemoryDisk({ capacityBytes: 8192 });
  const file = disk.open("data");
  file.writeSync(new Uint8Array(8192), 0);
  assertThrows(() => file.writeSync(new Uint8Array(1), 8192), Error, "ENOSPC");
  file.writeSync(new Uint8Array(4096), 4096);
});
