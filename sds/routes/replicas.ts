/**
 * The copies that an SDS holds: by group, and chunk by chunk in pages.
 *
 * @module
 */
import type { OpenAPIHono } from "@hono/zod-openapi";
import { z } from "zod";
import { type Chunk, chunkKey } from "@/sds/device/chunk.ts";
import type { Group } from "@/sds/replication/group.ts";
import { chunkStatus } from "@/sds/routes/chunks.ts";
import type { ManagementFacts } from "@/sds/routes/management.ts";
import { chunkStateSchema } from "@/shared/api/sds.ts";
import { CHUNK_BYTES } from "@/shared/constants.ts";
import { addRoute } from "@/shared/http/api.ts";
import { chunkIdOf } from "@/shared/io_token.ts";

/** Rows of one page. */
export const REPLICA_ROWS_MAX = 1_000;

const tag = "Replicas";
const replicaShape = z.object({
  chunk_id: z.int(),
  volume_id: z.int().nullable(),
  pg_id: z.int(),
  device_id: z.int(),
  size_bytes: z.int(),
  status: chunkStateSchema,
  generation: z.int(),
  /** Null if there was none while its checksums were in memory. */
  last_write_at: z.iso.datetime().nullable(),
}).meta({ id: "Replica" });
const groupShape = z.object({
  pg_id: z.int(),
  device_id: z.int(),
  role: z.enum(["none", "primary", "secondary"]),
  epoch: z.int(),
  serving: z.boolean(),
  complete: z.boolean(),
  chunks: z.int(),
  members: z.array(z.int()),
  joining: z.int().nullable(),
}).meta({ id: "GroupCopy" });
/** Where a page begins: device, group and key of the last chunk of the page before. */
const cursorSchema = z.string().regex(/^\d{1,10}-\d{1,10}-\d{1,16}$/, "must be the next_cursor of the page before");
const pageQuery = z.object({
  limit: z.coerce.number().int().min(1).max(REPLICA_ROWS_MAX).default(100),
  cursor: cursorSchema.optional(),
});

/** Adds `/mgmt/replicas` and `/mgmt/groups`. */
export function addReplicaRoutes(routes: OpenAPIHono, facts: () => ManagementFacts): void {
  addRoute(routes, {
    method: "get",
    path: "/mgmt/replicas",
    tag,
    summary: "Lists stored chunks, page by page",
    query: pageQuery,
    answer: z.object({ replicas: z.array(replicaShape), next_cursor: z.string().nullable() }),
    handle: ({ query: { limit, cursor } }) => replicaPage(facts(), { limit, cursor }),
  });
  addRoute(routes, {
    method: "get",
    path: "/mgmt/groups",
    tag,
    summary: "Lists the placement groups that have a copy here",
    answer: z.array(groupShape),
    handle: () => groupRows(facts()),
  });
}

/** One row per copy of a group. */
export function groupRows({ devices }: ManagementFacts): z.output<typeof groupShape>[] {
  return devices.flatMap(({ device }) =>
    [...device.groups.values()].map((group) => ({
      pg_id: group.pgId,
      device_id: device.deviceId,
      role: group.role,
      epoch: group.epoch,
      serving: group.primary?.mayServe() ?? false,
      complete: group.storage?.complete ?? false,
      chunks: group.storage?.chunkCount ?? 0,
      members: group.config?.members.map((member) => member.deviceId) ?? [],
      joining: group.primary?.join?.deviceId ?? null,
    }))
  );
}

function replicaPage(now: ManagementFacts, page: { readonly limit: number; readonly cursor: string | undefined }) {
  const [afterDevice = 0, afterPg = 0, afterKey = -1] = page.cursor?.split("-").map(Number) ?? [];
  const replicas: z.output<typeof replicaShape>[] = [];
  let nextCursor: string | null = null;
  for (const group of groupsFrom(now, { afterDevice, afterPg })) {
    const { device } = group;
    const isFirst = device.deviceId === afterDevice && group.pgId === afterPg;
    // One more than asked for tells whether there is another page.
    const chunks = device.store.listPgChunks(group.storage!, {
      afterKey: isFirst ? afterKey : -1,
      limit: page.limit - replicas.length + 1,
    });
    for (const id of chunks) {
      if (replicas.length === page.limit) return { replicas, next_cursor: nextCursor };
      replicas.push({
        chunk_id: chunkIdOf(id.nodeId, id.chunkIndex),
        volume_id: now.volumeOfNode(id.nodeId) ?? null,
        pg_id: group.pgId,
        device_id: device.deviceId,
        size_bytes: CHUNK_BYTES,
        status: chunkStatus({ device, group, chunk: undefined }),
        generation: group.epoch,
        last_write_at: writtenAt(group.storage!.chunks.get(chunkKey(id.nodeId, id.chunkIndex))),
      });
      nextCursor = `${device.deviceId}-${group.pgId}-${chunkKey(id.nodeId, id.chunkIndex)}`;
    }
  }
  return { replicas, next_cursor: null };
}

function writtenAt(chunk: Chunk | undefined): string | null {
  return chunk === undefined || chunk.writtenAtMs === 0 ? null : new Date(chunk.writtenAtMs).toISOString();
}

/** Groups with a copy on a device that works, by device and group. */
function groupsFrom(now: ManagementFacts, after: { afterDevice: number; afterPg: number }): Group[] {
  return now.devices
    .filter(({ device }) => device.store.failed === undefined && device.deviceId >= after.afterDevice)
    .sort((a, b) => a.device.deviceId - b.device.deviceId)
    .flatMap(({ device }) =>
      [...device.groups.values()]
        .filter((group) => group.storage !== undefined)
        .filter((group) => device.deviceId > after.afterDevice || group.pgId >= after.afterPg)
        .sort((a, b) => a.pgId - b.pgId)
    );
}
