import { assertEquals } from "@std/assert";
import { API_VERSION, READABLE } from "@/mgmt/pages/document.ts";
import { FakeClock } from "@/tests/support/fake_clock.ts";
import { MgmtBrowser } from "@/tests/support/mgmt_browser.ts";
import { mgmtFixture } from "@/tests/support/mgmt_fixture.ts";

const JSON_ONLY = { headers: { Accept: "application/json" } };

Deno.test("documentRoutes() says of every address what it answers", async (t) => {
  const clock = new FakeClock();
  await using mgmt = await mgmtFixture({ clock });
  mgmt.alerts.raiseByHand({ severity: "info", source: "rack-1", message: "Work" }, "ann");
  await clock.advance(70_000);
  const browser = new MgmtBrowser(mgmt.app);
  await browser.signIn();
  for (const { path, answer } of READABLE) {
    const kinds = path.includes("{kind}") ? ["pool", "volume", "sds", "sdc"] : [""];
    for (const kind of kinds) {
      const address = path.replace("{kind}", kind).replace("{id}", "1");
      await t.step(address, async () => {
        const got = await browser.request(address, JSON_ONLY);
        assertEquals(got.status, 200);
        answer.parse(await got.json());
      });
    }
  }
  await t.step("the document itself, for anybody", async () => {
    const document = await (await mgmt.app.request("/openapi.json", JSON_ONLY)).json();
    assertEquals([document.openapi, document.info.version], ["3.1.0", API_VERSION]);
    assertEquals(
      Object.keys(document.paths).toSorted(),
      [...READABLE.map(({ path }) => path), "/openapi.json"].toSorted(),
    );
    const { version } = JSON.parse(Deno.readTextFileSync(new URL("../../deno.json", import.meta.url)));
    assertEquals(API_VERSION, version);
  });
});
