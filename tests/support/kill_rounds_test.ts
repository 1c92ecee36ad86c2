import { assertEquals } from "@std/assert";
import { type KillRound, percentile, stallFigures } from "@/tests/support/kill_rounds.ts";

Deno.test("percentile() gives a value of the list, 0 without one", () => {
  const hundred = Array.from({ length: 100 }, (_, index) => index + 1);
  assertEquals([percentile(hundred, 0.5), percentile(hundred, 0.99), percentile([7], 0.5)], [50, 99, 7]);
  assertEquals(percentile([], 0.5), 0);
});

Deno.test("stallFigures() keeps failovers apart from kills of several processes and of the client's server", () => {
  const round = (kind: KillRound["kind"], stallMs: number): KillRound => ({ kind, names: [], stallMs });
  const rounds = [round("sds", 3), round("sdc", 50), round("mdm", 1), round("all sds", 90), round("sds", 2)];
  const others = { others: 2, othersMaxMs: 90 };
  assertEquals(stallFigures(rounds), { failovers: 3, p50Ms: 2, p99Ms: 3, maxMs: 3, ...others });
});
