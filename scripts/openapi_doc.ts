/**
 * Renders the OpenAPI documents of the components' HTTP APIs into `docs/api/`. Run `deno task docs` after changing a route; a test
 * compares the files with what this would write.
 *
 * @module
 */
import { DatabaseSync } from "node:sqlite";
import { createMdm } from "@/mdm/app.ts";
import { documentRoutes } from "@/mgmt/pages/document.ts";
import { preparedDatabase } from "@/mdm/store/database.ts";
import { systemClock } from "@/shared/clock.ts";
import { logger } from "@/shared/log.ts";
import { systemRandom } from "@/shared/random.ts";

/** Where the documents are kept. */
export const API_DIRECTORY = new URL("../docs/api/", import.meta.url);

/** The documents by file name, as text. */
export async function openApiDocuments(): Promise<Map<string, string>> {
  return new Map([["mdm.json", await mdmDocument()], ["mgmt.json", await mgmtDocument()]]);
}

/** What MGMT answers at `/openapi.json`. */
async function mgmtDocument(): Promise<string> {
  const answer = await documentRoutes().request("/openapi.json");
  return `${JSON.stringify(await answer.json(), undefined, 2)}\n`;
}

/** What an MDM answers at `/openapi.json`: of one over an empty database, which calls nobody. */
async function mdmDocument(): Promise<string> {
  const sqlite = new DatabaseSync(":memory:");
  const mdm = createMdm({
    db: preparedDatabase(sqlite),
    clock: systemClock,
    random: systemRandom,
    send: () => Promise.reject(new Error("nobody is called")),
    log: logger("docs"),
  });
  try {
    const answer = await mdm.app.request("/openapi.json");
    return `${JSON.stringify(await answer.json(), undefined, 2)}\n`;
  } finally {
    await mdm.stop();
    sqlite.close();
  }
}

if (import.meta.main) {
  Deno.mkdirSync(API_DIRECTORY, { recursive: true });
  for (const [name, text] of await openApiDocuments()) Deno.writeTextFileSync(new URL(name, API_DIRECTORY), text);
}
