import { assertEquals } from "@std/assert";
import { Heart } from "@/sds/heart.ts";
import { FakeClock } from "@/tests/support/fake_clock.ts";

Deno.test("Heart.onBeat() calls every listener at each interval, until it is cancelled", async () => {
  const clock = new FakeClock();
  const heart = new Heart(clock, 500);
  const heard: string[] = [];
  const first = heart.onBeat(() => heard.push(`first ${clock.monotonicMs()}`));
  const second = heart.onBeat(() => heard.push(`second ${clock.monotonicMs()}`));
  await clock.advance(500);
  first.cancel();
  await clock.advance(500);
  assertEquals(heard, ["first 1500", "second 1500", "second 2000"]);
  second.cancel();
  await clock.advance(5_000);
  assertEquals(heard.length, 3);
});

Deno.test("Heart.nudge() brings a beat forward that is nearly due, and counts the next from there", async () => {
  const clock = new FakeClock();
  const heart = new Heart(clock, 500);
  const beats: number[] = [];
  const timer = heart.onBeat(() => beats.push(clock.monotonicMs()));
  await clock.advance(399);
  heart.nudge();
  assertEquals(beats, []);
  await clock.advance(1);
  heart.nudge();
  heart.nudge();
  assertEquals(beats, [1400]);
  await clock.advance(499);
  assertEquals(beats, [1400]);
  await clock.advance(1);
  assertEquals(beats, [1400, 1900]);
  timer.cancel();
  heart.nudge();
  assertEquals(beats, [1400, 1900]);
});
