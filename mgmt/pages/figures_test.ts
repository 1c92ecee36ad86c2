import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { FakeClock } from "@/tests/support/fake_clock.ts";
import { MgmtBrowser } from "@/tests/support/mgmt_browser.ts";
import { backupFolder } from "@/mgmt/housekeeping.ts";
import { FIXTURE_PASSWORD, mgmtFixture } from "@/tests/support/mgmt_fixture.ts";

const JSON_ONLY = { headers: { Accept: "application/json" } };

Deno.test("figureRoutes() answers lists and figures as JSON in the predecessor's words", async (t) => {
  await using mgmt = await mgmtFixture({ clock: new FakeClock() });
  const browser = new MgmtBrowser(mgmt.app);
  await browser.signIn();
  const json = async (path: string) => await (await browser.request(path, JSON_ONLY)).json();
  await t.step("lists", async () => {
    assertEquals(await json("/pd"), [{ id: 1, name: "domain-1", pool_count: 1, sds_count: 3 }]);
    assertEquals((await json("/pool"))[0].health, "OK");
    assertEquals((await json("/sds")).map(({ state }: { state: string }) => state), ["UP", "UP", "UP"]);
    assertEquals((await json("/sdc"))[0].mapped_volumes[0].access_mode, "readWrite");
    assertEquals((await json("/volume"))[0].state, "IN_USE");
  });
  await t.step("figures", async () => {
    assertEquals((await json("/metrics")).nodes, { sds: 3, sdc: 1, protection_domains: 1, pools: 1 });
    assertEquals((await json("/status")).cluster_name, "demo");
    const pool = await json("/metrics/pool/1");
    assertEquals([pool.name, pool.total_capacity_gb, pool.timeline.length], ["pool-1", 10, 1]);
    assertEquals(pool.timeline[0].groups_full, 128);
    for (const kind of ["volume", "sds", "sdc"]) assertEquals((await json(`/metrics/${kind}/1`)).id, 1);
    assertEquals((await json("/metrics/volume/9")).code, "not_found");
    assertEquals((await json("/metrics/rack/1")).code, "invalid");
    assertEquals(await json("/pool/1/health"), { id: 1, health: "OK" });
  });
  await t.step("the MDM's word on a rebuild, also when it has none", async () => {
    mgmt.mdm.answers.set("GET /rebuild/status/1", { status: 200, body: { state: "idle", progress_percent: 100 } });
    for (const path of ["/rebuild/1", "/rebuild/1/status"]) assertEquals((await json(path)).state, "idle", path);
    assertStringIncludes(await browser.page("/rebuild/1"), "progress percent");
    mgmt.mdm.answers.set("GET /rebuild/status/1", { status: 501, body: { detail: "Not built yet" } });
    assertStringIncludes(await browser.page("/rebuild/1"), "The MDM says: Not built yet");
  });
});

Deno.test("figureRoutes() draws figures over time", async () => {
  const clock = new FakeClock();
  await using mgmt = await mgmtFixture({ clock });
  const browser = new MgmtBrowser(mgmt.app);
  await browser.signIn();
  assertStringIncludes(await browser.page("/metrics/pool/1"), "Too little is written down yet.");
  await clock.advance(60_000);
  for (const span of ["hour", "day", "week"]) {
    const markup = await browser.page(`/metrics/pool/1?span=${span}`);
    assertMatch(markup, /<path class="line a" d="M[\d. ]+L/, span);
  }
});

Deno.test("settingsRoutes() keeps settings, clean-up and backup to administrators", async () => {
  const directory = await Deno.makeTempDir();
  try {
    await using mgmt = await mgmtFixture({ clock: new FakeClock(), backups: backupFolder(directory) });
    const browser = new MgmtBrowser(mgmt.app);
    await browser.signIn();
    const send = (path: string, fields: Record<string, string> = {}) => browser.submit("/settings", { path, fields });
    const wrong = await send("/settings", { monitoring_retention_days: "0", resolved_alerts_retention_days: "30" });
    assertEquals(wrong.status, 422);
    assertStringIncludes(await wrong.text(), "Write a whole number from 1 to 90.");
    await send("/settings", { monitoring_retention_days: "14", resolved_alerts_retention_days: "30" });
    assertEquals(mgmt.store.config.get("monitoring_retention_days"), 14);
    assertStringIncludes(await (await send("/settings/clean-up")).text(), "Removed 0 figures and 0 resolved alerts");
    assertMatch(await (await send("/settings/backup")).text(), /Written to .*backups\/mgmt-/);
    assertEquals(mgmt.store.audit.newest(3).map(({ action }) => action), ["backup_made", "clean_up", "config_changed"]);
    const hash = mgmt.store.users.byId(1)!.passwordHash;
    mgmt.store.users.add({ name: "operator", role: "operator", passwordHash: hash, nowMs: 0 });
    mgmt.store.users.setPassword(2, { hash, mustChange: false });
    const operator = new MgmtBrowser(mgmt.app);
    await operator.submit("/sign-in", { path: "/sign-in", fields: { name: "operator", password: FIXTURE_PASSWORD } });
    assertEquals((await operator.request("/settings")).status, 403);
    for (const path of ["/settings", "/settings/clean-up", "/settings/backup"]) {
      assertEquals((await operator.submit("/account", { path, fields: {} })).status, 403, path);
    }
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});
