import { assertEquals } from "@std/assert";
import { API_VERSION } from "@/mdm/routes/all.ts";
import { API_DIRECTORY, openApiDocuments } from "@/scripts/openapi_doc.ts";
import { documentGaps } from "@/shared/http/api.ts";
import { MdmFixture } from "@/tests/support/mdm_fixture.ts";

interface Operation {
  readonly parameters?: readonly { readonly in: string; readonly name: string; readonly required?: boolean }[];
}

Deno.test("openApiDocuments() gives what docs/api/ has: after a change of a route, run deno task docs and look at the difference", async () => {
  for (const [name, text] of await openApiDocuments()) {
    assertEquals(Deno.readTextFileSync(new URL(name, API_DIRECTORY)), text, `docs/api/${name}: run deno task docs`);
  }
});

Deno.test("openApiDocuments() declares every part of a path, as required", async () => {
  for (const [name, text] of await openApiDocuments()) {
    for (const [path, operations] of Object.entries<Record<string, Operation>>(JSON.parse(text).paths)) {
      const named = [...path.matchAll(/\{(\w+)\}/g)].map((match) => match[1]);
      for (const [method, { parameters = [] }] of Object.entries(operations)) {
        const required = parameters.filter((parameter) => parameter.in === "path" && parameter.required);
        assertEquals(
          required.map((parameter) => parameter.name).toSorted(),
          named.toSorted(),
          `${name}: ${method} ${path}`,
        );
      }
    }
  }
});

Deno.test("openApiDocuments() has every route of the MDM, each with a summary, an answer and a version", async () => {
  await using fixture = new MdmFixture();
  const document = await fixture.ok("GET", "/openapi.json");
  assertEquals(documentGaps(fixture.mdm.app, document), { undocumented: [], unserved: [] });
  const { version } = JSON.parse(Deno.readTextFileSync(new URL("../deno.json", import.meta.url)));
  assertEquals([document.openapi, document.info.version, API_VERSION], ["3.1.0", version, version]);
  for (const [path, operations] of Object.entries<Record<string, Record<string, unknown>>>(document.paths)) {
    for (const [method, operation] of Object.entries(operations)) {
      const { summary, responses } = operation;
      assertEquals([typeof summary, typeof responses], ["string", "object"], `${method} ${path}`);
    }
  }
});
