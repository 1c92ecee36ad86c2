/**
 * `/sdc`: SDCs and what they may use.
 *
 * @module
 */
import { OpenAPIHono } from "@hono/zod-openapi";
import { z } from "zod";
import type { MdmContext } from "@/mdm/context.ts";
import { gibOfBytes } from "@/mdm/core/capacity.ts";
import { sdcMappings } from "@/mdm/operations/mappings.ts";
import { addSdc, allSdcs, requireSdc } from "@/mdm/operations/sdc.ts";
import { idField, nameField, sdcIdField, timeShape } from "@/mdm/routes/fields.ts";
import { mappingsOfSdc } from "@/mdm/store/mappings.ts";
import type { SdcRow } from "@/mdm/store/sdc.ts";
import { accessModeSchema } from "@/shared/api/sdc.ts";
import { addRoute } from "@/shared/http/api.ts";

const tag = "SDCs";

const addSchema = z.object({ name: nameField, cluster_node_id: idField().nullish() });
const idParams = z.object({ id: sdcIdField });
const sdcShape = z.object({
  id: z.int(),
  name: z.string(),
  cluster_node_id: z.int(),
  component_id: z.string(),
  mapped_volume_count: z.int(),
}).meta({ id: "Sdc" });
const sdcDetailShape = z.object({
  ...sdcShape.shape,
  mapped_volumes: z.array(z.object({ volume_id: z.int(), access_mode: accessModeSchema, mapped_at: timeShape })),
}).meta({ id: "SdcDetail" });
const datastoresShape = z.object({
  sdc_id: z.int(),
  sdc_name: z.string(),
  datastore_count: z.int(),
  datastores: z.array(z.object({
    volume_id: z.int(),
    volume_name: z.string(),
    size_gb: z.number(),
    access_mode: accessModeSchema,
    device_path: z.string().nullable(),
    mapping_path: z.string(),
  })),
}).meta({ id: "Datastores" });

export function sdcRoutes(context: MdmContext): OpenAPIHono {
  const routes = new OpenAPIHono();
  addRoute(routes, {
    method: "post",
    path: "/add",
    tag,
    summary: "Adds an SDC, on a registered process",
    body: addSchema,
    answer: z.object({ id: z.int(), name: z.string(), cluster_node_id: z.int() }),
    refusals: [400, 404, 409],
    handle: ({ body }) => {
      const sdc = addSdc(context, { name: body.name, clusterNodeId: body.cluster_node_id ?? undefined });
      return { id: sdc.sdcId, name: sdc.name, cluster_node_id: sdc.clusterNodeId };
    },
  });
  addRoute(routes, {
    method: "get",
    path: "/list",
    tag,
    summary: "Lists the SDCs",
    answer: z.array(sdcShape),
    handle: () => allSdcs(context).map((sdc) => sdcJson(context, sdc)),
  });
  addRoute(routes, {
    method: "get",
    path: "/{id}",
    tag,
    summary: "Shows an SDC with its mappings",
    params: idParams,
    answer: sdcDetailShape,
    refusals: [404],
    handle: ({ params }) => {
      const sdc = requireSdc(context, params.id);
      return {
        ...sdcJson(context, sdc),
        mapped_volumes: mappingsOfSdc(context.db, sdc.sdcId).map((mapping) => ({
          volume_id: mapping.volumeId,
          access_mode: mapping.accessMode,
          mapped_at: new Date(mapping.changedAtMs).toISOString(),
        })),
      };
    },
  });
  addRoute(routes, {
    method: "get",
    path: "/{id}/datastores",
    tag,
    summary: "Shows where applications find the volumes of an SDC",
    params: idParams,
    answer: datastoresShape,
    refusals: [404],
    handle: ({ params }) => datastoresJson(context, requireSdc(context, params.id)),
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

function datastoresJson(context: MdmContext, sdc: SdcRow) {
  const nbdUri: unknown = JSON.parse(sdc.metadataJson)["nbd_uri"];
  const datastores = sdcMappings(context, sdc.sdcId).map((mapping) => ({
    volume_id: mapping.volumeId,
    volume_name: mapping.volumeName,
    size_gb: gibOfBytes(mapping.sizeBytes),
    access_mode: mapping.accessMode,
    device_path: typeof nbdUri === "string" ? `${nbdUri}/${encodeURIComponent(mapping.volumeName)}` : null,
    mapping_path: `/sdc/${sdc.sdcId}/volumes/${mapping.volumeId}`,
  }));
  return { sdc_id: sdc.sdcId, sdc_name: sdc.name, datastore_count: datastores.length, datastores };
}
