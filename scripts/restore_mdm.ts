/**
 * `deno task restore:mdm BACKUP DATABASE`: puts a backup of the MDM in place, while no MDM runs.
 *
 * @module
 */
import { restoreMdmDatabase } from "@/mdm/store/restore.ts";
import { openDatabase } from "@/mdm/store/database.ts";

const [backupPath, databasePath] = Deno.args;
if (backupPath === undefined || databasePath === undefined) {
  console.error(
    "Say which backup goes where: deno task restore:mdm BACKUP DATABASE, such as .powerflex/mdm/powerflex.db",
  );
  Deno.exit(2);
}
try {
  requireFree(databasePath);
  restoreMdmDatabase(backupPath, databasePath);
} catch (error) {
  console.error(error instanceof Error ? error.message : String(error));
  Deno.exit(1);
}
console.log(`${backupPath} is in place; what was there is ${databasePath}.before-restore`);

/** An MDM that runs holds its database alone: opening it tells. Whatever else is wrong with the file, it will be replaced. */
function requireFree(path: string): void {
  try {
    Deno.statSync(path);
    openDatabase(path).close();
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    if (error.message.includes("locked")) {
      throw new Error(`Cannot restore ${path}: a running MDM holds it, stop it first`, { cause: error });
    }
  }
}
