import { assert, assertEquals } from "@std/assert";
import type { BlockDevice, BlockRequest } from "@/sdc/block_device.ts";
import { BLOCK_BYTES, CHUNK_BYTES } from "@/shared/constants.ts";
import { EventLog } from "@/tests/sim/event_log.ts";
import { type Cast, endOf, faultPlan } from "@/tests/sim/faults.ts";
import { Oracle } from "@/tests/sim/oracle.ts";
import { SeededRandom } from "@/tests/sim/seeded_random.ts";
import { VirtualTime } from "@/tests/sim/virtual_time.ts";
import { Workload } from "@/tests/sim/workload.ts";
import { MemoryBlockDevice } from "@/tests/support/memory_block_device.ts";

const SIZE_BYTES = 4 * CHUNK_BYTES;

/** Runs a workload over memory in which requests take effect at random times; `spoil` may change a request. */
async function run(seed: number, spoil?: (request: BlockRequest) => BlockRequest) {
  const time = new VirtualTime();
  const random = new SeededRandom(`workload-${seed}`);
  const oracle = new Oracle();
  const memory = new MemoryBlockDevice({
    sizeBytes: SIZE_BYTES,
    schedule: (finish) => void time.after(random.between(0, 80), finish),
  });
  const device: BlockDevice = {
    name: "memory",
    sizeBytes: SIZE_BYTES,
    readOnly: false,
    submit: (request) => memory.submit(withoutRaggedTrim(spoil?.(request) ?? request)),
    extents: () => Promise.resolve([]),
  };
  let number = 0;
  const workload = new Workload({
    time,
    random: random.fork("workload"),
    hotRandom: random.fork("hot"),
    log: new EventLog({ nowMs: () => time.nowMs }),
    oracle,
    client: "sdc-1",
    volumeId: 1,
    sizeBytes: SIZE_BYTES,
    changes: { startBytes: 0, endBytes: SIZE_BYTES },
    requestCount: 300,
    device: () => device,
    nextNumber: () => ++number,
  });
  workload.start();
  assert(await time.run({ limitMs: 120_000, done: () => workload.finished }));
  let read = false;
  workload.readEverything().then(() => read = true);
  assert(await time.run({ limitMs: 240_000, done: () => read }));
  return { problems: oracle.problems(), failures: workload.failures };
}

/** A remote volume trims whole blocks only; the memory device takes any range. */
function withoutRaggedTrim(request: BlockRequest): BlockRequest {
  if (request.operation !== "trim") return request;
  const startBytes = Math.ceil(request.offsetBytes / BLOCK_BYTES) * BLOCK_BYTES;
  const endBytes = Math.floor((request.offsetBytes + request.lengthBytes) / BLOCK_BYTES) * BLOCK_BYTES;
  const lengthBytes = Math.max(0, endBytes - startBytes);
  return { ...request, offsetBytes: startBytes, lengthBytes, complete: (error) => request.complete(error) };
}

Deno.test("Workload over a device that is a register leaves the oracle content", async () => {
  for (let seed = 0; seed < 5; seed++) assertEquals(await run(seed), { problems: [], failures: [] }, `seed ${seed}`);
});

Deno.test("Workload shows the oracle a device that forgets one write, or does it elsewhere", async (t) => {
  const spoiled = (change: (request: BlockRequest) => BlockRequest) => {
    let writes = 0;
    return (request: BlockRequest) => request.operation === "write" && ++writes === 70 ? change(request) : request;
  };
  await t.step("forgotten", async () => {
    const spoil = spoiled((request) => ({
      ...request,
      operation: "flush",
      complete: (error) => request.complete(error),
    }));
    assert((await run(1, spoil)).problems.length > 0);
  });
  await t.step("a sector further", async () => {
    const spoil = spoiled((request) => ({
      ...request,
      offsetBytes: request.offsetBytes + 512,
      complete: (error) => request.complete(error),
    }));
    assert((await run(1, spoil)).problems.length > 0);
  });
});

Deno.test("faultPlan() gives equal plans for equal seeds, and all its kinds over many", () => {
  const cast: Cast = { mdm: "mdm", sdss: ["sds-1", "sds-2", "sds-3"], sdcs: ["sdc-1"] };
  const kinds = new Set<string>();
  for (let seed = 0; seed < 100; seed++) {
    const options = { cast, fromMs: 1_000, toMs: 20_000 };
    const plan = faultPlan(new SeededRandom(`plan-${seed}`), options);
    assertEquals(faultPlan(new SeededRandom(`plan-${seed}`), options), plan);
    assert(endOf(plan) < 40_000);
    for (const fault of plan) kinds.add(fault.kind);
  }
  assertEquals([...kinds].sort(), [
    "cut",
    "disk",
    "http_loss",
    "kill",
    "kill_again",
    "kill_in_disk",
    "out_of_service",
    "pause",
    "reset",
    "stall_connections",
    "stop",
    "wall_jump",
  ]);
});
