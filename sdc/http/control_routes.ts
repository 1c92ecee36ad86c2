/**
 * `/control`: what the MDM tells this SDC. Signed with this node's key. A notice is a hint: the SDC asks the MDM for the list
 * of mappings, or for a map, and follows that. So nothing is served that the MDM does not say when it is asked.
 *
 * @module
 */
import { OpenAPIHono } from "@hono/zod-openapi";
import { z } from "zod";
import { addIoRoutes } from "@/sdc/http/io_routes.ts";
import { mappingRows, mappingShape } from "@/sdc/http/mapping_rows.ts";
import type { MappedVolumes } from "@/sdc/mapped_volumes.ts";
import { type Clock, sleep } from "@/shared/clock.ts";
import { accessModeSchema } from "@/shared/api/sdc.ts";
import { idSchema } from "@/shared/api/pg.ts";
import { CHUNK_BYTES } from "@/shared/constants.ts";
import { StorageError } from "@/shared/errors.ts";
import { addRoute } from "@/shared/http/api.ts";
import { requireNode } from "@/shared/http/node_auth.ts";
import type { ComponentId, VolumeId } from "@/shared/ids.ts";
import { chunkPlaceOf } from "@/shared/io_token.ts";

/** A notice is answered within this time, in ms, also while the MDM is slow to answer what the SDC asks. */
export const NOTICE_WAIT_MS = 1_000;

/** Time between two looks for what a notice announced, in ms. */
const POLL_MS = 5;

const mappedSchema = z.object({
  volume_id: idSchema<VolumeId>(),
  volume_name: z.string().min(1),
  size_bytes: z.number().int().nonnegative(),
  access_mode: accessModeSchema,
});
const unmappedSchema = z.object({ volume_id: idSchema<VolumeId>() });
const planUpdateSchema = z.object({
  volume_id: idSchema<VolumeId>(),
  chunk_id: z.number().int().nonnegative(),
  sds_address: z.string().min(1),
  sds_data_port: z.number().int().min(1).max(65_535),
  generation: z.number().int().positive(),
});
type PlanUpdate = z.output<typeof planUpdateSchema>;

const volumeId = z.int();
const tag = "Control";

/** What the routes act on. */
export interface ControlRouteParts {
  readonly volumes: MappedVolumes;
  readonly clock: Clock;
  /** The node key of a component: only this SDC's own. */
  readonly keyOf: (componentId: ComponentId) => string | undefined;
  /** Asks the MDM for the list of mappings. */
  readonly refresh: () => Promise<void>;
}

/** See the module comment. */
export function controlRoutes(parts: ControlRouteParts): OpenAPIHono {
  const { volumes, keyOf } = parts;
  const routes = new OpenAPIHono();
  routes.use(requireNode(keyOf));
  addRoute(routes, {
    method: "post",
    path: "/volume_mapped",
    tag,
    summary: "A volume was mapped to this SDC, or has another size or mode",
    body: mappedSchema,
    answer: z.object({ status: z.enum(["mapped", "updated"]), volume_id: volumeId }),
    refusals: [503],
    handle: ({ body: { volume_id } }) => followMapping(parts, volume_id),
  });
  addRoute(routes, {
    method: "post",
    path: "/volume_unmapped",
    tag,
    summary: "A volume is not mapped any more: what was cached of it is dropped",
    body: unmappedSchema,
    answer: z.object({ status: z.enum(["unmapped", "not_found"]), volume_id: volumeId }),
    handle: async ({ body: { volume_id } }) => {
      const wasMapped = volumes.unmapped(volume_id);
      await refreshed(parts);
      const status: "unmapped" | "not_found" = wasMapped ? "unmapped" : "not_found";
      return { status, volume_id };
    },
  });
  addRoute(routes, {
    method: "post",
    path: "/plan_update",
    tag,
    summary: "A chunk is served elsewhere or under another epoch: the map is asked for",
    body: planUpdateSchema,
    answer: z.object({
      status: z.enum(["cached", "updated"]),
      volume_id: volumeId,
      chunk_id: z.int(),
      generation: z.int(),
    }),
    refusals: [404, 503],
    handle: ({ body }) => followPlan(parts, body),
  });
  addRoute(routes, {
    method: "post",
    path: "/notice",
    tag,
    summary: "Something changed at the MDM: it is asked now",
    answer: z.object({ status: z.literal("ok") }),
    handle: async () => {
      await refreshed(parts);
      return { status: "ok" as const };
    },
  });
  addIoRoutes(routes, { ...parts, refresh: () => refreshed(parts) });
  addRoute(routes, {
    method: "get",
    path: "/mappings",
    tag,
    summary: "Lists the mapped volumes",
    answer: z.object({ mappings: z.array(mappingShape) }),
    handle: () => ({ mappings: mappingRows(volumes, parts.clock) }),
  });
  return routes;
}

async function followMapping(parts: ControlRouteParts, volumeId: VolumeId) {
  const { volumes, clock } = parts;
  const status: "mapped" | "updated" = volumes.byId(volumeId) === undefined ? "mapped" : "updated";
  await withinNotice(clock, async (given) => {
    await parts.refresh();
    // Who connects next sees the new size, which comes with the next token.
    await until(clock, given, () => {
      const guard = volumes.byId(volumeId)?.guard;
      return guard === undefined || guard.sizeBytes >= guard.mapping.sizeBytes;
    });
  });
  if (volumes.byId(volumeId) === undefined) {
    throw new StorageError("unavailable", `Cannot map volume ${volumeId}: the MDM does not list it, or did not answer`);
  }
  return { status, volume_id: volumeId };
}

/** `cached`: the SDC knew of that generation. `updated`: it does now. */
async function followPlan(parts: ControlRouteParts, update: PlanUpdate) {
  const { volume_id, chunk_id, generation } = update;
  const attempt = `Cannot follow the plan of chunk ${chunk_id} of volume ${volume_id}`;
  const volume = parts.volumes.byId(volume_id);
  if (volume === undefined) throw new StorageError("not_found", `${attempt}: the volume is not mapped to this SDC`);
  const { guard, link } = volume;
  const { nodeId, chunkIndex } = chunkPlaceOf(chunk_id);
  const epochOf = () => link.epochOfChunk(chunkIndex) ?? 0;
  const wasCached = epochOf() >= generation;
  if (!wasCached) {
    link.wantMap();
    await withinNotice(parts.clock, (given) => until(parts.clock, given, () => epochOf() >= generation));
  }
  const ownNodeId = link.routes.table?.nodeId;
  if (chunkIndex * CHUNK_BYTES >= guard.sizeBytes || (ownNodeId !== undefined && ownNodeId !== nodeId)) {
    throw new StorageError("not_found", `${attempt}: the volume has no such chunk`);
  }
  if (epochOf() < generation) {
    throw new StorageError("unavailable", `${attempt}: the MDM's map is at generation ${epochOf()}, not ${generation}`);
  }
  const status: "cached" | "updated" = wasCached ? "cached" : "updated";
  return { status, volume_id, chunk_id, generation: epochOf() };
}

function refreshed({ refresh, clock }: ControlRouteParts): Promise<void> {
  return withinNotice(clock, refresh);
}

/** Does `work`, or leaves it when the time of a notice is over; its signal is aborted then. */
async function withinNotice(clock: Clock, work: (given: AbortSignal) => Promise<void>): Promise<void> {
  const done = new AbortController();
  await Promise.race([work(done.signal), sleep(clock, NOTICE_WAIT_MS, done.signal)]);
  done.abort();
}

/** Resolves when `isSo`, or the time given is over. */
async function until(clock: Clock, given: AbortSignal, isSo: () => boolean): Promise<void> {
  while (!given.aborted && !isSo()) await sleep(clock, POLL_MS, given);
}
