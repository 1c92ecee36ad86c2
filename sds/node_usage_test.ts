import { assertEquals } from "@std/assert";
import { NodeUsageReport, TOLD_EVERY_BEATS } from "@/sds/node_usage.ts";
import { asId, type NodeId } from "@/shared/ids.ts";

function reporter() {
  const state = { mark: "a", reads: 0 };
  const report = new NodeUsageReport({
    mark: () => state.mark,
    read: () => [{ nodeId: asId<NodeId>(5), chunkCount: ++state.reads }],
  });
  /** One beat that the MDM answers; what it carried. */
  const beat = () => {
    const told = report.next();
    report.taken(told);
    return told?.usage[0]?.chunkCount;
  };
  return { state, report, beat };
}

Deno.test("NodeUsageReport tells at first, when the mark changes, and after some beats without a change", () => {
  const { state, beat } = reporter();
  assertEquals([beat(), beat(), beat()], [1, undefined, undefined]);
  state.mark = "b";
  assertEquals([beat(), beat()], [2, undefined]);
  const idle = Array.from({ length: TOLD_EVERY_BEATS - 1 }, beat);
  assertEquals(idle, [...Array(TOLD_EVERY_BEATS - 2).fill(undefined), 3]);
  assertEquals(state.reads, 3);
});

Deno.test("NodeUsageReport tells again what no answer has taken, and everything to an MDM that forgot", () => {
  const { report, beat } = reporter();
  assertEquals([report.next()?.usage[0]?.chunkCount, beat(), beat()], [1, 2, undefined]);
  report.forget();
  assertEquals(beat(), 3);
});
