import { assertEquals } from "@std/assert";
import { MdmTime } from "@/sds/core/mdm_time.ts";

const policy = { silentMs: 10_000, outageGraceMs: 900_000 };

Deno.test("MdmTime accepts nothing before the first contact", () => {
  assertEquals(new MdmTime(policy).accepts(Number.MAX_SAFE_INTEGER, 0), false);
});

Deno.test("MdmTime expires by an upper bound: round trip and clock rate count against the token", () => {
  const time = new MdmTime(policy);
  time.observe({ sentMs: 100, answeredMs: 150, mdmTimeMs: 1_000_000 });
  assertEquals(time.accepts(1_000_050, 150), false);
  assertEquals(time.accepts(1_000_051, 150), true);
  assertEquals(time.accepts(1_001_060, 1_150), false);
  assertEquals(time.accepts(1_001_061, 1_150), true);
});

Deno.test("MdmTime never goes back when a later answer tells an earlier time", () => {
  const time = new MdmTime(policy);
  time.observe({ sentMs: 0, answeredMs: 0, mdmTimeMs: 5_000 });
  time.observe({ sentMs: 1_000, answeredMs: 1_000, mdmTimeMs: 1_000 });
  assertEquals(time.accepts(6_000, 1_000), false);
});

Deno.test("MdmTime honours what was valid at the last contact until the outage grace is over", () => {
  const time = new MdmTime(policy);
  time.observe({ sentMs: 0, answeredMs: 0, mdmTimeMs: 0 });
  assertEquals(time.accepts(5_000, 9_000), false, "it expired while the MDM was heard");
  assertEquals(time.accepts(5_000, 10_001), true, "the MDM is silent: valid at the last contact");
  assertEquals(time.accepts(5_000, 900_000), true);
  assertEquals(time.accepts(5_000, 900_001), false);
});

Deno.test("MdmTime.expiredForGood() holds only for what is never accepted again, outages included", () => {
  const time = new MdmTime(policy);
  assertEquals(time.expiredForGood(0), false, "nothing is known yet");
  time.observe({ sentMs: 0, answeredMs: 0, mdmTimeMs: 0 });
  assertEquals(time.accepts(5_000, 9_000), false);
  assertEquals(time.expiredForGood(5_000), false, "a silent MDM would make it valid again");
  time.observe({ sentMs: 9_000, answeredMs: 9_000, mdmTimeMs: 9_000 });
  assertEquals(time.expiredForGood(5_000), true);
  assertEquals(time.accepts(5_000, 20_001), false);
});
