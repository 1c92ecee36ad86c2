import { assertEquals } from "@std/assert";
import {
  counted,
  formatByteRate,
  formatBytes,
  formatCount,
  formatDuration,
  formatPercent,
  listed,
  percentOf,
} from "@/mgmt/core/format.ts";

Deno.test("formatBytes() shows three digits at most and never 1024 of a unit", () => {
  const sizes = [
    0,
    1,
    999,
    1023,
    1024,
    1536,
    10 * 1024,
    1023 * 1024,
    1.5 * 1024 ** 3,
    999.4 * 1024 ** 3,
    16 * 1024 ** 4,
  ];
  assertEquals(sizes.map(formatBytes), [
    "0 bytes",
    "1 byte",
    "999 bytes",
    "1 KiB",
    "1 KiB",
    "1.5 KiB",
    "10 KiB",
    "1 MiB",
    "1.5 GiB",
    "999 GiB",
    "16 TiB",
  ]);
  assertEquals([formatByteRate(0), formatByteRate(2048)], ["0", "2 KiB/s"]);
});

Deno.test("formatCount() shortens large numbers", () => {
  assertEquals([0, 0.44, 9.96, 350.4, 9999, 10_000, 62_600, 999_600].map(formatCount), [
    "0",
    "0.4",
    "10",
    "350",
    "9999",
    "10 k",
    "62.6 k",
    "1 M",
  ]);
});

Deno.test("formatDuration() rounds down to whole units", () => {
  const minutes = 60_000;
  assertEquals(
    [-5, 1_999, 119_999, 120_000, 119 * minutes, 120 * minutes, 125 * minutes, 50 * 60 * minutes].map(formatDuration),
    [
      "0 s",
      "1 s",
      "119 s",
      "2 min",
      "119 min",
      "2 h",
      "2 h 5 min",
      "2 days",
    ],
  );
});

Deno.test("percentOf() says 100 only for all of it", () => {
  assertEquals([percentOf(127.9, 128), percentOf(128, 128), percentOf(1, 0), percentOf(3, 2)], [99, 100, 0, 100]);
  assertEquals([formatPercent(1, 1000), formatPercent(0, 10)], ["under 1 %", "0 %"]);
});

Deno.test("listed() and counted() read as words", () => {
  assertEquals([[], ["a"], ["a", "b"], ["a", "b", "c"], ["a", "b", "c", "d", "e"]].map(listed), [
    "",
    "a",
    "a and b",
    "a, b and c",
    "a, b, c and 2 more",
  ]);
  assertEquals([counted(1, "group"), counted(0, "group"), counted(2, "join runs", "joins run")], [
    "1 group",
    "0 groups",
    "2 joins run",
  ]);
});
