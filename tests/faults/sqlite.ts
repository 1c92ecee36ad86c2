/**
 * What a database on a volume is promised: SQLite with `synchronous=FULL` on ext4, and kill -9 of everything, the program too.
 * `SQLITE_ROUNDS=N` sets how often, 3 without it.
 *
 * @module
 */
import { assert, assertEquals } from "@std/assert";
import { sleep, systemClock } from "@/shared/clock.ts";
import { DatabaseSync } from "node:sqlite";
import { FaultCluster } from "@/tests/support/fault_cluster.ts";
import { MountedVolume, whyNoMount } from "@/tests/support/mounted_volume.ts";
import { killed, missing } from "@/tests/support/programs.ts";

const ROUNDS = Number(Deno.env.get("SQLITE_ROUNDS") ?? 3);
const RUN_MS = 4000;
const withoutMount = whyNoMount() ?? (missing(["python3"]).length > 0 ? "python3 is not installed" : undefined);
if (withoutMount !== undefined) console.log(`Without SQLite on the volume: ${withoutMount}`);

Deno.test({
  name:
    `scenario: everything is killed ${ROUNDS} times under SQLite on ext4, and every acknowledged transaction is there`,
  ignore: withoutMount !== undefined,
  async fn() {
    await using cluster = new FaultCluster();
    await cluster.start();
    await using volume = new MountedVolume(cluster.dir);
    await volume.format(cluster.unixUri);
    let acknowledged = 0;
    for (let round = 1; round <= ROUNDS; round++) {
      const writer = startWriter(`${volume.directory}/counters.db`, acknowledged + 1);
      const counters = countersOf(writer);
      await sleep(systemClock, RUN_MS);
      await cluster.killAll();
      await killed(writer);
      const before = acknowledged;
      acknowledged = Math.max(acknowledged, await counters);
      assert(acknowledged > before, "transactions were acknowledged");
      await volume.drop();
      await cluster.start();
      await volume.mount(cluster.unixUri);
      const stored = storedCounters(`${volume.directory}/counters.db`);
      console.log(`round ${round}: ${acknowledged} transactions acknowledged, ${stored} stored`);
      assert(stored >= acknowledged, `${stored} of ${acknowledged} acknowledged transactions are there`);
      acknowledged = stored;
      await volume.check();
      await volume.drop();
      await volume.mount(cluster.unixUri);
    }
    await volume.check();
  },
});

/** Inserts counters from `first` on, and prints each once it is committed. */
function startWriter(path: string, first: number): Deno.ChildProcess {
  const script = new URL("sqlite_writer.py", import.meta.url).pathname;
  return new Deno.Command("python3", { args: [script, path, String(first)], stdin: "null", stdout: "piped" }).spawn();
}

/** The last counter that the writer told before it ended; 0 without one. */
async function countersOf(writer: Deno.ChildProcess): Promise<number> {
  const lines = (await new Response(writer.stdout).text()).split("\n").slice(0, -1);
  return Number(lines.at(-1) ?? 0);
}

/** The largest counter. @throws {Error} when one before it is missing, or the database is damaged. */
function storedCounters(path: string): number {
  const database = new DatabaseSync(path);
  try {
    assertEquals(database.prepare("PRAGMA integrity_check").get()?.["integrity_check"], "ok");
    const row = database.prepare("SELECT count(*) AS count, max(counter) AS largest FROM entry").get()!;
    assertEquals(row["count"], row["largest"], "no counter is missing");
    return Number(row["largest"]);
  } finally {
    database.close();
  }
}
