/**
 * Renders the OpenAPI documents of the components' HTTP APIs into `docs/api/`. Run `deno task docs` after changing a route; a test
 * compares the files with what this would write.
 *
 * @module
 */
import type { OpenAPIHono } from "@hono/zod-openapi";
import { DatabaseSync } from "node:sqlite";
import { createMdm } from "@/mdm/app.ts";
import { documentRoutes } from "@/mgmt/pages/document.ts";
import { preparedDatabase } from "@/mdm/store/database.ts";
import { createSdc } from "@/sdc/app.ts";
import { SdcStore } from "@/sdc/store/store.ts";
import { startSds } from "@/sds/app.ts";
import { BackupFolder } from "@/shared/backup_folder.ts";
import { REGIONS_KEPT_SET, TIMES } from "@/shared/constants.ts";
import type { Listener } from "@/shared/transport.ts";
import { denoTransport } from "@/shared/transport_deno.ts";
import { systemClock } from "@/shared/clock.ts";
import { logger } from "@/shared/log.ts";
import { systemRandom } from "@/shared/random.ts";

/** Where the documents are kept. */
export const API_DIRECTORY = new URL("../docs/api/", import.meta.url);

/** The documents by file name, as text. */
export async function openApiDocuments(): Promise<Map<string, string>> {
  return new Map([
    ["mdm.json", await mdmDocument()],
    ["mgmt.json", await documentOf(documentRoutes())],
    ...await sdcDocuments(),
    ...await sdsDocuments(),
  ]);
}

const nobody = () => Promise.reject(new Error("nobody is called"));
const backups = new BackupFolder("never-made", systemClock);
const log = logger("docs");
const common = { clock: systemClock, random: systemRandom, transport: denoTransport, httpSend: nobody, log, backups };
const ANYWHERE = { mdmUrl: "http://127.0.0.1:1", advertiseHost: "127.0.0.1", bootId: "docs", hostId: "docs" } as const;

/** What an SDC without volumes answers. */
async function sdcDocuments(): Promise<[string, string][]> {
  using store = new SdcStore({ chunks: ":memory:", local: ":memory:" });
  const ports = { controlPort: 8003, mgmtPort: 8004, devicePort: 8005, nbdPort: 10809 };
  const sdc = createSdc({
    ...common,
    store,
    keys: { load: () => undefined, save() {} },
    settings: { ...ANYWHERE, ...ports, nodeId: "sdc-1", joinToken: undefined, times: TIMES, queueDepth: 1 },
  });
  try {
    return [["sdc_control.json", await documentOf(sdc.control)], [
      "sdc_management.json",
      await documentOf(sdc.management),
    ]];
  } finally {
    await sdc.stop();
  }
}

/** What an SDS without devices answers. */
async function sdsDocuments(): Promise<[string, string][]> {
  const ports = { controlPort: 9100, mgmtPort: 9200, dataPort: 9700 };
  const scrub = { intervalMs: 1, bytesPerSecond: 1 };
  const rates = { rebuildBytesPerSecond: 1, scrub, regionsKeptSet: REGIONS_KEPT_SET };
  const sds = startSds({
    ...common,
    settings: { ...ANYWHERE, ...ports, ...rates, nodeId: "sds-1", times: TIMES },
    joinToken: undefined,
    database: new DatabaseSync(":memory:"),
    limits: {},
    dataListener: listenerOfNobody(),
    storageRoot: "never-made",
    stopWanted() {},
    diskOf: () => {
      throw new Error("no device is assigned");
    },
  });
  try {
    return [["sds_control.json", await documentOf(sds.control)], [
      "sds_management.json",
      await documentOf(sds.management),
    ]];
  } finally {
    await sds.stop();
  }
}

/** Accepts nothing, so that no port is opened. */
function listenerOfNobody(): Listener {
  const closed = Promise.withResolvers<null>();
  return { port: 9700, accept: () => closed.promise, close: () => closed.resolve(null) };
}

async function documentOf(app: OpenAPIHono): Promise<string> {
  const answer = await app.request("/openapi.json");
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
    return await documentOf(mdm.app);
  } finally {
    await mdm.stop();
    sqlite.close();
  }
}

if (import.meta.main) {
  Deno.mkdirSync(API_DIRECTORY, { recursive: true });
  for (const [name, text] of await openApiDocuments()) Deno.writeTextFileSync(new URL(name, API_DIRECTORY), text);
}
