import { assertEquals, assertStringIncludes } from "@std/assert";
import { compare, comparisonTable, type Measurement, median } from "@/scripts/bench/summary.ts";

const TARGETS = { product: "powerflex", peer: "qemu-nbd" };

function run(target: string, iops: number): Measurement {
  return { job: "write 4k", target, iops, bytesPerSecond: iops * 4096, p99Us: 1_000_000 / iops };
}

Deno.test("median() takes the middle of odd and even counts", () => {
  assertEquals(median([3, 1, 2]), 2);
  assertEquals(median([4, 1, 3, 2]), 2.5);
});

Deno.test("compare() pairs the runs of each round, so that a slow phase of the machine hits both", () => {
  const measurements = [
    run("powerflex", 100),
    run("qemu-nbd", 200),
    run("qemu-nbd", 20),
    run("powerflex", 10),
    run("powerflex", 90),
    run("qemu-nbd", 100),
  ];
  const [comparison] = compare(measurements, TARGETS);
  assertEquals(comparison!.ratio, 0.5);
  assertEquals([comparison!.product.iops, comparison!.peer.iops], [90, 100]);
});

Deno.test("comparisonTable() shows medians and the ratio", () => {
  const table = comparisonTable(compare([run("powerflex", 5000), run("qemu-nbd", 10_000)], TARGETS), TARGETS);
  assertStringIncludes(table, "5,000 IO/s  20 MiB/s  p99 0.2 ms");
  assertEquals(table.split("\n").map((line) => line.slice(-5)), ["ratio", " 0.50"]);
});
