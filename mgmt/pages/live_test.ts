import { assertEquals, assertStringIncludes } from "@std/assert";
import { SESSION_IDLE_MS } from "@/mgmt/auth/session_service.ts";
import { WATCHERS_MAX } from "@/mgmt/poller.ts";
import { FakeClock, settle } from "@/tests/support/fake_clock.ts";
import { MgmtBrowser } from "@/tests/support/mgmt_browser.ts";
import { degradedFixture, type MgmtFixture, mgmtFixture } from "@/tests/support/mgmt_fixture.ts";

interface StreamEvent {
  readonly event: string;
  readonly data: string;
}

/** Reads events one by one. */
async function openEvents(mgmt: MgmtFixture, browser: MgmtBrowser, page = "/") {
  const answer = await browser.request(`/events?page=${encodeURIComponent(page)}`);
  const reader = answer.body!.pipeThrough(new TextDecoderStream()).getReader();
  let pending = "";
  return {
    status: answer.status,
    async next(): Promise<StreamEvent | undefined> {
      while (!pending.includes("\n\n")) {
        const { done, value } = await reader.read();
        if (done) return undefined;
        pending += value;
      }
      const [block, ...rest] = pending.split("\n\n");
      pending = rest.join("\n\n");
      const field = (name: string) => block!.match(new RegExp(`^${name}: (.*)$`, "m"))?.[1] ?? "";
      return { event: field("event"), data: field("data") };
    },
    async close(): Promise<void> {
      await reader.cancel();
      await settle();
      assertEquals(mgmt.poller.watcherCount, 0);
    },
  };
}

Deno.test("GET /events sends the page's sections, then only what changed, as soon as it was polled", async () => {
  const clock = new FakeClock();
  await using mgmt = await mgmtFixture({ clock });
  const browser = new MgmtBrowser(mgmt.app);
  await browser.signIn();
  const events = await openEvents(mgmt, browser);
  const first = JSON.parse((await events.next())!.data);
  assertEquals([first.title, first.state], ["Overview", "ok"]);
  assertEquals(first.order.slice(0, 3), ["statement", "next-step", "figures"]);
  assertStringIncludes(first.sections.statement, "All 128 groups have two copies");

  await clock.advance(0);
  const unchanged = JSON.parse((await events.next())!.data);
  assertEquals(Object.keys(unchanged.sections), [], "the poll that watching causes brings nothing new");

  mgmt.mdm.overview = degradedFixture({ silentMs: 14_000, joining: 12, done: 36 });
  await clock.advance(1_000);
  const update = JSON.parse((await events.next())!.data);
  assertStringIncludes(update.sections.statement, "42 % done");
  assertEquals("next-step" in update.sections, false, "what is the same is not sent again");
  assertStringIncludes(update.announce, "SDS sds-2 has been silent");
  await events.close();
});

Deno.test("GET /events says when the MDM is lost and from when the figures are", async () => {
  const clock = new FakeClock({ wallMs: Date.UTC(2026, 10, 23, 18, 3, 12) });
  await using mgmt = await mgmtFixture({ clock });
  const browser = new MgmtBrowser(mgmt.app);
  await browser.signIn();
  const events = await openEvents(mgmt, browser);
  await events.next();
  mgmt.mdm.overview = undefined;
  await clock.advance(0);
  await events.next();
  await clock.advance(12_000);
  let contact = "";
  for (let beat = 0; beat < 12 && !contact.includes("12 s"); beat++) {
    contact = JSON.parse((await events.next())!.data).sections.contact ?? contact;
    if (contact.includes("12 s")) break;
    await clock.advance(0);
  }
  assertStringIncludes(contact, "MGMT lost contact with the MDM 12 s");
  assertStringIncludes(contact, "18:03:12 UTC");
  await events.close();
});

Deno.test("GET /events ends with the session, which it does not prolong", async () => {
  const clock = new FakeClock();
  await using mgmt = await mgmtFixture({ clock });
  const browser = new MgmtBrowser(mgmt.app);
  await browser.signIn();
  await clock.advance(SESSION_IDLE_MS - 2_000);
  const events = await openEvents(mgmt, browser);
  await events.next();
  await clock.advance(3_000);
  let last = await events.next();
  while (last?.event === "update") last = await events.next();
  assertEquals(last?.event, "signed_out");
  assertEquals(await events.next(), undefined);
  assertEquals(mgmt.poller.watcherCount, 0);
});

Deno.test("GET /events refuses more streams than its limit", async () => {
  await using mgmt = await mgmtFixture({ clock: new FakeClock() });
  const browser = new MgmtBrowser(mgmt.app);
  await browser.signIn();
  const unwatch = Array.from({ length: WATCHERS_MAX }, () => mgmt.poller.watch(() => {})!);
  assertEquals((await browser.request("/events?page=/", { headers: { Accept: "text/event-stream" } })).status, 503);
  for (const end of unwatch) end();
});
