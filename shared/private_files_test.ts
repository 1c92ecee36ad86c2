import { assertEquals } from "@std/assert";
import { openPrivateDatabase } from "@/shared/private_files.ts";

Deno.test("openPrivateDatabase() lets nobody else read the database, its log and its index, also of an older version", async () => {
  const folder = await Deno.makeTempDir();
  const path = `${folder}/some.db`;
  const modes = () => ["", "-wal", "-shm"].map((end) => (Deno.statSync(path + end).mode! & 0o777).toString(8));
  const openAndWrite = () => {
    const database = openPrivateDatabase(path);
    database.exec("PRAGMA journal_mode = WAL; CREATE TABLE IF NOT EXISTS t (x INTEGER) STRICT");
    return database;
  };
  try {
    const first = openAndWrite();
    assertEquals(modes(), ["600", "600", "600"]);
    for (const end of ["", "-wal", "-shm"]) Deno.chmodSync(path + end, 0o644);
    const second = openAndWrite();
    assertEquals(modes(), ["600", "600", "600"]);
    second.close();
    first.close();
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
