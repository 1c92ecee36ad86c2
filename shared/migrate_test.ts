import { assertEquals, assertThrows } from "@std/assert";
import { DatabaseSync } from "node:sqlite";
import { migrate } from "@/shared/migrate.ts";

const FIRST = { version: 1, name: "first", sql: "CREATE TABLE one (id INTEGER) STRICT" };
const SECOND = { version: 2, name: "second", sql: "CREATE TABLE two (id INTEGER) STRICT" };

function tablesOf(database: DatabaseSync): unknown[] {
  return database.prepare("SELECT name FROM sqlite_master WHERE name IN ('one', 'two') ORDER BY name").all()
    .map((row) => row["name"]);
}

Deno.test("migrate() runs each migration once, in order", () => {
  using database = new DatabaseSync(":memory:");
  migrate(database, [FIRST]);
  assertEquals(tablesOf(database), ["one"]);
  migrate(database, [FIRST, SECOND]);
  migrate(database, [FIRST, SECOND]);
  assertEquals(tablesOf(database), ["one", "two"]);
  const rows = database.prepare("SELECT version, name FROM schema_migrations ORDER BY version").all();
  assertEquals(rows.map((row) => [row["version"], row["name"]]), [[1, "first"], [2, "second"]]);
});

Deno.test("migrate() keeps the checksum by which a database of today is known tomorrow", () => {
  using database = new DatabaseSync(":memory:");
  migrate(database, [FIRST]);
  assertEquals(
    database.prepare("SELECT checksum FROM schema_migrations").get()?.["checksum"],
    "34e03845fd66eaaac0936e53f5a4729ac4b03221ab53a3af1807cabd0f2cc335",
  );
});

Deno.test("migrate() refuses an edited migration and a database of a newer version", () => {
  using database = new DatabaseSync(":memory:");
  migrate(database, [FIRST]);
  assertThrows(() => migrate(database, [{ ...FIRST, sql: `${FIRST.sql} ` }]), Error, "was changed after it ran");
  assertThrows(() => migrate(database, []), Error, "newer version");
});

Deno.test("migrate() leaves nothing of a migration that failed", () => {
  using database = new DatabaseSync(":memory:");
  const broken = { ...SECOND, sql: `${SECOND.sql}; SELECT nothing FROM nowhere` };
  assertThrows(() => migrate(database, [FIRST, broken]), Error, "Cannot apply migration 2 (second)");
  assertEquals(tablesOf(database), ["one"]);
  migrate(database, [FIRST, SECOND]);
  assertEquals(tablesOf(database), ["one", "two"]);
});
