/**
 * Renders the reference pages that come from the code: `docs/errors.md`, `docs/schema.md`, `docs/api.md`. Run `deno task docs` after
 * changing a code, a migration or a route; a test compares the pages with what this would write.
 *
 * @module
 */
import { DatabaseSync } from "node:sqlite";
import { openStore } from "@/mgmt/store/store.ts";
import { preparedDatabase } from "@/mdm/store/database.ts";
import { openApiDocuments } from "@/scripts/openapi_doc.ts";
import { SdcStore } from "@/sdc/store/store.ts";
import { migrateCatalogue } from "@/sds/device/catalogue_schema.ts";
import { LocalStore } from "@/sds/store/local_store.ts";
import { errorCodes, errorTraits, type Retry } from "@/shared/errors.ts";

/** Where the pages are kept. */
export const DOCS_DIRECTORY = new URL("../docs/", import.meta.url);

/** The pages by file name. */
export async function referencePages(): Promise<Map<string, string>> {
  return new Map([
    ["errors.md", errorsPage()],
    ["schema.md", schemaPage()],
    ["api.md", apiPage(await openApiDocuments())],
  ]);
}

const RETRIES: Readonly<Record<Retry, string>> = {
  never: "tells its client",
  after_new_map: "fetches the map, sends again",
  after_backoff: "waits, sends again",
  after_new_token: "fetches a token, sends again",
};

function errorsPage(): string {
  const rows = errorCodes().map((code) => {
    const { wire, http, nbd, retry } = errorTraits(code);
    return `| \`${code}\` | ${wire} | ${http} | ${nbd} | ${RETRIES[retry]} |\n`;
  });
  return `# Errors

A failure has one code everywhere: in \`code\` of an HTTP answer and of a JSON line, as a number in \`status\` of a compact frame, and as
an NBD error at the client. Where HTTP is spoken, the answer is a problem document (RFC 9457):

\`\`\`json
{ "type": "urn:powerflex:error:not_found", "title": "Not found", "status": 404, "detail": "…", "code": "not_found", "requestId": "…" }
\`\`\`

\`detail\` says what was attempted, what is and what should be; \`requestId\` finds the line in the log. A refusal of the data path means
that nothing changed anywhere; \`outcome_unknown\` alone says that nobody knows, and the SDC sends the request again under its number.

| code | number | HTTP | NBD | what an SDC does |
| --- | ---: | ---: | --- | --- |
${rows.join("")}
This page is made by \`deno task docs\`; change \`shared/errors.ts\` instead.
`;
}

/** A database and whoever writes it. */
interface Described {
  readonly name: string;
  readonly owner: string;
  readonly database: DatabaseSync;
}

function schemaPage(): string {
  const sections = emptyDatabases().map(({ name, owner, database }) => {
    using _closed = { [Symbol.dispose]: () => database.close() };
    return `## ${name}\n\nWritten by ${owner}.\n\n${tablesOf(database)}`;
  });
  return `# Databases

Every table and column as the migrations make them. \`*\` marks the primary key, \`?\` a column that may be null. Each database
also has a table of the migrations that ran, with their checksums.

This page is made by \`deno task docs\`; change the migrations instead.

${sections.join("\n")}`;
}

/** Every database of the roles, empty, in memory. */
function emptyDatabases(): Described[] {
  const memory = () => new DatabaseSync(":memory:");
  const [powerflex, local, catalogue] = [memory(), memory(), memory()];
  preparedDatabase(powerflex);
  new LocalStore(local);
  migrateCatalogue(catalogue);
  return [
    { name: "powerflex.db", owner: "the MDM", database: powerflex },
    { name: "sds_local.db", owner: "each SDS", database: local },
    { name: "catalogue.db", owner: "each SDS, on each of its devices", database: catalogue },
    ...onDisk(),
  ];
}

/** Databases whose owner opens them by their path: made in a directory that is removed, read from copies in memory. */
function onDisk(): Described[] {
  const dir = Deno.makeTempDirSync();
  try {
    const path = (name: string) => `${dir}/${name}`;
    new SdcStore({ chunks: path("sdc_chunks.db"), local: path("sdc_local.db") })[Symbol.dispose]();
    openStore(path("mgmt.db"))[Symbol.dispose]();
    const owners = { "sdc_chunks.db": "each SDC", "sdc_local.db": "each SDC", "mgmt.db": "MGMT" };
    return Object.entries(owners).map(([name, owner]) => ({ name, owner, database: schemaCopy(path(name)) }));
  } finally {
    Deno.removeSync(dir, { recursive: true });
  }
}

function schemaCopy(path: string): DatabaseSync {
  const copy = new DatabaseSync(":memory:");
  const original = new DatabaseSync(path);
  const made = original.prepare("SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite_%'")
    .all();
  original.close();
  for (const { sql } of made) copy.exec(String(sql));
  return copy;
}

function tablesOf(database: DatabaseSync): string {
  const tables = database.prepare(
    `SELECT name FROM sqlite_schema WHERE type IN ('table', 'view')
       AND name NOT LIKE 'sqlite_%' AND name NOT IN ('schema_migrations', 'migration') ORDER BY name`,
  ).all();
  const rows = tables.map(({ name }) => {
    const columns = database.prepare('SELECT name, type, pk, "notnull" AS required FROM pragma_table_info(?)').all(
      String(name),
    );
    const shown = columns.map((column) => {
      const mark = Number(column["pk"]) > 0 ? "*" : Number(column["required"]) === 0 ? "?" : "";
      return `${column["name"]}${mark} ${String(column["type"]).toLowerCase()}`.trim();
    });
    return `| \`${name}\` | ${shown.join(", ")} |\n`;
  });
  return `| table | columns |\n| --- | --- |\n${rows.join("")}`;
}

/** What this page shows of an OpenAPI document. */
interface ApiDocument {
  readonly info: { readonly title: string };
  readonly paths: Readonly<Record<string, Readonly<Record<string, { readonly summary?: string }>>>>;
}

function apiPage(documents: ReadonlyMap<string, string>): string {
  const sections = [...documents].map(([name, text]) => {
    const { info, paths }: ApiDocument = JSON.parse(text);
    const rows = Object.entries(paths).flatMap(([path, operations]) =>
      Object.entries(operations).map(([method, { summary }]) =>
        `| ${method.toUpperCase()} | \`${path}\` | ${cell(summary ?? "")} |\n`
      )
    );
    return `## ${info.title}\n\nIn full: [api/${name}](api/${name}).\n\n| method | path | does |\n| --- | --- | --- |\n${
      rows.join("")
    }`;
  });
  return `# HTTP APIs

Every path that is served, from the OpenAPI documents, which say what each takes and answers. A running process has its own at
\`/openapi.json\`. Refusals are in [errors.md](errors.md); sizes named \`_gb\` count GiB, fractions are rounded up to 4 KiB.

This page is made by \`deno task docs\`; change the routes instead.

${sections.join("\n")}`;
}

function cell(text: string): string {
  return text.replaceAll("|", "\\|").replaceAll("\n", " ");
}

if (import.meta.main) {
  for (const [name, text] of await referencePages()) Deno.writeTextFileSync(new URL(name, DOCS_DIRECTORY), text);
}
