import { assertEquals, assertRejects } from "@std/assert";
import { DeviceHealth } from "@/sds/device/health.ts";
import { SyncedFile } from "@/sds/device/synced_file.ts";
import { StorageError } from "@/shared/errors.ts";
import { VirtualTime } from "@/tests/sim/virtual_time.ts";
import { MemoryDisk } from "@/tests/support/memory_disk.ts";

/** A file whose syncs take 10 ms, and the times at which callers were told. */
function slowFile() {
  const time = new VirtualTime();
  const clock = {
    monotonicMs: () => time.nowMs,
    wallMs: () => time.nowMs,
    setTimer: (delayMs: number, callback: () => void) => time.after(delayMs, callback),
  };
  const disk = new MemoryDisk({ clock, delayMs: () => 10 });
  const file = new SyncedFile(disk.open("data"), { name: "data", health: new DeviceHealth() });
  return { time, disk, file };
}

Deno.test("SyncedFile.sync() of an unchanged file needs no sync", async () => {
  const { disk, file } = slowFile();
  const before = disk.operationCount;
  await file.sync();
  assertEquals(disk.operationCount, before);
});

Deno.test("SyncedFile.sync() is shared by those who wait for the same content, the others share the next", async () => {
  const { time, disk, file } = slowFile();
  const ends: [string, number][] = [];
  const ask = (name: string) => file.sync().then(() => void ends.push([name, time.nowMs]));
  const before = disk.operationCount;
  file.touch();
  const first = [ask("a"), ask("b")];
  await time.run({ limitMs: 4 });
  file.touch();
  const second = [ask("c"), ask("d")];
  await time.run({ limitMs: 100 });
  await Promise.all([...first, ...second]);
  assertEquals(ends, [["a", 10], ["b", 10], ["c", 20], ["d", 20]]);
  assertEquals(disk.operationCount - before, 2);
  assertEquals(file.isUnsynced, false);
});

Deno.test("SyncedFile.sync() that fails is never tried again", async () => {
  const disk = new MemoryDisk();
  const health = new DeviceHealth();
  const file = new SyncedFile(disk.open("data"), { name: "data", health });
  disk.inject({ operations: ["sync"], times: 1, effect: "EIO" });
  file.touch();
  const error = await assertRejects(() => file.sync(), StorageError);
  assertEquals(error.code, "device_failed");
  const before = disk.operationCount;
  await assertRejects(() => file.sync(), StorageError);
  assertEquals(disk.operationCount, before);
});
