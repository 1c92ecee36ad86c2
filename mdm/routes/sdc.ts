/**
 * `/sdc`: SDCs and what they may use.
 *
 * @module
 */
import { Hono } from "hono";
import { z } from "zod";
import type { MdmContext } from "@/mdm/context.ts";
import { gibOfBytes } from "@/mdm/core/capacity.ts";
import { sdcMappings } from "@/mdm/operations/mappings.ts";
import { addSdc, allSdcs, requireSdc } from "@/mdm/operations/sdc.ts";
import { idField, nameField, sdcIdField } from "@/mdm/routes/fields.ts";
import { mappingsOfSdc } from "@/mdm/store/mappings.ts";
import type { SdcRow } from "@/mdm/store/sdc.ts";
import { parseBody, parseParams } from "@/shared/http/body.ts";

const addSchema = z.object({ name: nameField, cluster_node_id: idField().nullish() });
const idParams = z.object({ id: sdcIdField });

export function sdcRoutes(context: MdmContext): Hono {
  const routes = new Hono();
  routes.post("/add", async (c) => {
    const body = await parseBody(c, addSchema);
    const sdc = addSdc(context, { name: body.name, clusterNodeId: body.cluster_node_id ?? undefined });
    return c.json({ id: sdc.sdcId, name: sdc.name, cluster_node_id: sdc.clusterNodeId });
  });
  routes.get("/list", (c) => c.json(allSdcs(context).map((sdc) => sdcJson(context, sdc))));
  routes.get("/:id", (c) => {
    const sdc = requireSdc(context, parseParams(c, idParams).id);
    return c.json({
      ...sdcJson(context, sdc),
      mapped_volumes: mappingsOfSdc(context.db, sdc.sdcId).map((mapping) => ({
        volume_id: mapping.volumeId,
        access_mode: mapping.accessMode,
        mapped_at: new Date(mapping.changedAtMs).toISOString(),
      })),
    });
  });
  routes.get("/:id/datastores", (c) => {
    const sdc = requireSdc(context, parseParams(c, idParams).id);
    const nbdUri: unknown = JSON.parse(sdc.metadataJson)["nbd_uri"];
    const datastores = sdcMappings(context, sdc.sdcId).map((mapping) => ({
      volume_id: mapping.volumeId,
      volume_name: mapping.volumeName,
      size_gb: gibOfBytes(mapping.sizeBytes),
      access_mode: mapping.accessMode,
      device_path: typeof nbdUri === "string" ? `${nbdUri}/${encodeURIComponent(mapping.volumeName)}` : null,
      mapping_path: `/sdc/${sdc.sdcId}/volumes/${mapping.volumeId}`,
    }));
    return c.json({ sdc_id: sdc.sdcId, sdc_name: sdc.name, datastore_count: datastores.length, datastores });
  });
  return routes;
}

function sdcJson(context: MdmContext, sdc: SdcRow) {
  return {
    id: sdc.sdcId,
    name: sdc.name,
    cluster_node_id: sdc.clusterNodeId,
    component_id: sdc.componentId,
    mapped_volume_count: mappingsOfSdc(context.db, sdc.sdcId).length,
  };
}
