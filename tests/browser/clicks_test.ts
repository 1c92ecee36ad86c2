import { assertEquals, assertStringIncludes } from "@std/assert";
import type { Page } from "playwright-core";
import { openBrowser } from "@/tests/browser/chromium.ts";
import { DemoDirectory } from "@/tests/support/demo_process.ts";

const PASSWORD = "four unrelated words";
const WAIT_MS = 15_000;

/** Follows `page`'s link to a form, fills it, sends it, and waits for what is said then. */
async function send(
  page: Page,
  form: {
    readonly link: string;
    readonly fields?: Record<string, string>;
    readonly button: string;
    readonly said: string;
  },
): Promise<void> {
  await page.getByRole("link", { name: form.link, exact: true }).first().click();
  for (const [label, value] of Object.entries(form.fields ?? {})) {
    const control = page.getByLabel(label);
    if (await control.evaluate((element) => element.tagName) === "SELECT") await control.selectOption(value);
    else await control.fill(value);
  }
  await page.getByRole("button", { name: form.button, exact: true }).click();
  await page.getByText(form.said).first().waitFor({ timeout: WAIT_MS });
}

Deno.test("scenario: a person makes the sample topology by clicks, without scripts, and takes it apart again", async (t) => {
  await using directory = new DemoDirectory("--bare", "--sds", "2");
  const demo = await directory.start();
  const { mgmt } = demo.state()!;
  await using browser = await openBrowser({ javaScriptEnabled: false });
  const page = browser.context.pages()[0] ?? await browser.context.newPage();
  page.setDefaultTimeout(WAIT_MS);

  await t.step("sign-in", async () => {
    await page.goto(mgmt.url);
    await page.getByLabel("Password").fill(mgmt.oneTimePassword);
    await page.getByRole("button", { name: "Sign in" }).click();
    await page.getByLabel("New password").fill(PASSWORD);
    await page.getByLabel("The same again").fill(PASSWORD);
    await page.getByRole("button", { name: "Set password and go on" }).click();
    await page.getByRole("link", { name: "Make a protection domain" }).waitFor();
  });

  await t.step("domain, servers, pool, volume, client: each as the overview says what is next", async () => {
    const steps = [
      { link: "Make a protection domain", button: "Create protection domain", said: "The protection domain is there." },
      {
        link: "Add a storage server to the domain",
        button: "Add storage server",
        said: "The storage server is added.",
      },
      {
        link: "Add a storage server to the domain",
        button: "Add storage server",
        said: "The storage server is added.",
      },
      { link: "Make a pool", button: "Create pool", said: "The pool is there." },
      {
        link: "Make a volume",
        fields: { "Name": "sample", "Provisioning": "thin" },
        button: "Create volume",
        said: "The volume is there.",
      },
      { link: "Add the client", button: "Add client", said: "The client is added." },
      { link: "Map a volume", button: "Map volume", said: "The client may use the volume now." },
    ];
    for (const step of steps) {
      await page.getByRole("link", { name: "Overview", exact: true }).click();
      await send(page, step);
    }
    assertEquals(await page.textContent("h1"), "sample");
  });

  await t.step("a write through the client, and the same text read again", async () => {
    await send(page, { link: "Write", button: "Write", said: "16 bytes written" });
    await page.getByRole("link", { name: "sample", exact: true }).click();
    await send(page, { link: "Read", button: "Read", said: "Hello PowerFlex!" });
  });

  await t.step("what the MDM refuses is said on the form", async () => {
    await page.getByRole("link", { name: "sample", exact: true }).click();
    await send(page, { link: "Extend", fields: { "New size, GiB": "100" }, button: "Extend volume", said: "Cannot" });
    assertStringIncludes(await page.textContent(".problem") ?? "", "sample");
    assertEquals(await page.inputValue("#field-new_size_gb"), "100");
  });

  await t.step("unmapped and deleted, each after a question", async () => {
    await page.getByRole("link", { name: "sample", exact: true }).click();
    await send(page, { link: "Unmap sample from sdc-1", button: "Unmap volume", said: "may not use the volume" });
    await send(page, { link: "Delete", button: "Delete volume and its data", said: "The volume is deleted." });
    await page.getByText("No volume yet.").waitFor();
  });

  await t.step("clean-up and backup work under the flags that the process has", async () => {
    await page.getByRole("link", { name: "Settings" }).click();
    await page.getByRole("button", { name: "Clean up now" }).click();
    await page.getByText(/^Removed \d+ figures?/).waitFor();
    await page.getByRole("button", { name: "Make a backup" }).click();
    const report = await page.getByText(/^Written to /).textContent();
    assertEquals(Deno.statSync(report!.slice("Written to ".length, -1)).isFile, true);
  });

  await t.step("the audit log has it all", async () => {
    await page.getByRole("link", { name: "Audit log" }).click();
    const actions = await page.locator("tbody code").allTextContents();
    assertEquals(actions.slice(0, 14).toReversed(), [
      "domain_created",
      "sds_added",
      "sds_added",
      "pool_created",
      "volume_created",
      "sdc_added",
      "volume_mapped",
      "volume_written",
      "volume_read",
      "volume_extended",
      "volume_unmapped",
      "volume_deleted",
      "clean_up",
      "backup_made",
    ]);
  });
});
