import { assertEquals } from "@std/assert";
import { every, sleep } from "@/shared/clock.ts";
import { FakeClock } from "@/tests/support/fake_clock.ts";

Deno.test("FakeClock fires timers in order of time, then of setting, each with its consequences", async () => {
  const clock = new FakeClock({ wallMs: 5_000 });
  const seen: string[] = [];
  const note = (name: string) => () => seen.push(`${name}@${clock.monotonicMs()}`);
  clock.setTimer(20, note("c"));
  clock.setTimer(10, note("a"));
  clock.setTimer(10, note("b"));
  clock.setTimer(15, note("never")).cancel();
  sleep(clock, 12).then(() => sleep(clock, 3)).then(note("chained"));
  await clock.advance(19);
  assertEquals(seen, ["a@1010", "b@1010", "chained@1015"]);
  await clock.advance(1);
  assertEquals(seen.at(-1), "c@1020");
  assertEquals([clock.monotonicMs(), clock.wallMs(), clock.timerCount], [1_020, 5_020, 0]);
});

Deno.test("FakeClock drives every() until it is cancelled", async () => {
  const clock = new FakeClock();
  let count = 0;
  const timer = every(clock, 10, async () => {
    await Promise.resolve();
    count++;
  });
  await clock.advance(35);
  timer.cancel();
  await clock.advance(100);
  assertEquals([count, clock.timerCount], [3, 0]);
});
