import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import type { Page } from "playwright-core";
import { systemClock } from "@/shared/clock.ts";
import { serveHttp } from "@/shared/http/serve.ts";
import { accessibilityProblems, openBrowser } from "@/tests/browser/chromium.ts";
import { degradedFixture, FIXTURE_PASSWORD, mgmtFixture, overviewFixture } from "@/tests/support/mgmt_fixture.ts";

const PATHS = [
  "/",
  "/sds",
  "/sds/1",
  "/pool",
  "/pool/1",
  "/volume",
  "/volume/1",
  "/volume/99",
  "/sdc",
  "/sdc/1",
  "/metrics",
  "/alerts",
  "/health",
  "/discovery",
  "/topology",
  "/pd",
  "/pd/1",
  "/rebuild",
  "/rebuild/1",
  "/pd/create",
  "/pool/create",
  "/sds/add",
  "/sds/1/fail",
  "/volume/create",
  "/volume/1/map",
  "/volume/1/delete",
  "/volume/1/io/read",
  "/alerts/1",
  "/alerts/rules",
  "/alerts/create",
  "/alerts?state=resolved",
  "/metrics/pool/1",
  "/settings",
  "/account",
  "/audit",
];
const NEW_PASSWORD = "four unrelated words";
const WIDE = { width: 1280, height: 860 };
const PHONE = { width: 390, height: 844 };

/** Waits until the text of `selector` matches, which live updates bring about; fails with what it is instead. */
async function seeText(page: Page, selector: string, pattern: RegExp): Promise<void> {
  try {
    await page.locator(selector).filter({ hasText: pattern }).first().waitFor({ timeout: 15_000 });
  } catch (error) {
    const text = await page.locator(selector).first().textContent().catch(() => "nothing");
    throw new Error(`${selector} shows "${text}", expected ${pattern}`, { cause: error });
  }
}

Deno.test("scenario: a person signs in for the first time and watches a server fail and the MDM go, without a reload", async (t) => {
  await using browser = await openBrowser();
  await using mgmt = await mgmtFixture({ clock: systemClock, oneTime: true });
  const served = { app: mgmt.app, hostname: "127.0.0.1", port: 0, portSetting: "POWERFLEX_MGMT_GUI_PORT" };
  await using server = serveHttp(served);
  const page = browser.context.pages()[0] ?? await browser.context.newPage();
  const broken: string[] = [];
  page.on("pageerror", (error) => broken.push(error.message));
  page.on("console", (message) => {
    if (message.type() === "error" && !message.text().includes("404")) broken.push(message.text());
  });
  await page.clock.install();
  await page.setViewportSize(WIDE);

  await t.step("the one-time password leads to a password of one's own, then to the overview", async () => {
    await page.goto(server.url);
    assertEquals(await accessibilityProblems(page), []);
    assertEquals(await page.inputValue("#name"), "admin");
    await page.fill("#password", FIXTURE_PASSWORD);
    await page.keyboard.press("Enter");
    await page.waitForURL("**/password");
    assertEquals(await accessibilityProblems(page), []);
    await page.fill("#next-password", NEW_PASSWORD);
    await page.fill("#repeated-password", NEW_PASSWORD);
    await page.keyboard.press("Enter");
    await page.waitForURL(`${server.url}/`);
    await seeText(page, ".sentence", /All 128 groups have two copies; 3 of 3 storage servers are up\./);
  });

  await t.step("a server falls silent: the page says so by itself, and focus and scroll stay", async () => {
    await page.evaluate("globalThis.neverReloaded = true");
    const link = page.locator(`[data-live="servers"] a[href="/sds/3"]`);
    await link.focus();
    await page.evaluate("scrollTo(0, 150)");
    mgmt.mdm.overview = degradedFixture({ silentMs: 14_000, joining: 12, done: 36 });
    await seeText(page, ".sentence", /sds-2 has been silent for 14 s: 49 of 128 groups have one copy; .* 42 % done/);
    await seeText(page, ".topology .wide", /Silent for 14 s/);
    await seeText(page, "nav .count", /1/);
    await seeText(page, "#announce", /sds-2 has been silent/);
    // What was inserted above may have moved the page along with it, but never back to its beginning.
    const kept = "[globalThis.neverReloaded, document.activeElement.getAttribute('href'), scrollY >= 150]";
    assertEquals(await page.evaluate(kept), [true, "/sds/3", true]);
  });

  await t.step("the cluster heals, and the page too", async () => {
    mgmt.mdm.overview = overviewFixture();
    await seeText(page, ".sentence", /^All 128 groups have two copies/);
    assertEquals(await page.locator(".rebuild").count(), 0);
  });

  await t.step("the MDM goes away and comes back", async () => {
    mgmt.mdm.overview = undefined;
    await seeText(
      page,
      ".contact.lost",
      /MGMT lost contact with the MDM \d+ s ago; figures below are from \d\d:\d\d:\d\d/,
    );
    await seeText(page, ".sentence", /^Last known: All 128/);
    assertEquals(await accessibilityProblems(page), []);
    mgmt.mdm.overview = overviewFixture();
    await seeText(page, ".contact", /^As of/);
  });

  for (const colorScheme of ["light", "dark"] as const) {
    await t.step(`every page is open to everybody, ${colorScheme}, wide and narrow`, async () => {
      await page.emulateMedia({ colorScheme, reducedMotion: "reduce" });
      mgmt.mdm.overview = degradedFixture({ silentMs: 40_000, joining: 12, done: 36 });
      await mgmt.poller.poll();
      for (const path of PATHS) {
        await page.goto(`${server.url}${path}`);
        assertEquals(await accessibilityProblems(page), [], path);
      }
      await page.setViewportSize(PHONE);
      for (
        const path of [
          "/",
          "/sds",
          "/volume/1",
          "/alerts",
          "/alerts/1",
          "/alerts/rules",
          "/topology",
          "/volume/create",
          "/settings",
        ]
      ) {
        await page.goto(`${server.url}${path}`);
        assertEquals(await accessibilityProblems(page), [], path);
        assertEquals(await page.evaluate("document.documentElement.scrollWidth <= innerWidth"), true, `${path} fits`);
      }
      await page.setViewportSize(WIDE);
    });
  }

  await t.step("the chosen colours stay", async () => {
    await page.goto(server.url);
    // The page changes at once and tells MGMT meanwhile: the choice is kept when MGMT has answered.
    const kept = page.waitForResponse((response) => response.request().method() === "POST");
    await page.click("button[value=light]");
    await kept;
    const paper = () => page.evaluate("getComputedStyle(document.body).backgroundColor");
    assertEquals(await paper(), "rgb(244, 246, 245)");
    await page.reload();
    assertEquals([await paper(), await page.getAttribute("html", "data-theme")], ["rgb(244, 246, 245)", "light"]);
  });

  await t.step("the keyboard skips to the content", async () => {
    await page.goto(server.url);
    await page.keyboard.press("Tab");
    assertEquals(await page.evaluate("document.activeElement.className"), "skip");
    await page.keyboard.press("Enter");
    assertEquals(await page.evaluate("document.activeElement.id"), "main");
  });

  assertEquals(broken, [], "nothing failed in the page");

  await t.step("MGMT itself goes away: the page says from when its figures are", async () => {
    await seeText(page, ".contact", /^As of/);
    await server.stop();
    await page.clock.fastForward(8_000);
    await seeText(
      page,
      "#offline",
      /This page lost contact with MGMT \d+ s ago; figures below are from \d\d:\d\d:\d\d/,
    );
    assertMatch(await page.textContent("#announce") ?? "", /lost contact with MGMT/);
    assertStringIncludes(await page.getAttribute("body", "class") ?? "", "is-offline");
  });
});
