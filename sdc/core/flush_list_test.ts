import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { FlushList } from "@/sdc/core/flush_list.ts";

Deno.test("FlushList keeps the lowest lossGeneration until a round that began after the write settles it", () => {
  const list = new FlushList(4);
  list.wrote(1, 7);
  list.wrote(1, 5);
  list.wrote(3, 2);
  assertEquals(list.beginRound(), [{ pgIndex: 1, lossGeneration: 5 }, { pgIndex: 3, lossGeneration: 2 }]);
  list.wrote(1, 6);
  list.settled(1);
  list.endRound();
  assertEquals(list.beginRound(), [{ pgIndex: 1, lossGeneration: 6 }, { pgIndex: 3, lossGeneration: 2 }]);
  list.settled(1);
  list.settled(3);
  list.endRound();
  assertEquals(list.beginRound(), []);
});

/** The rule in its plainest form: all writes, each with the round that covers it. */
class Model {
  #writes: { pgIndex: number; lossGeneration: number; covered: boolean }[] = [];

  wrote(pgIndex: number, lossGeneration: number) {
    this.#writes.push({ pgIndex, lossGeneration, covered: false });
  }

  beginRound() {
    for (const write of this.#writes) write.covered = true;
    const groups = [...new Set(this.#writes.map((write) => write.pgIndex))].sort((a, b) => a - b);
    return groups.map((pgIndex) => ({
      pgIndex,
      lossGeneration: Math.min(
        ...this.#writes.filter((write) => write.pgIndex === pgIndex).map((write) => write.lossGeneration),
      ),
    }));
  }

  settled(pgIndex: number) {
    this.#writes = this.#writes.filter((write) => write.pgIndex !== pgIndex || !write.covered);
  }
}

Deno.test("FlushList agrees with a list of all writes", () => {
  const step = fc.oneof(
    fc.record({ kind: fc.constant("write" as const), pgIndex: fc.nat(3), lossGeneration: fc.nat(5) }),
    fc.record({ kind: fc.constant("round" as const), settles: fc.array(fc.nat(3), { maxLength: 4 }) }),
  );
  fc.assert(fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
    const list = new FlushList(4);
    const model = new Model();
    let settles: readonly number[] = [];
    for (const each of steps) {
      if (each.kind === "write") {
        list.wrote(each.pgIndex, each.lossGeneration);
        model.wrote(each.pgIndex, each.lossGeneration);
        continue;
      }
      // Writes between two rounds fall into the one that runs.
      if (list.roundRuns) {
        for (const pgIndex of settles) {
          list.settled(pgIndex);
          model.settled(pgIndex);
        }
        list.endRound();
      }
      assertEquals(list.beginRound(), model.beginRound());
      settles = each.settles;
    }
  }));
});
