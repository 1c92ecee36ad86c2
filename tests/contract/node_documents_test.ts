/**
 * The OpenAPI documents of SDS and SDC name every path that is served, and no other.
 *
 * @module
 */
import { assertEquals } from "@std/assert";
import { documentGaps } from "@/shared/http/api.ts";
import { SdcAppFixture } from "@/tests/support/sdc_app_fixture.ts";
import { withSds } from "@/tests/support/sds_fixture.ts";

const COMPLETE = { undocumented: [], unserved: [] };

Deno.test("documentGaps() finds none at the listeners of an SDC", async () => {
  await using fixture = new SdcAppFixture();
  const sdc = fixture.start();
  for (const app of [sdc.control, sdc.management]) {
    assertEquals(documentGaps(app, await (await app.request("/openapi.json")).json()), COMPLETE);
  }
});

Deno.test("documentGaps() finds none at the listeners of an SDS", async () => {
  await withSds({}, async (fixture) => {
    for (const app of fixture.sdss[0]!.apps()) {
      assertEquals(documentGaps(app, await (await app.request("/openapi.json")).json()), COMPLETE);
    }
  });
});

Deno.test("every operation of a document has a name of its own, for those who generate clients", async () => {
  for await (const { name } of Deno.readDir("docs/api")) {
    const document = JSON.parse(await Deno.readTextFile(`docs/api/${name}`));
    const ids = Object.values<Record<string, { operationId?: string }>>(document.paths)
      .flatMap((operations) => Object.values(operations).map(({ operationId }) => operationId));
    assertEquals(ids.includes(undefined), false, name);
    assertEquals(ids.filter((id, place) => ids.indexOf(id) !== place), [], name);
  }
});
