import { assertEquals } from "@std/assert";
import { MdmFixture } from "@/tests/support/mdm_fixture.ts";

Deno.test("/rebuild and /sds/{id}/fail have the predecessor's shapes", async (t) => {
  await using fixture = new MdmFixture();
  await fixture.topology(3);
  await t.step("nothing was ever copied: idle", async () => {
    const status = await fixture.ok("GET", "/rebuild/status/1");
    const { state, control, progress_percent, time_left_seconds, pool_health, jobs } = status;
    assertEquals([state, control, progress_percent, time_left_seconds, pool_health, jobs], [
      ...["idle", "run", 100, null, "OK", []],
    ]);
  });
  await t.step("start, pause, resume, cancel say what they did, and do it", async () => {
    const paused = await fixture.ok("POST", "/api/v1/rebuild/1/pause");
    assertEquals([paused.status, paused.rebuild.control], ["paused", "paused"]);
    assertEquals((await fixture.ok("POST", "/rebuild/cancel/1")).rebuild.control, "cancelled");
    const started = await fixture.ok("POST", "/rebuild/start/1");
    assertEquals([started.status, typeof started.message, started.rebuild.control], ["started", "string", "run"]);
    assertEquals((await fixture.ok("POST", "/api/v1/rebuild/1/resume")).rebuild.control, "run");
  });
  await t.step("the limit is a whole number of MB/s above 0; a refusal changes nothing", async () => {
    const limit = (value: unknown) =>
      fixture.call("PUT", "/api/v1/rebuild/1/limit", { body: { rebuild_rate_limit_mbps: value } });
    assertEquals((await limit(25)).status, 200);
    for (const bad of [0, -1, 1.5, "many"]) assertEquals((await limit(bad)).status, 422, String(bad));
    assertEquals((await fixture.ok("GET", "/api/v1/rebuild/1")).rebuild_rate_limit_mbps, 25);
  });
  await t.step("no pool, no job: 404", async () => {
    for (const path of ["/rebuild/status/9", "/api/v1/rebuild/1/jobs/7/tasks"]) {
      assertEquals((await fixture.call("GET", path)).status, 404, path);
    }
    assertEquals((await fixture.call("POST", "/rebuild/start/9")).status, 404);
  });
  await t.step("fail and recover", async () => {
    const failed = await fixture.ok("POST", "/sds/2/fail");
    assertEquals([failed.id, failed.state, (await fixture.ok("GET", "/sds/2")).state], [2, "DOWN", "DOWN"]);
    const recovered = await fixture.ok("POST", "/sds/2/recover");
    assertEquals([recovered.id, recovered.state, (await fixture.ok("GET", "/sds/2")).state], [2, "UP", "UP"]);
    assertEquals((await fixture.call("POST", "/sds/9/fail")).status, 404);
  });
});
