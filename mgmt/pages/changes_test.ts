import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { FakeClock } from "@/tests/support/fake_clock.ts";
import { MgmtBrowser } from "@/tests/support/mgmt_browser.ts";
import { FIXTURE_PASSWORD, type MgmtFixture, mgmtFixture, overviewFixture } from "@/tests/support/mgmt_fixture.ts";

const FORMS = [
  "/pd/create",
  "/pd/1/delete",
  "/pool/create",
  "/pool/1/delete",
  "/sds/add",
  "/sds/1/fail",
  "/sds/1/recover",
  "/sdc/add",
  "/cluster/bootstrap/minimal",
  "/volume/create",
  "/volume/1/map",
  "/volume/1/unmap",
  "/volume/1/extend",
  "/volume/1/delete",
  "/volume/1/io/write",
  "/volume/1/io/read",
  "/rebuild/1/start",
  "/rebuild/1/cancel",
];

async function signedIn(mgmt: MgmtFixture): Promise<MgmtBrowser> {
  const browser = new MgmtBrowser(mgmt.app);
  await browser.signIn();
  return browser;
}

/** The newest call that was no poll, registration or beat. */
function lastChange({ mdm }: MgmtFixture) {
  const request = mdm.requests.findLast(({ url }) => !/overview|discovery/.test(url));
  const { pathname, search } = new URL(request!.url);
  return {
    call: `${request!.method} ${pathname}${search}`,
    body: request!.body === undefined ? undefined : JSON.parse(request!.body),
  };
}

Deno.test("changeRoutes() shows every form, with a label for each field, and never by itself again", async () => {
  await using mgmt = await mgmtFixture({ clock: new FakeClock() });
  const browser = await signedIn(mgmt);
  for (const path of FORMS) {
    const markup = await browser.page(path);
    assertMatch(markup, /<button type="submit" class="(primary|danger)"|class="blocked"/, path);
    assert(!markup.includes('http-equiv="refresh"'), path);
    for (const [, id] of markup.matchAll(/ id="(field-[a-z_]+)"/g)) assertStringIncludes(markup, `for="${id}"`, path);
  }
  assertEquals((await browser.request("/volume/99/delete")).status, 404);
});

Deno.test("changeRoutes() makes the MDM's call of what was typed, says so, and writes it down", async (t) => {
  await using mgmt = await mgmtFixture({ clock: new FakeClock() });
  const browser = await signedIn(mgmt);
  const cases = [
    {
      path: "/pd/create",
      fields: { name: " domain-2 ", description: "" },
      call: "POST /pd/create",
      body: { name: "domain-2", description: "" },
      leadsTo: "/pd?done=domain_created",
    },
    {
      path: "/pool/create",
      fields: { name: "p", pd_id: "1", total_capacity_gb: "2.5", protection_policy: "two_copies" },
      call: "POST /pool/create",
      body: { name: "p", pd_id: 1, total_capacity_gb: 2.5, protection_policy: "two_copies" },
      leadsTo: "/pool?done=pool_created",
    },
    {
      path: "/sds/add",
      fields: {
        name: "s",
        protection_domain_id: "1",
        total_capacity_gb: "10",
        devices: "blk0,blk1",
        pool_id: "",
        fault_set: "",
      },
      call: "POST /sds/add",
      body: { name: "s", protection_domain_id: 1, total_capacity_gb: 10, devices: "blk0,blk1" },
      leadsTo: "/sds?done=sds_added",
    },
    {
      path: "/sdc/add",
      fields: { name: "c" },
      call: "POST /sdc/add",
      body: { name: "c" },
      leadsTo: "/sdc?done=sdc_added",
    },
    {
      path: "/volume/create",
      fields: { name: "v", size_gb: "0.5", provisioning: "thick", pool_id: "1" },
      call: "POST /vol/create",
      body: { name: "v", size_gb: 0.5, provisioning: "thick", pool_id: 1 },
      leadsTo: "/volume?done=volume_created",
    },
    {
      path: "/volume/1/unmap",
      fields: { sdc_id: "1" },
      call: "POST /vol/unmap?volume_id=1&sdc_id=1",
      body: undefined,
      leadsTo: "/volume/1?done=volume_unmapped",
    },
    {
      path: "/volume/1/extend",
      fields: { new_size_gb: "2" },
      call: "POST /vol/extend?volume_id=1&new_size_gb=2",
      body: undefined,
      leadsTo: "/volume/1?done=volume_extended",
    },
    {
      path: "/volume/1/delete",
      fields: {},
      call: "DELETE /vol/1",
      body: undefined,
      leadsTo: "/volume?done=volume_deleted",
    },
    { path: "/pd/1/delete", fields: {}, call: "DELETE /pd/1", body: undefined, leadsTo: "/pd?done=domain_deleted" },
    { path: "/pool/1/delete", fields: {}, call: "DELETE /pool/1", body: undefined, leadsTo: "/pool?done=pool_deleted" },
    { path: "/sds/2/fail", fields: {}, call: "POST /sds/2/fail", body: {}, leadsTo: "/sds/2?done=sds_failed" },
    {
      path: "/rebuild/1/start",
      fields: {},
      call: "POST /rebuild/start/1",
      body: {},
      leadsTo: "/rebuild?done=rebuild_started",
    },
  ];
  for (const { path, fields, call, body, leadsTo } of cases) {
    await t.step(path, async () => {
      const answer = await browser.submit(path, { path, fields: fields as Record<string, string> });
      assertEquals([answer.status, answer.headers.get("Location")], [303, leadsTo]);
      assertEquals(lastChange(mgmt), { call, body });
    });
  }
  assertEquals(
    mgmt.store.audit.newest(3).map(({ action, result, detail }) => `${action} ${result} ${detail}`),
    ["rebuild_started ok pool-1", "sds_failed ok sds-2", "pool_deleted ok pool-1"],
  );
  assertStringIncludes(await browser.page("/volume/1?done=volume_extended"), "The volume is larger.");
  assert(!(await browser.page("/volume/1?done=%3Cb%3E")).includes("<b>"));
});

Deno.test("changeRoutes() maps a volume to a client that may not use it yet", async () => {
  await using mgmt = await mgmtFixture({ clock: new FakeClock() });
  const base = overviewFixture();
  mgmt.mdm.overview = { ...base, volumes: base.volumes.map((volume) => ({ ...volume, mappings: [] })) };
  await mgmt.poller.pollAnew();
  const browser = await signedIn(mgmt);
  const fields = { sdc_id: "1", access_mode: "readOnly" };
  const answer = await browser.submit("/volume/1/map", { path: "/volume/1/map", fields });
  assertEquals(answer.headers.get("Location"), "/volume/1?done=volume_mapped");
  assertEquals(lastChange(mgmt).call, "POST /vol/map?volume_id=1&sdc_id=1&access_mode=readOnly");
});

Deno.test("changeRoutes() writes and reads through the client, and shows what came", async () => {
  await using mgmt = await mgmtFixture({ clock: new FakeClock() });
  const browser = await signedIn(mgmt);
  const { answers } = mgmt.mdm;
  answers.set("POST /vol/1/io/write", {
    status: 200,
    body: { status: "written", bytes_written: 16, replicas_written: 2 },
  });
  const data = { data_b64: btoa("Hello PowerFlex!"), utf8_text: "Hello PowerFlex!" };
  answers.set("POST /vol/1/io/read", { status: 200, body: { status: "read", bytes_read: 16, ...data } });
  const write = await browser.submit("/volume/1/io/write", {
    path: "/volume/1/io/write",
    fields: { sdc_id: "1", offset_bytes: "0", data: "Hello PowerFlex!" },
  });
  assertStringIncludes(await write.text(), "16 bytes written to 2 copies.");
  assertEquals(lastChange(mgmt).body, { sdc_id: 1, offset_bytes: 0, data_b64: btoa("Hello PowerFlex!") });
  const read = await browser.submit("/volume/1/io/read", {
    path: "/volume/1/io/read",
    fields: { sdc_id: "1", offset_bytes: "0", length_bytes: "16" },
  });
  assertStringIncludes(await read.text(), "48 65 6c 6c 6f");
});

Deno.test("changeRoutes() shows what is wrong beside its field, and keeps what was typed", async (t) => {
  await using mgmt = await mgmtFixture({ clock: new FakeClock() });
  const browser = await signedIn(mgmt);
  const fields = { name: "v", size_gb: "a lot", provisioning: "thin", pool_id: "1" };
  const send = (changed: Record<string, string>) =>
    browser.submit("/volume/create", { path: "/volume/create", fields: { ...fields, ...changed } });
  await t.step("seen by MGMT: the MDM is not asked", async () => {
    const answer = await send({});
    const markup = await answer.text();
    assertEquals(answer.status, 422);
    assertMatch(markup, /id="field-size_gb-error">Write a number, such as 10 or 0.5\./);
    assertMatch(markup, /id="field-size_gb"[^>]*aria-invalid="true"|aria-invalid="true"[^>]*id="field-size_gb"/);
    assertStringIncludes(markup, 'value="a lot"');
    assert(!mgmt.mdm.requests.some(({ url }) => url.endsWith("/vol/create")));
  });
  await t.step("seen by the MDM: its words, where it names a field beside that", async () => {
    const problem = {
      code: "invalid",
      detail: "Cannot accept the request: name: too odd",
      errors: [{ path: "name", message: "too odd" }],
    };
    mgmt.mdm.answers.set("POST /vol/create", { status: 422, body: problem });
    const answer = await send({ size_gb: "1" });
    assertEquals(answer.status, 422);
    assertMatch(await answer.text(), /id="field-name-error">too odd/);
  });
  await t.step("a rule of the MDM", async () => {
    const detail = "Cannot create volume v of 800 MiB: pool-1 has 448 MiB left";
    mgmt.mdm.answers.set("POST /vol/create", { status: 400, body: { code: "rule_broken", detail } });
    const answer = await send({ size_gb: "1" });
    assertEquals(answer.status, 400);
    assertStringIncludes(await answer.text(), detail);
    const [row] = mgmt.store.audit.newest(1);
    assertEquals([row?.action, row?.result, row?.detail], ["volume_created", "refused", `v: ${detail}`]);
  });
  await t.step("the MDM does not serve the path", async () => {
    mgmt.mdm.answers.set("POST /vol/create", { status: 501, body: {} });
    const answer = await send({ size_gb: "1" });
    assertEquals(answer.status, 501);
    assertStringIncludes(await answer.text(), "The MDM answered with status 501 and no reason");
  });
  await t.step("the MDM is away", async () => {
    mgmt.mdm.answers.clear();
    mgmt.mdm.overview = undefined;
    const answer = await send({ size_gb: "1" });
    assertEquals(answer.status, 503);
    assertStringIncludes(await answer.text(), "Cannot reach the MDM");
  });
});

Deno.test("changeRoutes() lets viewers look only, and nobody without this browser's token", async () => {
  await using mgmt = await mgmtFixture({ clock: new FakeClock() });
  const hash = mgmt.store.users.byId(1)!.passwordHash;
  mgmt.store.users.add({ name: "viewer", role: "viewer", passwordHash: hash, nowMs: 0 });
  mgmt.store.users.setPassword(2, { hash, mustChange: false });
  const viewer = new MgmtBrowser(mgmt.app);
  await viewer.submit("/sign-in", { path: "/sign-in", fields: { name: "viewer", password: FIXTURE_PASSWORD } });
  const admin = await signedIn(mgmt);
  assert(!(await viewer.page("/volume")).includes('href="/volume/create"'));
  for (const path of FORMS) {
    assertEquals((await viewer.request(path)).status, 403, path);
    assertEquals((await viewer.submit("/account", { path, fields: {} })).status, 403, path);
    assertEquals((await admin.request(path, { method: "POST", body: new URLSearchParams() })).status, 403, path);
    assertEquals((await new MgmtBrowser(mgmt.app).request(path)).status, 303, path);
  }
  assert(!mgmt.mdm.requests.some(({ url }) => !/overview|discovery/.test(url)), "the MDM was asked nothing");
});

Deno.test("changeRoutes() says what is missing first, with the way there, instead of a form that must fail", async () => {
  await using mgmt = await mgmtFixture({ clock: new FakeClock() });
  mgmt.mdm.overview = overviewFixture({ domains: [], pools: [], sdss: [], sdcs: [] });
  await mgmt.poller.pollAnew();
  const browser = await signedIn(mgmt);
  const remedies = [
    ["/pool/create", "/pd/create"],
    ["/sds/add", "/pd/create"],
    ["/volume/create", "/pool/create"],
    ["/volume/1/map", "/sdc/add"],
  ] as const;
  for (const [path, remedy] of remedies) {
    const markup = await browser.page(path);
    assertMatch(markup, new RegExp(`class="button primary" href="${remedy}"`), path);
    assert(!markup.includes('class="stacked"'), path);
  }
});
