import { assert, assertEquals, assertMatch, assertNotEquals, assertStringIncludes } from "@std/assert";
import { ASSET_URLS } from "@/mgmt/assets.ts";
import { SESSION_AGE_MS, SESSION_IDLE_MS } from "@/mgmt/auth/session_service.ts";
import { LOCK_MS_MIN } from "@/mgmt/core/lockout.ts";
import { ADDRESS_WINDOW_MS, ATTEMPTS_PER_ADDRESS_MAX } from "@/mgmt/auth/sign_in.ts";
import { FakeClock } from "@/tests/support/fake_clock.ts";
import { MgmtBrowser, tokenOf } from "@/tests/support/mgmt_browser.ts";
import { fakeMdm, FIXTURE_PASSWORD, mgmtFixture } from "@/tests/support/mgmt_fixture.ts";

const SESSION_COOKIE = "pf_session_5000";
const CLUSTER_PATHS = [
  "/",
  "/sds",
  "/sds/1",
  "/pool",
  "/pool/1",
  "/volume",
  "/volume/1",
  "/sdc",
  "/sdc/1",
  "/metrics",
  "/discovery",
  "/topology",
  "/pd",
  "/pd/1",
  "/rebuild",
];
const OWN_PATHS = ["/alerts", "/health", "/account", "/audit"];

Deno.test("createApp() lets nobody see a page without signing in", async () => {
  await using mgmt = await mgmtFixture({ clock: new FakeClock() });
  const browser = new MgmtBrowser(mgmt.app);
  for (const path of [...CLUSTER_PATHS, ...OWN_PATHS]) {
    const answer = await browser.request(path);
    assertEquals(
      [answer.status, answer.headers.get("Location")],
      [303, `/sign-in?next=${encodeURIComponent(path)}`],
      path,
    );
  }
  for (const path of ["/events?page=/", "/health/api/summary", "/health/api/components", "/alerts", "/sds"]) {
    const answer = await mgmt.app.request(path, { headers: { Accept: "application/json" } });
    assertEquals([answer.status, (await answer.json()).code], [401, "unauthorized"], path);
  }
});

Deno.test("createApp() shows every page to those who are signed in", async () => {
  await using mgmt = await mgmtFixture({ clock: new FakeClock() });
  const browser = new MgmtBrowser(mgmt.app);
  const signedIn = await browser.signIn();
  assertEquals([signedIn.status, signedIn.headers.get("Location")], [303, "/"]);
  assertMatch(
    signedIn.headers.getSetCookie().join(),
    /pf_session_5000=[\w-]{43}; Max-Age=604800; Path=\/; HttpOnly; SameSite=Strict/,
  );
  for (const path of [...CLUSTER_PATHS, ...OWN_PATHS]) {
    const answer = await browser.request(path);
    assertEquals(answer.status, 200, path);
    const markup = await answer.text();
    assert(!/ style=|<script>|onclick=/.test(markup), `${path} has nothing inline`);
    assertEquals(answer.headers.get("Cache-Control"), "no-store");
    assertStringIncludes(answer.headers.get("Content-Security-Policy") ?? "", "default-src 'none'");
  }
  assertStringIncludes(await browser.page("/"), "All 128 groups have two copies; 3 of 3 storage servers are up.");
  const missing = await browser.request("/volume/99");
  assertEquals(missing.status, 404);
  assertStringIncludes(await missing.text(), "Volume 99 is not there.");
  const unknown = await browser.request("/nowhere");
  assertEquals(unknown.status, 404);
  assertStringIncludes(await unknown.text(), "Cannot GET /nowhere: no such path");
});

Deno.test("createApp() never keeps the id of a session where others could read it", async () => {
  await using mgmt = await mgmtFixture({ clock: new FakeClock() });
  const browser = new MgmtBrowser(mgmt.app);
  await browser.signIn();
  const [row] = mgmt.store.sessions.ofUser(1);
  assertNotEquals(row?.idHash, browser.cookies.get(SESSION_COOKIE));
  browser.cookies.set(SESSION_COOKIE, row!.idHash);
  assertEquals((await browser.request("/")).status, 303, "the stored hash opens nothing");
});

Deno.test("createApp() leads the one-time password to a new one, and nowhere else", async () => {
  await using mgmt = await mgmtFixture({ clock: new FakeClock(), oneTime: true });
  const browser = new MgmtBrowser(mgmt.app);
  assertStringIncludes(await browser.page("/sign-in"), "one_time_password");
  assertEquals((await browser.signIn()).headers.get("Location"), "/password");
  const oldSession = browser.cookies.get(SESSION_COOKIE)!;
  assertEquals((await browser.request("/")).headers.get("Location"), "/password");
  const events = await browser.request("/events?page=/", { headers: { Accept: "text/event-stream" } });
  assertEquals(events.status, 401, "no figures before");
  const change = (fields: Record<string, string>) => browser.submit("/password", { path: "/password", fields });

  assertStringIncludes(await (await change({ password: "short", repeated: "short" })).text(), "use at least 12");
  const differing = await change({ password: "four unrelated words", repeated: "four unrelated wordz" });
  assertEquals(differing.status, 422);
  const same = await change({ password: FIXTURE_PASSWORD, repeated: FIXTURE_PASSWORD });
  assertStringIncludes(await same.text(), "the password that you have now");
  assertEquals(mgmt.replacedCount(), 0);

  const changed = await change({ password: "four unrelated words", repeated: "four unrelated words" });
  assertEquals([changed.status, changed.headers.get("Location")], [303, "/"]);
  assertEquals(mgmt.replacedCount(), 1);
  assertEquals((await browser.request("/")).status, 200);
  browser.cookies.set(SESSION_COOKIE, oldSession);
  assertEquals((await browser.request("/")).status, 303, "the session of the one-time password is over");
  assertEquals((await new MgmtBrowser(mgmt.app).signIn()).status, 401, "so is the password");
});

Deno.test("createApp() refuses forms that this browser was not given", async (t) => {
  await using mgmt = await mgmtFixture({ clock: new FakeClock() });
  const browser = new MgmtBrowser(mgmt.app);
  const fields = { name: "admin", password: FIXTURE_PASSWORD };
  await t.step("sign-in without a token", async () => {
    const answer = await browser.request("/sign-in", { method: "POST", body: new URLSearchParams(fields) });
    assertEquals([answer.status, browser.cookies.has(SESSION_COOKIE)], [403, false]);
  });
  await t.step("sign-in with another visitor's token", async () => {
    const token = tokenOf(await new MgmtBrowser(mgmt.app).page("/sign-in"));
    await browser.page("/sign-in");
    const body = new URLSearchParams({ ...fields, form_token: token });
    assertEquals((await browser.request("/sign-in", { method: "POST", body })).status, 403);
  });
  await t.step("from another site, even with the right token", async () => {
    const token = tokenOf(await browser.page("/sign-in"));
    const body = new URLSearchParams({ ...fields, form_token: token });
    const headers = { Origin: "http://elsewhere.example" };
    assertEquals((await browser.request("/sign-in", { method: "POST", body, headers })).status, 403);
    assertEquals(
      (await browser.request("/sign-in", { method: "POST", body, headers: { Origin: "http://localhost" } })).status,
      303,
    );
  });
  await t.step("signed in: each form without its token", async () => {
    for (const path of ["/sign-out", "/password", "/account/end-other-sessions", "/theme"]) {
      assertEquals((await browser.request(path, { method: "POST", body: new URLSearchParams() })).status, 403, path);
    }
    assertEquals((await browser.request("/")).status, 200, "nothing happened");
  });
});

Deno.test("createApp() locks a user after five wrong passwords, for a while", async () => {
  const clock = new FakeClock();
  await using mgmt = await mgmtFixture({ clock });
  const browser = new MgmtBrowser(mgmt.app);
  for (let index = 0; index < 5; index++) {
    const refused = await browser.signIn("not the password");
    assertEquals(refused.status, 401);
    assertStringIncludes(await refused.text(), "The name or the password is not right.");
  }
  const locked = await browser.signIn();
  assertEquals([locked.status, locked.headers.get("Retry-After")], [429, "30"]);
  assertStringIncludes(await locked.text(), "Too many failed tries. Wait 30 s");
  await clock.advance(LOCK_MS_MIN);
  assertEquals((await browser.signIn()).status, 303);
  const results = mgmt.store.audit.newest(10).map(({ action, result, detail }) =>
    `${action} ${result} ${detail}`.trim()
  );
  assertEquals(results.slice(0, 3), [
    "user_login ok",
    "user_login refused locked after wrong passwords",
    "user_login refused wrong name or password",
  ]);
});

Deno.test("createApp() slows down an address that tries many names", async () => {
  const clock = new FakeClock();
  await using mgmt = await mgmtFixture({ clock });
  const browser = new MgmtBrowser(mgmt.app);
  const attempt = (name: string) => browser.submit("/sign-in", { path: "/sign-in", fields: { name, password: "x" } });
  for (let index = 0; index < ATTEMPTS_PER_ADDRESS_MAX; index++) {
    assertEquals((await attempt(`user-${index}`)).status, 401);
  }
  assertEquals((await attempt("one-more")).status, 429);
  await clock.advance(ADDRESS_WINDOW_MS);
  assertEquals((await attempt("one-more")).status, 401);
});

Deno.test("createApp() ends sessions by idleness, by age and by signing out", async (t) => {
  const clock = new FakeClock();
  await using mgmt = await mgmtFixture({ clock, pollMs: SESSION_AGE_MS });
  const browser = new MgmtBrowser(mgmt.app);
  const status = async () => (await browser.request("/")).status;
  await t.step("used often enough, it lasts", async () => {
    await browser.signIn();
    await clock.advance(SESSION_IDLE_MS - 1);
    assertEquals(await status(), 200);
    await clock.advance(SESSION_IDLE_MS - 1);
    assertEquals(await status(), 200);
  });
  await t.step("idle: over", async () => {
    await clock.advance(SESSION_IDLE_MS);
    assertEquals(await status(), 303);
    assertEquals(mgmt.store.sessions.ofUser(1), []);
  });
  await t.step("old: over, however busy", async () => {
    await browser.signIn();
    const stepMs = SESSION_IDLE_MS / 2;
    for (let ageMs = stepMs; ageMs < SESSION_AGE_MS; ageMs += stepMs) {
      await clock.advance(stepMs);
      assertEquals(await status(), 200);
    }
    await clock.advance(stepMs);
    assertEquals(await status(), 303);
  });
  await t.step("signed out: the cookie opens nothing any more", async () => {
    await browser.signIn();
    const cookie = browser.cookies.get(SESSION_COOKIE)!;
    const answer = await browser.submit("/", { path: "/sign-out", fields: {} });
    assertEquals([answer.headers.get("Location"), browser.cookies.has(SESSION_COOKIE)], ["/sign-in", false]);
    browser.cookies.set(SESSION_COOKIE, cookie);
    assertEquals(await status(), 303);
  });
});

Deno.test("createApp() goes back to where one wanted to, but never elsewhere", async () => {
  await using mgmt = await mgmtFixture({ clock: new FakeClock() });
  const goesTo = async (next: string) => {
    const browser = new MgmtBrowser(mgmt.app);
    const fields = { name: "admin", password: FIXTURE_PASSWORD, next };
    return (await browser.submit("/sign-in", { path: "/sign-in", fields })).headers.get("Location");
  };
  assertEquals(await goesTo("/volume/1"), "/volume/1");
  for (const next of ["//evil.example", "https://evil.example", "/\\evil.example", "javascript:alert(1)", ""]) {
    assertEquals(await goesTo(next), "/", next);
  }
});

Deno.test("createApp() shows health and alerts without login under open access, and nothing else", async () => {
  await using mgmt = await mgmtFixture({ clock: new FakeClock(), auth: "open" });
  const json = async (path: string) =>
    (await mgmt.app.request(path, { headers: { Accept: "application/json" } })).json();
  const summary = await json("/health/api/summary");
  assertEquals(Object.keys(summary), ["health_summary", "health_metrics", "alert_counts"]);
  assertEquals([summary.health_summary.status, summary.health_metrics.total_components], ["healthy", 6]);
  assertEquals(summary.alert_counts, { info: 0, warning: 0, error: 0, critical: 0 });
  const components = await json("/health/api/components");
  assertEquals([components.length, components[1].component_id, components[1].status], [6, "sds-1", "ACTIVE"]);
  assertEquals([(await json("/health")).status, await json("/alerts")], ["healthy", []]);
  const browser = new MgmtBrowser(mgmt.app);
  assertStringIncludes(await browser.page("/health"), "All 128 groups have two copies");
  assertStringIncludes(await browser.page("/alerts"), "No alerts.");
  for (const path of CLUSTER_PATHS) assertEquals((await browser.request(path)).status, 303, path);
});

Deno.test("createApp() says what to do while the MDM is not there", async () => {
  const mdm = fakeMdm();
  mdm.overview = undefined;
  const clock = new FakeClock();
  await using mgmt = await mgmtFixture({ clock, mdm, auth: "open" });
  const browser = new MgmtBrowser(mgmt.app);
  await browser.signIn();
  await clock.advance(21_000);
  const page = await browser.page("/");
  for (
    const text of ["cannot reach the MDM", "http://127.0.0.1:8001", "21 s, 3 tries", "refused", "deno task start:mdm"]
  ) {
    assertStringIncludes(page, text);
  }
  const answer = await mgmt.app.request("/health", { headers: { Accept: "application/json" } });
  assertEquals([answer.status, (await answer.json()).code], [503, "unavailable"]);
});

Deno.test("createApp() serves its files for ever under the hash of their content, and probes to anybody", async () => {
  await using mgmt = await mgmtFixture({ clock: new FakeClock() });
  const file = await mgmt.app.request(ASSET_URLS.style);
  assertEquals(file.headers.get("Cache-Control"), "public, max-age=31536000, immutable");
  assertMatch(await file.text(), /--paper/);
  const again = await mgmt.app.request(ASSET_URLS.style, { headers: { "If-None-Match": file.headers.get("ETag")! } });
  assertEquals(again.status, 304);
  assertEquals((await mgmt.app.request("/assets/app.0000000000000000.css")).status, 404);
  assertEquals((await mgmt.app.request("/healthz")).status, 200);
  assertEquals((await mgmt.app.request("/readyz")).status, 200);
  const metrics = await mgmt.app.request("/metrics", { headers: { Accept: "text/plain" } });
  assertStringIncludes(await metrics.text(), "powerflex_mgmt_watchers 0");
});

Deno.test("createApp() keeps the audit log to administrators and shows it to them", async () => {
  await using mgmt = await mgmtFixture({ clock: new FakeClock() });
  const browser = new MgmtBrowser(mgmt.app);
  await browser.signIn("wrong");
  await browser.signIn();
  assertStringIncludes(await browser.page("/audit"), "wrong name or password");
  const hash = mgmt.store.users.byId(1)!.passwordHash;
  mgmt.store.users.add({ name: "viewer", role: "viewer", passwordHash: hash, nowMs: 0 });
  mgmt.store.users.setPassword(2, { hash, mustChange: false });
  const other = new MgmtBrowser(mgmt.app);
  await other.submit("/sign-in", { path: "/sign-in", fields: { name: "viewer", password: FIXTURE_PASSWORD } });
  assertEquals((await other.request("/audit")).status, 403);
});
