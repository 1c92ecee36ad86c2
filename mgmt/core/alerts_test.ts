import { assertEquals } from "@std/assert";
import { alertKey, type AlertRule, evaluateRules, type Reading, SEEDED_RULES } from "@/mgmt/core/alert_rules.ts";
import { readingsOf, withRebuildProgress } from "@/mgmt/core/alert_readings.ts";
import { actionsIn, type Alert, alertCounts, changesFor, type Finding } from "@/mgmt/core/alerts.ts";
import { volumeKey } from "@/mgmt/core/rates.ts";
import { degradedFixture, overviewFixture, sdsFixture } from "@/tests/support/mgmt_fixture.ts";

const RULES: readonly AlertRule[] = SEEDED_RULES.map((rule, index) => ({ ...rule, ruleId: index + 1, isActive: true }));
const NONE = { rates: new Map(), rebuildIdle: new Map() };

function beat(ageSeconds: number): Reading {
  return {
    sourceType: "SDS",
    sourceId: 2,
    sourceName: "sds-2",
    metric: "heartbeat_age_seconds",
    value: ageSeconds,
    message: "",
  };
}

function alert(change: Partial<Alert> = {}): Alert {
  return {
    alertId: 1,
    key: "sds_down:sds-2",
    ruleId: 6,
    category: "sds_down",
    severity: "warning",
    state: "active",
    source: "sds-2",
    message: "silent",
    raisedAtMs: 0,
    acknowledgedBy: null,
    suppressedUntilMs: null,
    resolvedAtMs: null,
    resolvedBy: null,
    ...change,
  };
}

const FINDING: Finding = {
  key: "sds_down:sds-2",
  ruleId: 6,
  category: "sds_down",
  severity: "warning",
  source: "sds-2",
  message: "silent",
  coolDownMs: 300_000,
};

const FACTS = { open: [], resolved: [], heldBack: new Set<string>(), isKnown: () => true, nowMs: 1_000 };

Deno.test("SEEDED_RULES holds the five rules of the predecessor", () => {
  const shown = SEEDED_RULES.slice(0, 5).map((rule) => [
    rule.name,
    rule.sourceType,
    rule.metric,
    rule.threshold,
    rule.severity,
    rule.everyMs / 1000,
    rule.consecutive,
  ]);
  assertEquals(shown, [
    ["SDS Heartbeat Missed", "SDS", "heartbeat_age_seconds", 60, "critical", 30, 2],
    ["SDC Heartbeat Missed", "SDC", "heartbeat_age_seconds", 60, "error", 30, 2],
    ["Pool Capacity Warning", "POOL", "capacity_used_percent", 80, "warning", 60, 1],
    ["Pool Capacity Critical", "POOL", "capacity_used_percent", 95, "critical", 60, 1],
    ["High IO Error Rate", "VOLUME", "io_error_rate_percent", 1, "error", 60, 3],
  ]);
});

Deno.test("evaluateRules() tells of a silent server after 30 s, and that it is critical after two looks beyond 60 s", () => {
  let progress = new Map() as Parameters<typeof evaluateRules>[0];
  const open = new Map<string, number | null>();
  const seen: string[] = [];
  for (let second = 0; second <= 130; second += 10) {
    const outcome = evaluateRules(progress, {
      rules: RULES,
      readings: [beat(second)],
      nowMs: second * 1000,
      ruleOfOpenAlert: open,
    });
    progress = outcome.progress;
    const [firing] = outcome.firing;
    if (firing) open.set(firing.key, firing.rule.ruleId);
    seen.push(`${second}: ${firing?.rule.name ?? "-"}`);
  }
  assertEquals(seen, [
    ...[0, 10, 20, 30].map((second) => `${second}: -`),
    ...[40, 50, 60, 70, 80, 90, 100, 110].map((second) => `${second}: SDS Stale`),
    "120: SDS Heartbeat Missed",
    "130: SDS Heartbeat Missed",
  ]);
  const back = evaluateRules(progress, { rules: RULES, readings: [beat(0)], nowMs: 131_000, ruleOfOpenAlert: open });
  assertEquals(back.firing, [], "over at once when it beats again, whenever the rule is due");
});

Deno.test("evaluateRules() counts looks in a row only, and keeps the rule of an open alert over a restart", async (t) => {
  const facts = { rules: RULES, readings: [beat(70)], ruleOfOpenAlert: new Map<string, number | null>() };
  await t.step("one good look begins anew", () => {
    const first = evaluateRules(new Map(), { ...facts, nowMs: 0 });
    const good = evaluateRules(first.progress, { ...facts, readings: [beat(1)], nowMs: 30_000 });
    const bad = evaluateRules(good.progress, { ...facts, nowMs: 60_000 });
    assertEquals(bad.firing.map(({ rule }) => rule.name), ["SDS Stale"]);
  });
  await t.step("after a restart the counts are gone, the alert is not", () => {
    const ruleOfOpenAlert = new Map([[alertKey(RULES[0]!, 2), RULES[0]!.ruleId]]);
    const after = evaluateRules(new Map(), { ...facts, ruleOfOpenAlert, nowMs: 0 });
    assertEquals(after.firing.map(({ rule }) => rule.name), ["SDS Heartbeat Missed"]);
  });
  await t.step("a rule that is switched off does not fire", () => {
    const rules = RULES.map((rule) => ({ ...rule, isActive: false }));
    assertEquals(evaluateRules(new Map(), { ...facts, rules, nowMs: 0 }).firing, []);
  });
});

Deno.test("readingsOf() has nothing over a threshold in a healthy cluster, and every trouble of an ill one", () => {
  const firing = (overview: Parameters<typeof readingsOf>[0], facts: Parameters<typeof readingsOf>[1] = NONE) =>
    evaluateRules(new Map(), {
      rules: RULES.map((rule) => ({ ...rule, consecutive: 1 })),
      readings: readingsOf(overview, facts),
      nowMs: 0,
      ruleOfOpenAlert: new Map(),
    }).firing.map(({ key, rule }) => [key, rule.severity]);
  const base = overviewFixture();
  assertEquals(firing(base), []);
  assertEquals(firing(degradedFixture({ silentMs: 14_000, joining: 1, done: 0 })), [
    ["pool_degraded:pool-1", "warning"],
  ]);
  const ill = {
    ...base,
    sdss: [
      sdsFixture(1, { devices: [{ ...sdsFixture(1).devices[0]!, state: "failed" as const }] }),
      sdsFixture(2, { stopping: true, lastBeatAgeMs: 5_000 }),
    ],
    sdcs: [{ ...base.sdcs[0]!, lastBeatAgeMs: 70_000 }],
    pools: [{ ...base.pools[0]!, rawUsedBytes: 96, rawCapacityBytes: 100 }],
  };
  const errors = { readsPerSecond: 90, writesPerSecond: 0, readBytesPerSecond: 0, writtenBytesPerSecond: 0 };
  const rates = new Map([[volumeKey(1), { ...errors, errorsPerSecond: 10 }]]);
  assertEquals(firing(ill, { ...NONE, rates }).toSorted(), [
    ["capacity_warning:pool-1", "critical"],
    ["device_failed:sds-1", "error"],
    ["heartbeat_miss:sdc-1", "error"],
    ["io_error_rate:volume-1", "error"],
    ["sds_down:sds-2", "warning"],
  ]);
});

Deno.test("withRebuildProgress() measures since when a rebuild stands still", () => {
  const at = (silentMs: number, done: number) => degradedFixture({ silentMs, joining: 4, done });
  const first = withRebuildProgress(new Map(), at(10_000, 3));
  const moved = withRebuildProgress(first, at(20_000, 4));
  const stands = withRebuildProgress(moved, at(90_000, 4));
  const idle = readingsOf(at(90_000, 4), { rates: new Map(), rebuildIdle: stands })
    .find(({ metric }) => metric === "rebuild_idle_seconds");
  assertEquals(idle?.value, 70);
  assertEquals(withRebuildProgress(stands, overviewFixture()).size, 0);
});

Deno.test("changesFor() raises, keeps, regrades and resolves", async (t) => {
  await t.step("new: raised", () => {
    assertEquals(changesFor([FINDING], FACTS), [{ kind: "raise", finding: FINDING }]);
  });
  await t.step("known: nothing, also when somebody acknowledged or suppressed it", () => {
    for (const state of ["active", "acknowledged", "suppressed"] as const) {
      assertEquals(changesFor([FINDING], { ...FACTS, open: [alert({ state })] }), []);
    }
  });
  await t.step("another rule of the condition: regraded", () => {
    const worse: Finding = { ...FINDING, ruleId: 1, severity: "critical" };
    assertEquals(changesFor([worse], { ...FACTS, open: [alert()] }), [{ kind: "regrade", alertId: 1, finding: worse }]);
  });
  await t.step("over: resolved, but not what a person raised or what is not known", () => {
    const open = [
      alert(),
      alert({ alertId: 2, key: "m", category: "manual" }),
      alert({ alertId: 3, key: "x", category: "mdm" }),
    ];
    const isKnown = (category: string) => category !== "mdm";
    assertEquals(changesFor([], { ...FACTS, open, isKnown }), [{ kind: "resolve", alertId: 1 }]);
  });
  await t.step("back within the cool-down: opened again; later: a new one", () => {
    const resolved = [alert({ alertId: 7, state: "resolved", resolvedAtMs: 0, resolvedBy: "system" })];
    assertEquals(changesFor([FINDING], { ...FACTS, resolved, nowMs: 299_999 }), [
      { kind: "reopen", alertId: 7, finding: FINDING },
    ]);
    assertEquals(changesFor([FINDING], { ...FACTS, resolved, nowMs: 300_000 }), [{ kind: "raise", finding: FINDING }]);
  });
  await t.step("resolved by a person while it holds: not raised again", () => {
    assertEquals(changesFor([FINDING], { ...FACTS, heldBack: new Set([FINDING.key]) }), []);
  });
  await t.step("suppressed for a time that is over: active again", () => {
    const open = [alert({ state: "suppressed", suppressedUntilMs: 1_000 })];
    assertEquals(changesFor([FINDING], { ...FACTS, open }), [{ kind: "end_suppression", alertId: 1 }]);
  });
});

Deno.test("alertCounts() counts what wants attention", () => {
  const alerts = (["active", "acknowledged", "suppressed", "resolved"] as const).map((state) => alert({ state }));
  assertEquals(alertCounts(alerts), { info: 0, warning: 2, error: 0, critical: 0 });
  assertEquals(actionsIn("resolved"), []);
});
