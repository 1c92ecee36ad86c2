import { assertEquals } from "@std/assert";
import { alertCounts, alertsOf } from "@/mgmt/core/alerts.ts";
import { degradedFixture, FIXTURE_TIME_MS, overviewFixture, sdsFixture } from "@/tests/support/mgmt_fixture.ts";

Deno.test("alertsOf() is empty for a healthy cluster", () => {
  assertEquals(alertsOf(overviewFixture()), []);
});

Deno.test("alertsOf() tells silent servers, missing copies and what the MDM says, worst first", () => {
  const lost = {
    key: "loss:1",
    severity: "critical",
    sinceMs: 5,
    subject: "demo",
    message: "Unflushed writes lost",
  } as const;
  const alerts = alertsOf({ ...degradedFixture({ silentMs: 14_000, joining: 1, done: 0 }), alerts: [lost] });
  assertEquals(alerts.map(({ key, severity }) => [key, severity]), [
    ["loss:1", "critical"],
    ["pool_degraded:1", "warning"],
    ["sds_silent:2", "warning"],
  ]);
  assertEquals(alerts[2]?.sinceMs, FIXTURE_TIME_MS, "silent since its last beat");
  assertEquals(alertCounts(alerts), { info: 0, warning: 2, error: 0, critical: 1 });
});

Deno.test("alertsOf() keeps the key while severity rises", () => {
  const down = overviewFixture({ sdss: [sdsFixture(2, { state: "down", lastBeatAgeMs: 90_000 })] });
  assertEquals(alertsOf(down).map(({ key, severity }) => [key, severity]), [["sds_silent:2", "critical"]]);
});

Deno.test("alertsOf() tells failed devices, silent clients and full pools", () => {
  const base = overviewFixture();
  const device = { ...sdsFixture(1).devices[0]!, state: "failed" as const };
  const alerts = alertsOf({
    ...base,
    sdss: [sdsFixture(1, { devices: [device] })],
    sdcs: [{ ...base.sdcs[0]!, state: "down", lastBeatAgeMs: 70_000 }],
    pools: [{ ...base.pools[0]!, rawUsedBytes: 81, rawCapacityBytes: 100 }],
  });
  assertEquals(alerts.map(({ key, severity }) => [key, severity]), [
    ["device_failed:1", "error"],
    ["sdc_silent:1", "error"],
    ["pool_full:1", "warning"],
  ]);
});
