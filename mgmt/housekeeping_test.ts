import { assertEquals } from "@std/assert";
import { DatabaseSync } from "node:sqlite";
import { backupFolder, BACKUPS_KEPT, CLEAN_UP_EVERY_MS } from "@/mgmt/housekeeping.ts";
import { openStore } from "@/mgmt/store/store.ts";
import { FakeClock } from "@/tests/support/fake_clock.ts";
import { mgmtFixture } from "@/tests/support/mgmt_fixture.ts";

const DAY_MS = 86_400_000;

Deno.test("Housekeeping removes resolved alerts after 30 days, with their history, and leaves open ones", async () => {
  const clock = new FakeClock();
  await using mgmt = await mgmtFixture({ clock, pollMs: 600_000 });
  for (const source of ["old", "open"]) mgmt.alerts.raiseByHand({ severity: "info", source, message: "m" }, "ann");
  mgmt.alerts.act(1, { action: "resolve", by: "ann" });
  await mgmt.poller.stop();
  mgmt.housekeeping.start();
  await clock.advance(30 * DAY_MS - CLEAN_UP_EVERY_MS);
  assertEquals(mgmt.store.alerts.list({}).length, 2);
  await clock.advance(2 * CLEAN_UP_EVERY_MS);
  assertEquals(mgmt.store.alerts.list({}).map(({ source }) => source), ["open"]);
  assertEquals(mgmt.store.alerts.history(1), []);
  mgmt.housekeeping.stop();
});

Deno.test("Housekeeping gives pages back to the file system without VACUUM", async () => {
  const directory = await Deno.makeTempDir();
  try {
    using store = openStore(`${directory}/mgmt.db`);
    const row = {
      sourceType: "SDS",
      sourceId: 1,
      isKeptLong: false,
      status: "ACTIVE",
      metrics: { usedBytes: 1 },
    } as const;
    store.snapshots.add(Array.from({ length: 5_000 }, (_, index) => ({ ...row, atMs: index })));
    store.snapshots.removeOld({ everyPassMs: 10_000, keptLongMs: 10_000 });
    const free = store.compact(10);
    assertEquals(store.compact(10), free - 10);
    assertEquals(store.compact(100_000), 0);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});

Deno.test("Housekeeping.backup() writes a complete copy while MGMT runs, and keeps the newest", async () => {
  const directory = await Deno.makeTempDir();
  const clock = new FakeClock();
  try {
    await using mgmt = await mgmtFixture({ clock, backups: backupFolder(directory), pollMs: 600_000 });
    const paths: string[] = [];
    for (let index = 0; index < BACKUPS_KEPT + 2; index++) {
      await clock.advance(1_000);
      paths.push(await mgmt.housekeeping.backup());
    }
    const kept = [...Deno.readDirSync(`${directory}/backups`)].map(({ name }) => `${directory}/backups/${name}`);
    assertEquals(kept.toSorted(), paths.slice(2));
    const copy = new DatabaseSync(paths.at(-1)!, { readOnly: true });
    assertEquals(copy.prepare("SELECT name FROM users").get()?.["name"], "admin");
    copy.close();
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});
