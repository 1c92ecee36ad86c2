import { assert, assertEquals, assertThrows } from "@std/assert";
import { DatabaseSync } from "node:sqlite";
import { openDatabase, preparedDatabase } from "@/mdm/store/database.ts";
import { MIGRATIONS } from "@/mdm/store/migrations/all.ts";
import { migrate, migrationChecksum } from "@/shared/migrate.ts";

/** Checksums of the migrations that were released: none may ever change. */
const RELEASED = [
  "cluster f018ff2f98c4579537df7fd398f94876c2272a718585e7c9e2667607455b54be",
  "topology 428dc2ee32e8d4d6d17c130d661ed38444f8c5e0dec07f78a4fc273820f8a50e",
  "volumes d79573ef42192c7d6125c97688cb9e63f61cc445701d79ef643bcecec0cb06dc",
  "placement 97581528815fb181c06ccb6f8e2cdd54ff2a3fde52aa31df00e1b802212a6fa0",
  "io tokens 498f5e853a8ed37f572ee4fff5d0a345832e30685512654758d34dd1cc0fe691",
  "thick volumes 4fae0ef3942710dce215528ec77b3bf77273a5f1179a4ee6642250e9adff22cb",
  "revocations 7c9f263858ce021dad924bf045201d5463c774dc34b1977693ce2bf0a9e1d558",
  "targets bd8797037fbc3042001b089bb008edade7da31f6ccb0c45e71b05ed16afecaea",
  "rebuild 11412c7bea9fd8f4b6d32ec19813af48367c237c532419c0cae49728eb5174d3",
];

Deno.test("migrations are numbered without gaps and were not edited", () => {
  assertEquals(MIGRATIONS.map((migration) => migration.version), MIGRATIONS.map((_, index) => index + 1));
  assertEquals(MIGRATIONS.map((migration) => `${migration.name} ${migrationChecksum(migration)}`), RELEASED);
});

Deno.test("Database.transaction() commits all or nothing; one within another is part of it", () => {
  const sqlite = new DatabaseSync(":memory:");
  const db = preparedDatabase(sqlite);
  const names = () => db.all<{ key: string }>("SELECT key FROM cluster_config ORDER BY key").map((row) => row.key);
  const put = (key: string) => db.run("INSERT INTO cluster_config (key, value) VALUES (?, '')", key);
  assertThrows(
    () =>
      db.transaction(() => {
        put("a");
        db.transaction(() => put("b"));
        throw new Error("no");
      }),
    Error,
    "no",
  );
  assertEquals(names(), []);
  db.transaction(() => {
    put("a");
    assertThrows(() =>
      db.transaction(() => {
        throw new Error("inner");
      })
    );
  });
  assertEquals(names(), ["a"]);
  assert(db.get("SELECT 1 AS one FROM cluster_config WHERE key = 'b'") === undefined);
  db.close();
});

Deno.test("every table is read by some file of the store", async () => {
  const sqlite = new DatabaseSync(":memory:");
  preparedDatabase(sqlite);
  // schema_migrations is read by shared/migrate.ts.
  const tables = sqlite.prepare(
    "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' " +
      "AND name <> 'schema_migrations'",
  )
    .all()
    .map((row) => String(row["name"]));
  let source = "";
  const folder = new URL(".", import.meta.url);
  for await (const entry of Deno.readDir(folder)) {
    if (entry.isFile && !entry.name.endsWith("_test.ts")) {
      source += await Deno.readTextFile(new URL(entry.name, folder));
    }
  }
  for (const table of tables) assert(new RegExp(`(FROM|JOIN) ${table}\\b`).test(source), `${table} is read`);
  sqlite.close();
});

Deno.test("migration 6 keeps volumes, and never gives the id of a deleted one again", () => {
  const sqlite = new DatabaseSync(":memory:");
  sqlite.exec("PRAGMA foreign_keys = ON");
  migrate(sqlite, MIGRATIONS.slice(0, 5));
  sqlite.exec(`INSERT INTO protection_domains VALUES (1, 'pd', '', 0);
    INSERT INTO storage_pools VALUES (1, 1, 'pool', 1, 'two_copies', 2, 0, NULL, 0);
    INSERT INTO vtree VALUES (1, 1); INSERT INTO node VALUES (1, 1);`);
  const insert = (name: string) =>
    sqlite.exec(`INSERT INTO volumes (name, pool_id, vtree_id, node_id, size_bytes, provisioning, state, created_at_ms)
      VALUES ('${name}', 1, 1, 1, 4096, 'thin', 'READY', 7)`);
  insert("kept");
  insert("deleted");
  sqlite.exec("DELETE FROM volumes WHERE name = 'deleted'");
  migrate(sqlite, MIGRATIONS);
  insert("new");
  const rows = sqlite.prepare("SELECT id, name, created_at_ms AS at FROM volumes ORDER BY id").all();
  assertEquals(rows.map(({ id, name, at }) => [id, name, at]), [[1, "kept", 7], [3, "new", 7]]);
  sqlite.close();
});

Deno.test("openDatabase() keeps the file for this process alone", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const path = `${folder}/powerflex.db`;
    const db = openDatabase(path);
    db.run("INSERT INTO cluster_config (key, value) VALUES ('a', '1')");
    const other = new DatabaseSync(path);
    assertThrows(() => other.prepare("SELECT * FROM cluster_config").all(), Error, "locked");
    other.close();
    db.close();
    const again = openDatabase(path);
    assertEquals(again.all("SELECT value FROM cluster_config WHERE key = 'a'").length, 1);
    again.close();
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
