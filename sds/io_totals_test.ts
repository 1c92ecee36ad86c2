import { assertEquals } from "@std/assert";
import { IoTotals } from "@/sds/io_totals.ts";

Deno.test("servedMs() is what operations took together, those under way included", () => {
  const totals = new IoTotals();
  totals.begun(100);
  totals.begun(110);
  totals.ended(130);
  assertEquals([totals.servedOperations, totals.servedMs(130)], [1, 10 + 2 * 20]);
  totals.ended(150);
  assertEquals(
    [totals.servedOperations, totals.servedMs(1_000)],
    [2, 30 + 40],
    "one took 30 or 50 ms, the other the rest",
  );
});
