import { assertEquals } from "@std/assert";
import { ASYNC_RUN_MAX, ASYNC_RUN_MIN, ReadPace } from "@/sds/device/read_pace.ts";

/** Reads off the event loop until the next one on it. */
function asyncRun(pace: ReadPace): number {
  let count = 0;
  while (pace.nextIsAsync()) count++;
  return count;
}

Deno.test("ReadPace keeps quick reads on the event loop", () => {
  const pace = new ReadPace({ coldMs: 0.1 });
  for (let count = 0; count < 100; count++) {
    assertEquals(pace.nextIsAsync(), false);
    pace.noteSync(0.02);
  }
});

Deno.test("ReadPace sends more and more reads off the loop while probes are slow, and comes back when they are quick", () => {
  const pace = new ReadPace({ coldMs: 0.1 });
  let slowCount = 0;
  let readCount = 0;
  while (readCount < 100_000) {
    pace.noteSync(5);
    slowCount++;
    readCount += 1 + asyncRun(pace);
  }
  assertEquals(slowCount < 40, true, `${slowCount} reads stopped the event loop`);
  const runs: number[] = [];
  do {
    pace.noteSync(0.01);
    runs.push(asyncRun(pace));
  } while (runs.at(-1) !== 0);
  assertEquals(runs[0], ASYNC_RUN_MAX / 2);
  assertEquals(runs.at(-2), ASYNC_RUN_MIN);
});
