/**
 * A process with the permissions of a role that backs its database up and puts the copy back; its argument is its directory.
 *
 * @module
 */
import { backUpDatabase, restoreDatabase } from "@/shared/backup.ts";
import { openPrivateDatabase } from "@/shared/private_files.ts";

const [directory] = Deno.args;
const path = `${directory}/role.db`;
const sqlite = openPrivateDatabase(path);
sqlite.exec("PRAGMA journal_mode = WAL; CREATE TABLE t (value INTEGER); INSERT INTO t VALUES (1), (2), (3)");
const made = await backUpDatabase(sqlite, { directory: `${directory}/backups`, name: "role", atMs: 0 });
sqlite.exec("DELETE FROM t");
sqlite.close();
restoreDatabase(made.path, path);
const restored = openPrivateDatabase(path);
console.log(`${restored.prepare("SELECT COUNT(*) AS count FROM t").get()?.["count"]} rows restored`);
restored.close();
