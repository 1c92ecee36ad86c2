import { assertEquals, assertMatch, assertRejects, assertThrows } from "@std/assert";
import { DatabaseSync } from "node:sqlite";
import { backUpDatabase, listBackups, restoreDatabase } from "@/shared/backup.ts";
import { StorageError } from "@/shared/errors.ts";
import { openPrivateDatabase } from "@/shared/private_files.ts";

const AT_MS = Date.UTC(2026, 10, 23, 21, 45, 0, 123);

async function inDirectory(test: (directory: string) => Promise<void>): Promise<void> {
  const directory = Deno.makeTempDirSync();
  try {
    await test(directory);
  } finally {
    Deno.removeSync(directory, { recursive: true });
  }
}

function opened(path: string): DatabaseSync {
  const sqlite = openPrivateDatabase(path);
  sqlite.exec("PRAGMA journal_mode = WAL; CREATE TABLE IF NOT EXISTS t (value INTEGER NOT NULL) STRICT");
  return sqlite;
}

function values(sqlite: DatabaseSync): unknown[] {
  return sqlite.prepare("SELECT value FROM t ORDER BY value").all().map((row) => row["value"]);
}

Deno.test("backUpDatabase() copies one instant while the database is written, private and checked", async () => {
  await inDirectory(async (directory) => {
    const sqlite = opened(`${directory}/powerflex.db`);
    for (let value = 0; value < 1_000; value++) sqlite.exec(`INSERT INTO t VALUES (${value})`);
    const backups = `${directory}/backups`;
    const pending = backUpDatabase(sqlite, { directory: backups, name: "powerflex", atMs: AT_MS });
    sqlite.exec("BEGIN; INSERT INTO t VALUES (-1); INSERT INTO t VALUES (-2); COMMIT");
    const made = await pending;
    assertEquals(made.path, `${backups}/powerflex-20261123T214500.123Z.db`);
    assertMatch(made.sha256, /^[0-9a-f]{64}$/);
    const { size, mode } = Deno.statSync(made.path);
    assertEquals([size, (mode ?? 0) & 0o777], [made.sizeBytes, 0o600]);
    const copy = new DatabaseSync(made.path, { readOnly: true });
    const [first] = values(copy);
    assertEquals([values(copy).length, [0, -2].includes(Number(first))], [first === 0 ? 1_000 : 1_002, true]);
    copy.close();
    assertEquals([...Deno.readDirSync(backups)].map(({ name }) => name), ["powerflex-20261123T214500.123Z.db"]);
    sqlite.close();
  });
});

Deno.test("backUpDatabase() keeps the newest of its name and touches no other file", async () => {
  await inDirectory(async (directory) => {
    const sqlite = opened(`${directory}/a.db`);
    Deno.writeTextFileSync(`${directory}/other-20200101T000000.000Z.db`, "not ours");
    for (let turn = 0; turn < 4; turn++) {
      await backUpDatabase(sqlite, { directory, name: "a", atMs: AT_MS + turn * 1_000, keep: 2 });
    }
    assertEquals(listBackups(directory, "a").map(({ createdAtMs }) => createdAtMs - AT_MS), [3_000, 2_000]);
    assertEquals(listBackups(directory, "other").length, 1);
    sqlite.close();
  });
});

Deno.test("backUpDatabase() that fails says why and leaves nothing", async () => {
  await inDirectory(async (directory) => {
    const sqlite = opened(`${directory}/a.db`);
    Deno.writeTextFileSync(`${directory}/file`, "");
    const request = { directory: `${directory}/file`, name: "a", atMs: AT_MS };
    await assertRejects(() => backUpDatabase(sqlite, request), StorageError, "Cannot back up a to");
    sqlite.close();
  });
});

Deno.test("restoreDatabase() puts a backup in place, keeps what was there, and refuses what is no database", async () => {
  await inDirectory(async (directory) => {
    const path = `${directory}/a.db`;
    const sqlite = opened(path);
    sqlite.exec("INSERT INTO t VALUES (1)");
    const made = await backUpDatabase(sqlite, { directory, name: "a", atMs: AT_MS });
    sqlite.exec("INSERT INTO t VALUES (2)");
    sqlite.close();
    Deno.writeTextFileSync(`${directory}/broken`, "no database".repeat(1_000));
    assertThrows(() => restoreDatabase(`${directory}/broken`, path), StorageError, "Cannot check");
    restoreDatabase(made.path, path);
    const restored = opened(path);
    assertEquals(values(restored), [1]);
    restored.close();
    const before = opened(`${path}.before-restore`);
    assertEquals(values(before), [1, 2]);
    before.close();
  });
});

Deno.test("backUpDatabase() works with the permissions of a role: its own directory, nothing else", async () => {
  await inDirectory(async (directory) => {
    const script = new URL("../tests/support/backup_role.ts", import.meta.url).pathname;
    const root = new URL("..", import.meta.url).pathname;
    const flags = [`--allow-read=${directory},${root}shared`, `--allow-write=${directory}`, "--allow-env=POWERFLEX_*"];
    const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["run", "--quiet", "--no-prompt", `--config=${root}deno.json`, ...flags, script, directory],
    }).output();
    assertEquals([code, new TextDecoder().decode(stderr)], [0, ""]);
    assertEquals(new TextDecoder().decode(stdout).trim(), "3 rows restored");
  });
});
