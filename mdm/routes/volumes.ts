/**
 * `/vol`: volumes and their mappings.
 *
 * @module
 */
import { OpenAPIHono } from "@hono/zod-openapi";
import { z } from "zod";
import type { MdmContext } from "@/mdm/context.ts";
import { gibOfBytes } from "@/mdm/core/capacity.ts";
import { mapVolume, unmapVolume } from "@/mdm/operations/mappings.ts";
import { poolViewOf } from "@/mdm/operations/pool_space.ts";
import { EMPTY_POOL, type PoolView, poolViews } from "@/mdm/operations/pool_views.ts";
import { volumeStateOf, volumeUsedBytes } from "@/mdm/operations/volume_views.ts";
import {
  allVolumes,
  createVolume,
  deleteVolume,
  extendVolume,
  requireVolume,
  shrinkVolume,
} from "@/mdm/operations/volumes.ts";
import {
  namedShape,
  nameField,
  poolIdField,
  sdcIdField,
  sizeGbField,
  statusShape,
  timeShape,
  volumeIdField,
} from "@/mdm/routes/fields.ts";
import { mappingsOfVolume } from "@/mdm/store/mappings.ts";
import { freshPgCount } from "@/mdm/store/pgs.ts";
import { sdcById } from "@/mdm/store/sdc.ts";
import type { VolumeRow } from "@/mdm/store/volumes.ts";
import { accessModeSchema } from "@/shared/api/sdc.ts";
import { addRoute } from "@/shared/http/api.ts";

const tag = "Volumes";

const createSchema = z.object({
  name: nameField,
  size_gb: sizeGbField,
  provisioning: z.enum(["thin", "thick"]).default("thin"),
  pool_id: poolIdField,
});
const mapQuery = z.object({
  volume_id: volumeIdField,
  sdc_id: sdcIdField,
  access_mode: accessModeSchema.default("readWrite"),
});
const unmapQuery = z.object({ volume_id: volumeIdField, sdc_id: sdcIdField });
const resizeQuery = z.object({ volume_id: volumeIdField, new_size_gb: sizeGbField });
const idParams = z.object({ id: volumeIdField });

/** State of a volume in the predecessor's words. */
export const volumeWordShape = z.enum(["AVAILABLE", "IN_USE", "DEGRADED", "CREATING", "DELETING"]);
const volumeShape = z.object({
  id: z.int(),
  name: z.string(),
  state: volumeWordShape,
  size_gb: z.number(),
  pool_id: z.int(),
  provisioning: z.enum(["thin", "thick"]),
  mapping_count: z.int(),
}).meta({ id: "Volume" });
const volumeDetailShape = z.object({
  ...volumeShape.shape,
  used_capacity_gb: z.number(),
  io_mode: z.literal("network"),
  mappings: z.array(z.object({
    sdc_id: z.int(),
    sdc_name: z.string(),
    access_mode: accessModeSchema,
    mapped_at: timeShape,
  })),
}).meta({ id: "VolumeDetail" });

export function volumeRoutes(context: MdmContext): OpenAPIHono {
  const routes = new OpenAPIHono();
  addLife(routes, context);
  addMapping(routes, context);
  addRoute(routes, {
    method: "get",
    path: "/list",
    tag,
    summary: "Lists the volumes",
    answer: z.array(volumeShape),
    handle: () => {
      const views = poolViews(context);
      const viewOf = (volume: VolumeRow) => views.get(volume.poolId) ?? EMPTY_POOL;
      return allVolumes(context).map((volume) => volumeJson(context, { volume, view: viewOf(volume) }));
    },
  });
  addRoute(routes, {
    method: "get",
    path: "/{id}",
    tag,
    summary: "Shows a volume with its mappings",
    params: idParams,
    answer: volumeDetailShape,
    refusals: [404],
    handle: ({ params }) => volumeDetail(context, requireVolume(context, params.id)),
  });
  return routes;
}

function addLife(routes: OpenAPIHono, context: MdmContext): void {
  addRoute(routes, {
    method: "post",
    path: "/create",
    tag,
    summary: "Creates a volume",
    body: createSchema,
    answer: namedShape,
    refusals: [400, 404, 409, 503],
    handle: async ({ body }) => {
      const volume = await createVolume(context, {
        name: body.name,
        sizeBytes: body.size_gb,
        provisioning: body.provisioning,
        poolId: body.pool_id,
      });
      return { id: volume.volumeId, name: volume.name };
    },
  });
  addRoute(routes, {
    method: "post",
    path: "/extend",
    tag,
    summary: "Grows a volume",
    query: resizeQuery,
    answer: statusShape("extended"),
    refusals: [400, 404],
    handle: async ({ query }) => {
      await extendVolume(context, { volumeId: query.volume_id, sizeBytes: query.new_size_gb });
      return { status: "extended" as const };
    },
  });
  addRoute(routes, {
    method: "post",
    path: "/shrink",
    tag,
    summary: "Refused: volumes can only grow",
    query: resizeQuery,
    answer: statusShape("shrunk"),
    refusals: [404, 501],
    handle: ({ query }) => shrinkVolume(context, query.volume_id),
  });
  addRoute(routes, {
    method: "delete",
    path: "/{id}",
    tag,
    summary: "Deletes an unmapped volume",
    params: idParams,
    answer: statusShape("deleted"),
    refusals: [400, 404, 503],
    handle: async ({ params }) => {
      await deleteVolume(context, params.id);
      return { status: "deleted" as const };
    },
  });
}

function addMapping(routes: OpenAPIHono, context: MdmContext): void {
  addRoute(routes, {
    method: "post",
    path: "/map",
    tag,
    summary: "Lets an SDC use a volume",
    query: mapQuery,
    answer: statusShape("mapped"),
    refusals: [404, 503],
    handle: async ({ query }) => {
      const { volume_id: volumeId, sdc_id: sdcId, access_mode: accessMode } = query;
      await mapVolume(context, { volumeId, sdcId, accessMode });
      return { status: "mapped" as const };
    },
  });
  addRoute(routes, {
    method: "post",
    path: "/unmap",
    tag,
    summary: "Takes a volume away from an SDC",
    query: unmapQuery,
    answer: statusShape("unmapped"),
    refusals: [404, 503],
    handle: async ({ query }) => {
      await unmapVolume(context, { volumeId: query.volume_id, sdcId: query.sdc_id });
      return { status: "unmapped" as const };
    },
  });
}

function volumeJson(context: MdmContext, options: { volume: VolumeRow; view: PoolView }) {
  const { volume, view } = options;
  return {
    id: volume.volumeId,
    name: volume.name,
    state: stateWord(context, { volume, view }),
    size_gb: gibOfBytes(volume.sizeBytes),
    pool_id: volume.poolId,
    provisioning: volume.provisioning,
    mapping_count: volume.mappingCount,
  };
}

function volumeDetail(context: MdmContext, volume: VolumeRow) {
  return {
    ...volumeJson(context, { volume, view: poolViewOf(context, volume.poolId) }),
    used_capacity_gb: gibOfBytes(volumeUsedBytes(context, volume) ?? 0),
    io_mode: "network" as const,
    mappings: mappingsOfVolume(context.db, volume.volumeId).map((mapping) => ({
      sdc_id: mapping.sdcId,
      sdc_name: sdcById(context.db, mapping.sdcId)?.name ?? "",
      access_mode: mapping.accessMode,
      mapped_at: new Date(mapping.changedAtMs).toISOString(),
    })),
  };
}

/** State in the predecessor's words; CREATING while the pool's groups are made. */
export function stateWord(
  context: MdmContext,
  options: { volume: VolumeRow; view: PoolView },
): z.output<typeof volumeWordShape> {
  if (freshPgCount(context.db, options.volume.poolId) > 0) return "CREATING";
  switch (volumeStateOf(options.volume, options.view)) {
    case "available":
      return "AVAILABLE";
    case "in_use":
      return "IN_USE";
    case "creating":
      return "CREATING";
    case "deleting":
      return "DELETING";
    case "degraded":
    case "unavailable":
      return "DEGRADED";
  }
}
