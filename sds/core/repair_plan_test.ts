import { assertEquals } from "@std/assert";
import { planRepair } from "@/sds/core/repair_plan.ts";

Deno.test("planRepair() mends what is bad from what is good, and calls damaged only what everybody has lost", async (t) => {
  const plan = (own: number | "bad", ...members: (number | "bad" | undefined)[]) =>
    planRepair({ first: 7, own: [own], members: members.map((state) => state === undefined ? undefined : [state]) });
  await t.step("equal or unasked: nothing", () => {
    assertEquals(plan(5, 5), []);
    assertEquals(plan(0, 0), []);
    assertEquals(plan(5, undefined), []);
    assertEquals(plan(5), []);
  });
  await t.step("bad at a member", () => {
    assertEquals(plan(5, "bad", 5), [{ kind: "mend_members", block: 7, members: [0], differ: false }]);
  });
  await t.step("another good block at a member: the primary's is kept", () => {
    assertEquals(plan(0, 6), [{ kind: "mend_members", block: 7, members: [0], differ: true }]);
  });
  await t.step("bad here", () => {
    assertEquals(plan("bad", "bad", 5), [{ kind: "mend_here", block: 7, from: 1, members: [0] }]);
    assertEquals(plan("bad", 0), [{ kind: "mend_here", block: 7, from: 0, members: [] }]);
  });
  await t.step("bad everywhere, and bad with somebody who does not answer", () => {
    assertEquals(plan("bad", "bad"), [{ kind: "damaged", block: 7, members: [0] }]);
    assertEquals(plan("bad"), [{ kind: "damaged", block: 7, members: [] }]);
    assertEquals(plan("bad", "bad", undefined), [{ kind: "unknown", block: 7 }]);
  });
});
