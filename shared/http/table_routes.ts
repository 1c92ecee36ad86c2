/**
 * `/tables`: what a node keeps and knows, in rows, under the names of the predecessor's tables. A table is stored, or computed
 * from what the process holds in memory when it is asked.
 *
 * @module
 */
import type { OpenAPIHono } from "@hono/zod-openapi";
import { z } from "zod";
import { StorageError } from "@/shared/errors.ts";
import { addRoute } from "@/shared/http/api.ts";

/** Rows of one answer. */
export const TABLE_ROWS_MAX = 1_000;

/** A row: columns by name. */
export type TableRow = Readonly<Record<string, unknown>>;

/** One table. */
export interface NodeTable {
  /** File of a stored one, such as `sds_local`; where the predecessor kept a computed one. */
  readonly database: string;
  readonly kind: "stored" | "computed";
  /** At most `limit` rows from the `offset`-th on, in the table's order. */
  rows(page: { readonly limit: number; readonly offset: number }): readonly TableRow[];
}

/** A computed table of rows that are few enough to be made each time. */
export function computedTable(database: string, rows: () => readonly TableRow[]): NodeTable {
  return { database, kind: "computed", rows: ({ limit, offset }) => rows().slice(offset, offset + limit) };
}

const tag = "Tables";
const pageQuery = z.object({
  limit: z.coerce.number().int().min(1).max(TABLE_ROWS_MAX).default(100),
  offset: z.coerce.number().int().min(0).max(Number.MAX_SAFE_INTEGER).default(0),
});
const kindShape = z.enum(["stored", "computed"]);

/** Adds `GET {prefix}/tables` and `GET {prefix}/tables/{name}`. */
export function addTableRoutes(
  routes: OpenAPIHono,
  options: { readonly prefix: string; readonly tables: Readonly<Record<string, NodeTable>> },
): void {
  const { prefix, tables } = options;
  addRoute(routes, {
    method: "get",
    path: `${prefix}/tables`,
    tag,
    summary: "Lists the tables",
    answer: z.object({ tables: z.array(z.object({ name: z.string(), database: z.string(), kind: kindShape })) }),
    handle: () => ({
      tables: Object.entries(tables).map(([name, { database, kind }]) => ({ name, database, kind })),
    }),
  });
  addRoute(routes, {
    method: "get",
    path: `${prefix}/tables/{name}`,
    tag,
    summary: "Shows rows of a table",
    params: z.object({ name: z.string() }),
    query: pageQuery,
    answer: z.object({
      name: z.string(),
      database: z.string(),
      kind: kindShape,
      rows: z.array(z.record(z.string(), z.unknown())),
      /** Where the next page begins; null after the last row. */
      next_offset: z.int().nullable(),
    }),
    refusals: [404],
    handle: ({ params: { name }, query: { limit, offset } }) => {
      const table = Object.hasOwn(tables, name) ? tables[name] : undefined;
      if (table === undefined) throw new StorageError("not_found", `There is no table ${name}`);
      const { database, kind } = table;
      const rows = table.rows({ limit: limit + 1, offset });
      return {
        name,
        database,
        kind,
        rows: rows.slice(0, limit),
        next_offset: rows.length > limit ? offset + limit : null,
      };
    },
  });
}
