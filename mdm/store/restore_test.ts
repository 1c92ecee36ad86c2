import { assertEquals, assertThrows } from "@std/assert";
import { raiseCounter } from "@/mdm/store/cluster_config.ts";
import { type Database, openDatabase } from "@/mdm/store/database.ts";
import { insertDomain, listDomains } from "@/mdm/store/domains.ts";
import { insertEvent, newestEvents, type NewEvent } from "@/mdm/store/events.ts";
import { RESTORE_SKIP, restoreMdmDatabase } from "@/mdm/store/restore.ts";

function domain(db: Database, name: string): number {
  return insertDomain(db, { name, description: "", atMs: 0 });
}

function event(message: string): NewEvent {
  return { atMs: 0, type: "volume_create", severity: "info", subject: "", message };
}

Deno.test("restoreMdmDatabase() gives nothing a second time: counters and ids go on far beyond", async () => {
  const directory = Deno.makeTempDirSync();
  const path = `${directory}/powerflex.db`;
  try {
    const first = openDatabase(path);
    domain(first, "before");
    insertEvent(first, event("earlier"));
    raiseCounter(first, "mapping_version");
    const made = await first.backUp({ directory, name: "powerflex", atMs: 0 });
    assertEquals([domain(first, "after"), raiseCounter(first, "mapping_version")], [2, 2]);
    first.close();
    restoreMdmDatabase(made.path, path);
    const second = openDatabase(path);
    insertEvent(second, event("later"));
    assertEquals(newestEvents(second, 10).map(({ message }) => message), ["later", "earlier"], "events are kept");
    assertEquals(listDomains(second).map(({ name }) => name), ["before"]);
    assertEquals(raiseCounter(second, "mapping_version"), RESTORE_SKIP + 2);
    assertEquals(raiseCounter(second, "mdm_term"), RESTORE_SKIP + 1);
    assertEquals(domain(second, "new"), RESTORE_SKIP + 2);
    second.close();
    Deno.writeTextFileSync(`${directory}/broken`, "no database".repeat(1_000));
    assertThrows(() => restoreMdmDatabase(`${directory}/broken`, path), Error, "Cannot check");
    const third = openDatabase(path);
    assertEquals(listDomains(third).length, 2, "a refused backup changes nothing");
    third.close();
  } finally {
    Deno.removeSync(directory, { recursive: true });
  }
});
