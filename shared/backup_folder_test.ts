import { assertEquals, assertRejects } from "@std/assert";
import { BACKUPS_KEPT } from "@/shared/backup.ts";
import { BackupFolder } from "@/shared/backup_folder.ts";
import { StorageError } from "@/shared/errors.ts";
import { FakeClock } from "@/tests/support/fake_clock.ts";

Deno.test("BackupFolder keeps the newest, refuses a second at once, leaves nothing of one that failed", async () => {
  const directory = Deno.makeTempDirSync();
  const clock = new FakeClock();
  const folder = new BackupFolder(`${directory}/backups`, clock);
  const names = () => [...Deno.readDirSync(`${directory}/backups`)].length;
  const write = (path: string) => {
    Deno.writeTextFileSync(`${path}/a.db`, "12345");
    return Promise.resolve(["a.db"]);
  };
  try {
    for (let count = 0; count < BACKUPS_KEPT + 2; count++) {
      await clock.advance(1);
      const report = await folder.make(write);
      assertEquals(report.files, [{ name: "a.db", sizeBytes: 5 }]);
      assertEquals(Deno.readTextFileSync(`${report.path}/a.db`), "12345");
    }
    assertEquals(names(), BACKUPS_KEPT);
    await assertRejects(() => folder.make(write), StorageError, "is there already");
    await clock.advance(1);
    const gate = Promise.withResolvers<string[]>();
    const first = folder.make(() => gate.promise);
    await assertRejects(() => folder.make(write), StorageError, "another backup is being made");
    gate.reject(new Error("disk full"));
    await assertRejects(() => first, Error, "disk full");
    assertEquals(names(), BACKUPS_KEPT);
  } finally {
    Deno.removeSync(directory, { recursive: true });
  }
});
