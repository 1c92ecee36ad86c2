import { assertEquals } from "@std/assert";
import { WantedLoop } from "@/sdc/remote/wanted_loop.ts";
import { FakeClock } from "@/tests/support/fake_clock.ts";
import { plainRandom } from "@/tests/support/sdc_fixture.ts";

function loopOf(clock: FakeClock, run: () => Promise<boolean>): WantedLoop {
  return new WantedLoop({ clock, random: plainRandom(), pauseMsMax: 250, run });
}

Deno.test("WantedLoop runs once for all who ask, and once more for those who ask meanwhile", async () => {
  const clock = new FakeClock();
  const gate = Promise.withResolvers<void>();
  let runs = 0;
  const loop = loopOf(clock, async () => {
    runs++;
    await gate.promise;
    return false;
  });
  for (let index = 0; index < 10; index++) loop.want();
  await clock.advance(1_000);
  assertEquals(runs, 1);
  gate.resolve();
  await clock.advance(1_000);
  assertEquals(runs, 2);
  loop.want();
  await clock.advance(0);
  assertEquals(runs, 3, "at once when the loop is idle");
  await clock.advance(1_000);
  assertEquals(runs, 3);
});

Deno.test("WantedLoop goes on while it is needed, with pauses up to its limit, until it is closed", async () => {
  const clock = new FakeClock();
  const atMs: number[] = [];
  const loop = loopOf(clock, () => {
    atMs.push(clock.monotonicMs());
    return Promise.resolve(true);
  });
  loop.want();
  await clock.advance(2_000);
  const pauses = atMs.slice(1).map((at, index) => at - atMs[index]!);
  assertEquals(pauses.slice(0, 4), [50, 75, 125, 150]);
  assertEquals(pauses.every((pause) => pause >= 50 && pause <= 250), true);
  const runs = atMs.length;
  loop.close();
  loop.want();
  await clock.advance(2_000);
  assertEquals(atMs.length, runs);
});
