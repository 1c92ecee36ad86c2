import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { type RangeLockEntry, RangeLocks } from "@/sdc/core/range_locks.ts";

interface Write extends RangeLockEntry {
  readonly name: number;
}

function write(name: number, startBlock: number, endBlock: number): Write {
  return { name, startBlock, endBlock, blockedByCount: 0, lockIndex: -1 };
}

Deno.test("RangeLocks runs overlapping writes in the order in which they came", () => {
  const locks = new RangeLocks<Write>();
  const [a, b, c, d] = [write(1, 0, 2), write(2, 1, 4), write(3, 3, 5), write(4, 10, 11)];
  assertEquals([a, b, c, d].map((entry) => locks.enter(entry)), [true, false, false, true]);
  const started: number[] = [];
  const start = (entry: Write) => started.push(entry.name);
  locks.leave(a, start);
  assertEquals(started, [2], "c waits for b, although what b waited for is gone");
  locks.leave(b, start);
  assertEquals(started, [2, 3]);
  locks.leave(d, start);
  locks.leave(c, start);
  assertEquals(locks.size, 0);
});

Deno.test("RangeLocks never runs two overlapping writes, and runs each as soon as nothing earlier overlaps it", () => {
  const range = fc.tuple(fc.nat(20), fc.integer({ min: 1, max: 6 }));
  fc.assert(
    fc.property(fc.array(range, { maxLength: 40 }), fc.infiniteStream(fc.nat()), (ranges, picks) => {
      const locks = new RangeLocks<Write>();
      const order: Write[] = [];
      const running = new Set<Write>();
      const check = () => {
        for (const entry of order) {
          const blocked = order.some((other) =>
            other.name < entry.name && other.startBlock < entry.endBlock && entry.startBlock < other.endBlock
          );
          assertEquals(running.has(entry), !blocked);
        }
      };
      const leaveOne = () => {
        const entries = [...running];
        const entry = entries[picks.next().value! % entries.length]!;
        running.delete(entry);
        order.splice(order.indexOf(entry), 1);
        locks.leave(entry, (freed) => running.add(freed));
      };
      ranges.forEach(([start, length], name) => {
        const entry = write(name, start, start + length);
        order.push(entry);
        if (locks.enter(entry)) running.add(entry);
        check();
        if (picks.next().value! % 3 === 0) {
          leaveOne();
          check();
        }
      });
      while (order.length > 0) {
        assert(running.size > 0, "nothing waits for ever");
        leaveOne();
        check();
      }
    }),
    { numRuns: 50 },
  );
});
