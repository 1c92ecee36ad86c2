import { assertEquals, assertStringIncludes } from "@std/assert";
import { DOCS_DIRECTORY, referencePages } from "@/scripts/reference_docs.ts";
import { errorCodes } from "@/shared/errors.ts";
import type { Setting } from "@/shared/settings/declare.ts";
import { TABLES } from "@/shared/settings/tables.ts";

Deno.test("referencePages() are what docs/ holds (else run deno task docs)", async () => {
  for (const [name, text] of await referencePages()) {
    assertEquals(await Deno.readTextFile(new URL(name, DOCS_DIRECTORY)), text, `docs/${name}: run deno task docs`);
  }
});

Deno.test("referencePages() name every code, every database and a path of each kind", async () => {
  const pages = await referencePages();
  for (const code of errorCodes()) assertStringIncludes(pages.get("errors.md")!, `| \`${code}\` |`);
  const schema = pages.get("schema.md")!;
  for (const name of ["powerflex", "sds_local", "catalogue", "sdc_chunks", "sdc_local", "mgmt"]) {
    assertStringIncludes(schema, `## ${name}.db`);
  }
  for (const table of ["volumes", "chunk", "volume_mappings_cache", "users"]) {
    assertStringIncludes(schema, `| \`${table}\` |`);
  }
  for (const path of ["| POST | `/pd/create` |", "| GET | `/vol/{id}` |"]) {
    assertStringIncludes(pages.get("api.md")!, path);
  }
});

Deno.test("docs/ports.md names every setting of a port, with its default", async () => {
  const page = await Deno.readTextFile(new URL("ports.md", DOCS_DIRECTORY));
  const settings = Object.values(TABLES).flatMap((table) => Object.values<Setting<unknown>>(table));
  for (const { name, fallbackText } of settings.filter((setting) => /_PORT$/.test(setting.name))) {
    const row = page.split("\n").find((line) => line.includes(`\`${name}\``));
    assertStringIncludes(row ?? "", `\`${name}\``, `${name} is missing`);
    const number = fallbackText.match(/^\d+/)?.[0];
    if (number !== undefined) assertStringIncludes(row!, number);
  }
});
