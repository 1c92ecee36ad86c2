import { assert, assertEquals } from "@std/assert";
import { EventLog } from "@/tests/sim/event_log.ts";
import { MdmHost } from "@/tests/sim/mdm_host.ts";
import { SimProcess, World } from "@/tests/sim/process.ts";
import { SeededRandom } from "@/tests/sim/seeded_random.ts";
import { VirtualTime } from "@/tests/sim/virtual_time.ts";

/** Makes a domain, kills the MDM, and asks the next one for it. */
async function run(seed: number) {
  const time = new VirtualTime();
  const random = new SeededRandom(`mdm-${seed}`);
  const log = new EventLog({ nowMs: () => time.nowMs });
  const world = new World({ time, random: random.fork("wire"), log });
  const mdm = new MdmHost("mdm", { world, random, mdm: { auth: "open", joinToken: "t" } });
  mdm.start();
  const firstTerm = mdm.context.mdmTerm;
  const { http } = new SimProcess("operator", { world, random }).start();
  const call = async (method: string, path: string, body?: object) => {
    let answer: unknown;
    http({
      method,
      url: mdm.url + path,
      headers: { "Content-Type": "application/json" },
      ...(body && { body: JSON.stringify(body) }),
      timeoutMs: 5_000,
    }).then((got) => answer = JSON.parse(got.body));
    assert(await time.run({ limitMs: time.nowMs + 6_000, done: () => answer !== undefined }));
    return answer;
  };
  const created = await call("POST", "/pd/create", { name: "pd" });
  await time.run({ limitMs: time.nowMs + 20_000 });
  mdm.crash({ hostDown: false });
  mdm.start();
  const list = await call("GET", "/pd/list");
  await time.run({ limitMs: time.nowMs + 20_000 });
  const termGrew = mdm.context.mdmTerm > firstTerm;
  mdm.close();
  return { created, list, termGrew, hash: log.hash() };
}

Deno.test("MdmHost keeps what the MDM committed over a crash, and equal seeds give equal runs", async () => {
  const first = await run(1);
  assertEquals(first.created, { id: 1, name: "pd" });
  assertEquals(first.list, [{ id: 1, name: "pd", description: "", pool_count: 0, sds_count: 0 }]);
  assert(first.termGrew);
  assertEquals(await run(1), first);
});
