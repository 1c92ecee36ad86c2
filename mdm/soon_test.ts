import { assertEquals } from "@std/assert";
import { Soon } from "@/mdm/soon.ts";
import { FakeClock } from "@/tests/support/fake_clock.ts";

Deno.test("Soon.ask() runs the task once for any number of askings, and again for a later one", async () => {
  const clock = new FakeClock();
  let runs = 0;
  const soon = new Soon(clock, { delayMs: 20, task: () => runs++ });
  for (let asked = 0; asked < 3; asked++) soon.ask();
  assertEquals(runs, 0);
  await clock.advance(20);
  assertEquals(runs, 1);
  await clock.advance(100);
  assertEquals(runs, 1);
  soon.ask();
  await clock.advance(20);
  assertEquals(runs, 2);
});

Deno.test("Soon.cancel() ends it, with what was asked for", async () => {
  const clock = new FakeClock();
  let runs = 0;
  const soon = new Soon(clock, { delayMs: 20, task: () => runs++ });
  soon.ask();
  soon.cancel();
  soon.ask();
  await clock.advance(100);
  assertEquals([runs, clock.timerCount], [0, 0]);
});
