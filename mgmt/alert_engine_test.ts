import { assertEquals, assertThrows } from "@std/assert";
import { StorageError } from "@/shared/errors.ts";
import { AlertEngine } from "@/mgmt/alert_engine.ts";
import { openStore } from "@/mgmt/store/store.ts";
import { FakeClock } from "@/tests/support/fake_clock.ts";
import { fakeMdm, type MgmtFixture, mgmtFixture, overviewFixture, sdsFixture } from "@/tests/support/mgmt_fixture.ts";

const POLL_MS = 10_000;

/** Lets sds-2 be silent for `silentMs` at the next poll. */
async function pollWith(mgmt: MgmtFixture, clock: FakeClock, silentMs: number): Promise<void> {
  mgmt.mdm.overview = overviewFixture({
    sdss: [sdsFixture(1), sdsFixture(2, { lastBeatAgeMs: silentMs, state: silentMs < 30_000 ? "up" : "stale" })],
  });
  await clock.advance(POLL_MS);
}

const shown = ({ alerts }: MgmtFixture) =>
  alerts.open().map(({ source, severity, state }) => `${source} ${severity} ${state}`);

Deno.test("scenario: a server stops for 40 s: an alert is raised, and resolves by itself on its return", async () => {
  const clock = new FakeClock();
  await using mgmt = await mgmtFixture({ clock });
  await pollWith(mgmt, clock, 10_000);
  await pollWith(mgmt, clock, 20_000);
  assertEquals(shown(mgmt), []);
  await pollWith(mgmt, clock, 31_000);
  assertEquals(shown(mgmt), ["sds-2 warning active"]);
  await pollWith(mgmt, clock, 400);
  assertEquals(shown(mgmt), []);
  const [alert] = mgmt.store.alerts.list({});
  assertEquals([alert?.state, alert?.resolvedBy, alert?.category], ["resolved", "system", "sds_down"]);
  assertEquals(mgmt.store.alerts.history(1).map(({ event }) => event), ["raised", "resolved"]);
});

Deno.test("AlertEngine makes a missing server critical, and opens the same alert again when it is gone soon again", async () => {
  const clock = new FakeClock();
  await using mgmt = await mgmtFixture({ clock });
  for (const silentMs of [40_000, 61_000, 71_000, 81_000, 91_000, 101_000]) await pollWith(mgmt, clock, silentMs);
  assertEquals(shown(mgmt), ["sds-2 critical active"]);
  await pollWith(mgmt, clock, 0);
  await pollWith(mgmt, clock, 40_000);
  assertEquals(mgmt.store.alerts.history(1).map(({ event, severity }) => `${event} ${severity}`), [
    "raised warning",
    "regraded critical",
    "resolved critical",
    "reopened warning",
  ]);
  assertEquals(mgmt.store.alerts.list({}).length, 1);
});

Deno.test("AlertEngine.act() follows the states, and refuses what they do not allow", async (t) => {
  const clock = new FakeClock();
  await using mgmt = await mgmtFixture({ clock });
  await pollWith(mgmt, clock, 40_000);
  const act = (action: "acknowledge" | "suppress" | "resolve", forMs: number | null = null) =>
    mgmt.alerts.act(1, { action, by: "ann", forMs });
  await t.step("acknowledged, it stays as long as it holds", async () => {
    act("acknowledge");
    await pollWith(mgmt, clock, 40_000);
    assertEquals(shown(mgmt), ["sds-2 warning acknowledged"]);
    const error = assertThrows(() => act("acknowledge"), StorageError);
    assertEquals(error.code, "conflict");
  });
  await t.step("suppressed for a time", async () => {
    act("suppress", 15_000);
    await pollWith(mgmt, clock, 40_000);
    assertEquals(shown(mgmt), ["sds-2 warning suppressed"]);
    await pollWith(mgmt, clock, 40_000);
    assertEquals(shown(mgmt), ["sds-2 warning active"]);
  });
  await t.step("resolved by hand while it holds: raised again only after it was over once", async () => {
    act("resolve");
    await pollWith(mgmt, clock, 50_000);
    assertEquals(shown(mgmt), []);
    await pollWith(mgmt, clock, 0);
    await pollWith(mgmt, clock, 40_000);
    assertEquals(shown(mgmt), ["sds-2 warning active"]);
    assertEquals(mgmt.store.alerts.byId(1)?.resolvedBy, "ann");
  });
  await t.step("not because the MDM was away meanwhile", async () => {
    mgmt.alerts.act(mgmt.alerts.open()[0]!.alertId, { action: "resolve", by: "ann" });
    mgmt.mdm.overview = undefined;
    await clock.advance(POLL_MS);
    await pollWith(mgmt, clock, 50_000);
    assertEquals(shown(mgmt), []);
  });
  await t.step("unknown: refused", () => {
    const error = assertThrows(() => mgmt.alerts.act(99, { action: "resolve", by: "ann" }), StorageError);
    assertEquals(error.code, "not_found");
  });
});

Deno.test("AlertEngine keeps what is open over a restart and while the MDM is away, and tells of its absence", async () => {
  const clock = new FakeClock();
  const store = openStore(":memory:");
  const mdm = fakeMdm();
  await using mgmt = await mgmtFixture({ clock, store, mdm });
  for (const silentMs of [61_000, 71_000, 81_000, 91_000, 101_000, 111_000]) await pollWith(mgmt, clock, silentMs);
  mdm.overview = undefined;
  await clock.advance(POLL_MS);
  assertEquals(shown(mgmt), ["MDM critical active", "sds-2 critical active"]);
  const restarted = new AlertEngine({ store, clock });
  assertEquals(restarted.open().map(({ source }) => source), ["MDM", "sds-2"]);
  await pollWith(mgmt, clock, 131_000);
  assertEquals(shown(mgmt), ["sds-2 critical active"]);
  const { contact, snapshot, rates, mdmUrl } = mgmt.poller.view();
  restarted.evaluate({ contact, snapshot, rates, mdmUrl });
  assertEquals(restarted.open().map(({ severity }) => severity), ["critical"], "the counts are gone, the alert is not");
});

Deno.test("AlertEngine.raiseByHand() keeps an alert until a person resolves it", async () => {
  const clock = new FakeClock();
  await using mgmt = await mgmtFixture({ clock });
  mgmt.alerts.raiseByHand({ severity: "info", source: "rack-1", message: "Work on the power supply" }, "ann");
  await clock.advance(3 * POLL_MS);
  assertEquals(shown(mgmt), ["rack-1 info active"]);
  mgmt.alerts.act(1, { action: "resolve", by: "ann" });
  assertEquals(shown(mgmt), []);
});
