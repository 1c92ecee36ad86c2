/**
 * `/vol`: volumes and their mappings.
 *
 * @module
 */
import { Hono } from "hono";
import { z } from "zod";
import type { MdmContext } from "@/mdm/context.ts";
import { gibOfBytes } from "@/mdm/core/capacity.ts";
import { mapVolume, unmapVolume } from "@/mdm/operations/mappings.ts";
import { volumeStateOf, volumeUsedBytes } from "@/mdm/operations/overview.ts";
import { EMPTY_POOL, type PoolView, poolViews } from "@/mdm/operations/pool_views.ts";
import { allVolumes, createVolume, deleteVolume, extendVolume, requireVolume } from "@/mdm/operations/volumes.ts";
import { nameField, poolIdField, sdcIdField, sizeGbField, volumeIdField } from "@/mdm/routes/fields.ts";
import { mappingsOfVolume } from "@/mdm/store/mappings.ts";
import { freshPgCount } from "@/mdm/store/pgs.ts";
import { sdcById } from "@/mdm/store/sdc.ts";
import type { VolumeRow } from "@/mdm/store/volumes.ts";
import { accessModeSchema } from "@/shared/api/sdc.ts";
import { parseBody, parseParams, parseQuery } from "@/shared/http/body.ts";

const createSchema = z.object({
  name: nameField,
  size_gb: sizeGbField,
  provisioning: z.enum(["thin", "thick"]).default("thin"),
  pool_id: poolIdField,
});
const mapSchema = z.object({
  volume_id: volumeIdField,
  sdc_id: sdcIdField,
  access_mode: accessModeSchema.default("readWrite"),
});
const unmapSchema = z.object({ volume_id: volumeIdField, sdc_id: sdcIdField });
const extendSchema = z.object({ volume_id: volumeIdField, new_size_gb: sizeGbField });
const idParams = z.object({ id: volumeIdField });

export function volumeRoutes(context: MdmContext): Hono {
  const routes = new Hono();
  routes.post("/create", async (c) => {
    const body = await parseBody(c, createSchema);
    const volume = await createVolume(context, {
      name: body.name,
      sizeBytes: body.size_gb,
      provisioning: body.provisioning,
      poolId: body.pool_id,
    });
    return c.json({ id: volume.volumeId, name: volume.name });
  });
  routes.post("/map", async (c) => {
    const { volume_id: volumeId, sdc_id: sdcId, access_mode: accessMode } = parseQuery(c, mapSchema);
    await mapVolume(context, { volumeId, sdcId, accessMode });
    return c.json({ status: "mapped" });
  });
  routes.post("/unmap", async (c) => {
    const { volume_id: volumeId, sdc_id: sdcId } = parseQuery(c, unmapSchema);
    await unmapVolume(context, { volumeId, sdcId });
    return c.json({ status: "unmapped" });
  });
  routes.post("/extend", async (c) => {
    const { volume_id: volumeId, new_size_gb: sizeBytes } = parseQuery(c, extendSchema);
    await extendVolume(context, { volumeId, sizeBytes });
    return c.json({ status: "extended" });
  });
  routes.get("/list", (c) => {
    const views = poolViews(context);
    return c.json(
      allVolumes(context).map((volume) =>
        volumeJson(context, { volume, view: views.get(volume.poolId) ?? EMPTY_POOL })
      ),
    );
  });
  routes.get("/:id", (c) => {
    const volume = requireVolume(context, parseParams(c, idParams).id);
    const view = poolViews(context).get(volume.poolId) ?? EMPTY_POOL;
    return c.json({
      ...volumeJson(context, { volume, view }),
      used_capacity_gb: gibOfBytes(volumeUsedBytes(context, volume) ?? 0),
      io_mode: "network",
      mappings: mappingsOfVolume(context.db, volume.volumeId).map((mapping) => ({
        sdc_id: mapping.sdcId,
        sdc_name: sdcById(context.db, mapping.sdcId)?.name ?? "",
        access_mode: mapping.accessMode,
        mapped_at: new Date(mapping.changedAtMs).toISOString(),
      })),
    });
  });
  routes.delete("/:id", async (c) => {
    await deleteVolume(context, parseParams(c, idParams).id);
    return c.json({ status: "deleted" });
  });
  return routes;
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

/** State in the predecessor's words; CREATING while the pool's groups are made. */
function stateWord(context: MdmContext, options: { volume: VolumeRow; view: PoolView }): string {
  if (freshPgCount(context.db, options.volume.poolId) > 0) return "CREATING";
  const state = volumeStateOf(options.volume, options.view);
  return state === "unavailable" ? "DEGRADED" : state.toUpperCase();
}
