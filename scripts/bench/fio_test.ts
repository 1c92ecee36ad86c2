import { assertEquals, assertThrows } from "@std/assert";
import { type FioJob, resultOf } from "@/scripts/bench/fio.ts";

const JOB: FioJob = { name: "write", pattern: "randwrite", blockBytes: 4096, depth: 32 };

function report(error: number): string {
  const idle = { iops: 0, bw_bytes: 0, clat_ns: {} };
  const busy = { iops: 1000.5, bw_bytes: 4_098_048, clat_ns: { percentile: { "99.000000": 1_500_000 } } };
  return `note: a line before the report\n${JSON.stringify({ jobs: [{ error, read: idle, write: busy }] })}`;
}

Deno.test("resultOf() reads the direction of the job", () => {
  assertEquals(resultOf(report(0), JOB), { iops: 1000.5, bytesPerSecond: 4_098_048, p99Us: 1500 });
  assertEquals(resultOf(report(0), { ...JOB, pattern: "randread" }).iops, 0);
});

Deno.test("resultOf() does not pass over an IO error", () => {
  assertThrows(() => resultOf(report(5), JOB), Error, "fio reports error 5 at write");
});
