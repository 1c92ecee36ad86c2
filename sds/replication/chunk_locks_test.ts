import { assertEquals, assertThrows } from "@std/assert";
import fastCheck from "fast-check";
import { ChunkLocks, type LockHolder, lockKey } from "@/sds/replication/chunk_locks.ts";

function holder(
  firstBlock: number,
  endBlock: number,
  options: { shared?: boolean; granted?: string[]; name?: string } = {},
) {
  const { shared = false, granted = [], name = `${firstBlock}-${endBlock}` } = options;
  return { lockKey: lockKey(1, 0), firstBlock, endBlock, shared, lockGranted: () => void granted.push(name) };
}

Deno.test("ChunkLocks grants what does not overlap and makes the rest wait in order", () => {
  const locks = new ChunkLocks();
  const granted: string[] = [];
  const a = holder(0, 4);
  const b = holder(2, 6, { granted });
  const c = holder(5, 8, { granted });
  const d = holder(8, 9);
  assertEquals([locks.acquire(a), locks.acquire(b), locks.acquire(c), locks.acquire(d)], [true, false, false, true]);
  locks.release(a);
  assertEquals(granted, ["2-6"], "c overlaps b, which came first");
  locks.release(b);
  assertEquals(granted, ["2-6", "5-8"]);
  locks.release(c);
  locks.release(d);
  assertEquals(locks.busyChunkCount, 0);
});

Deno.test("ChunkLocks lets readers share, but not past a waiting writer", () => {
  const locks = new ChunkLocks();
  const granted: string[] = [];
  const first = holder(0, 1, { shared: true });
  const writer = holder(0, 1, { granted, name: "writer" });
  const second = holder(0, 1, { shared: true, granted, name: "reader" });
  assertEquals([locks.acquire(first), locks.acquire(writer), locks.acquire(second)], [true, false, false]);
  assertEquals(locks.abandon(writer), true);
  assertEquals(granted, ["reader"]);
  assertEquals(locks.abandon(second), false, "it holds the lock now");
  assertThrows(() => locks.release(writer), Error, "released by who holds it");
});

Deno.test("ChunkLocks never lets two conflicting holders in and grants everyone in the end", () => {
  const range = fastCheck.record({
    first: fastCheck.integer({ min: 0, max: 15 }),
    count: fastCheck.integer({ min: 1, max: 8 }),
    shared: fastCheck.boolean(),
  });
  fastCheck.assert(fastCheck.property(fastCheck.array(range, { maxLength: 40 }), (ranges) => {
    const locks = new ChunkLocks();
    const held = new Set<LockHolder>();
    const check = (added: LockHolder) => {
      for (const other of held) {
        const overlap = added.firstBlock < other.endBlock && other.firstBlock < added.endBlock;
        assertEquals(overlap && !(added.shared && other.shared), false);
      }
      held.add(added);
    };
    const all = ranges.map(({ first, count, shared }) => {
      const one: LockHolder = { ...holder(first, first + count, { shared }), lockGranted: () => check(one) };
      return one;
    });
    for (const one of all) if (locks.acquire(one)) check(one);
    for (let turn = 0; turn < all.length; turn++) {
      const [next] = held;
      held.delete(next!);
      locks.release(next!);
    }
    assertEquals(locks.busyChunkCount, 0);
  }));
});
