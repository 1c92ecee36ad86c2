import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { FakeClock } from "@/tests/support/fake_clock.ts";
import { MgmtBrowser } from "@/tests/support/mgmt_browser.ts";
import { type MgmtFixture, mgmtFixture } from "@/tests/support/mgmt_fixture.ts";

const ACCEPT_JSON = { headers: { Accept: "application/json" } };

async function withAlerts(mgmt: MgmtFixture): Promise<MgmtBrowser> {
  mgmt.alerts.raiseByHand({ severity: "error", source: "rack-1", message: "Power supply" }, "ann");
  mgmt.alerts.raiseByHand({ severity: "info", source: "rack-2", message: "Work" }, "ann");
  const browser = new MgmtBrowser(mgmt.app);
  await browser.signIn();
  return browser;
}

Deno.test("alertRoutes() lists what is open, and finds by state, severity, category and source", async () => {
  await using mgmt = await mgmtFixture({ clock: new FakeClock(), auth: "open" });
  await withAlerts(mgmt);
  mgmt.alerts.act(2, { action: "resolve", by: "ann" });
  const sources = async (query: string) => {
    const alerts: { source: string }[] = await (await mgmt.app.request(`/alerts${query}`, ACCEPT_JSON)).json();
    return alerts.map(({ source }) => source);
  };
  assertEquals(await sources(""), ["rack-1"]);
  assertEquals(await sources("?state=resolved"), ["rack-2"]);
  assertEquals(await sources("?category=manual"), ["rack-2", "rack-1"]);
  assertEquals(await sources("?severity=error&source=rack-1"), ["rack-1"]);
  assertEquals(await sources("?severity=&source=none"), []);
  assertEquals((await mgmt.app.request("/alerts?severity=loud", ACCEPT_JSON)).status, 422);
  const summary = await (await mgmt.app.request("/health/api/summary", ACCEPT_JSON)).json();
  assertEquals(summary.alert_counts, { info: 0, warning: 0, error: 1, critical: 0 });
});

Deno.test("alertRoutes() acknowledges, suppresses and resolves, and writes it down", async () => {
  await using mgmt = await mgmtFixture({ clock: new FakeClock() });
  const browser = await withAlerts(mgmt);
  const send = (path: string, fields: Record<string, string> = {}) => browser.submit("/alerts", { path, fields });
  assertEquals((await send("/alerts/acknowledge/1")).headers.get("Location"), "/alerts?done=alert_changed");
  assertEquals((await send("/alerts/acknowledge/1")).status, 409);
  assertEquals(
    (await send("/alerts/suppress/2", { hours: "8", back: "/alerts/2" })).headers.get("Location"),
    "/alerts/2?done=alert_changed",
  );
  assertStringIncludes(await browser.page("/alerts/2"), "Suppressed until");
  await send("/alerts/resolve/1");
  assertEquals((await send("/alerts/resolve/9")).status, 404);
  assertEquals(
    mgmt.store.audit.newest(3).map(({ action, detail }) => `${action}: ${detail}`),
    [
      "alert_resolved: alert 1 about rack-1",
      "alert_suppressed: alert 2 about rack-2 for 8 h",
      "alert_acknowledged: alert 1 about rack-1",
    ],
  );
  assertStringIncludes(await browser.page("/alerts/1"), "resolved by admin");
});

Deno.test("alertRoutes() changes nothing without a login or this browser's token, open or not", async () => {
  for (const auth of ["open", "token"] as const) {
    await using mgmt = await mgmtFixture({ clock: new FakeClock(), auth });
    const browser = await withAlerts(mgmt);
    const visitor = new MgmtBrowser(mgmt.app);
    for (const path of ["/alerts/acknowledge/1", "/alerts/resolve/1", "/alerts/suppress/1", "/alerts/create"]) {
      assertEquals((await visitor.request(path, { method: "POST", body: new URLSearchParams() })).status, 403, path);
      assert(
        (await visitor.submit("/sign-in", { path, fields: {} })).headers.get("Location")?.startsWith("/sign-in"),
        path,
      );
      assertEquals((await browser.request(path, { method: "POST", body: new URLSearchParams() })).status, 403, path);
    }
    assertEquals(mgmt.alerts.open().map(({ state }) => state), ["active", "active"]);
    assertEquals((await visitor.request("/alerts/1")).status, 303, "one alert needs a login");
  }
});

Deno.test("alertRoutes() raises alerts by hand and changes rules", async () => {
  await using mgmt = await mgmtFixture({ clock: new FakeClock() });
  const browser = await withAlerts(mgmt);
  const raise = (fields: Record<string, string>) =>
    browser.submit("/alerts/create", { path: "/alerts/create", fields });
  const wrong = await raise({ severity: "info", source: "", message: "m" });
  assertEquals(wrong.status, 422);
  assertStringIncludes(await wrong.text(), "Say what it is about.");
  assertEquals((await raise({ severity: "critical", source: "rack-3", message: "Water" })).status, 303);
  assertEquals(mgmt.alerts.open()[0]?.source, "rack-3");
  const path = "/alerts/rules/3";
  assertEquals((await browser.submit("/alerts/rules", { path, fields: { threshold: "5" } })).status, 303);
  const rule = mgmt.store.alertRules.all()[2]!;
  assertEquals([rule.name, rule.threshold, rule.isActive], ["Pool Capacity Warning", 5, false]);
  await browser.submit("/alerts/rules", { path, fields: { threshold: "5", is_active: "1" } });
  await mgmt.poller.pollAnew();
  assertEquals(mgmt.alerts.open().map(({ source }) => source), ["rack-3", "rack-1", "pool-1", "rack-2"]);
});
