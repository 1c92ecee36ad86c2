import { assert, assertEquals } from "@std/assert";
import { afterRefusal, backoffMs } from "@/sdc/core/retry.ts";

Deno.test("afterRefusal() follows the table of refusals", () => {
  assertEquals(afterRefusal("stale_epoch", 0, 0.5), { kind: "retry", needs: "map", delayMs: 50 });
  assertEquals(afterRefusal("not_ready", 2, 1), { kind: "retry", needs: "map", delayMs: 200 });
  assertEquals(afterRefusal("outcome_unknown", 0, 0), { kind: "retry", needs: "map", delayMs: 50 });
  assertEquals(afterRefusal("token_expired", 0, 0), { kind: "retry", needs: "token", delayMs: 50 });
  assertEquals(afterRefusal("fenced", 0, 0), { kind: "stop" });
  for (const code of ["pool_full", "io_error", "bad_request", "token_mode", "give_up"] as const) {
    assertEquals(afterRefusal(code, 0, 0), { kind: "fail" }, code);
  }
});

Deno.test("backoffMs() stays between 50 ms and its ceiling and grows", () => {
  for (let attempt = 0; attempt < 40; attempt++) {
    for (const fraction of [0, 0.3, 0.999]) {
      const delayMs = backoffMs(attempt, fraction);
      assert(delayMs >= 50 && delayMs <= 1000, `${delayMs}`);
    }
  }
  assertEquals(backoffMs(20, 1), 1000);
  assertEquals(backoffMs(20, 1, 250), 250);
});
