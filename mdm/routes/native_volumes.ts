/**
 * `/api/v1/volumes`: volumes and their mappings in the native form: sizes in bytes, documents as `/api/v1/overview` has them.
 *
 * @module
 */
import { OpenAPIHono } from "@hono/zod-openapi";
import { z } from "zod";
import type { MdmContext } from "@/mdm/context.ts";
import { mapVolume, unmapVolume } from "@/mdm/operations/mappings.ts";
import { overviewOf } from "@/mdm/operations/overview.ts";
import { createVolume, deleteVolume, extendVolume, requireVolume } from "@/mdm/operations/volumes.ts";
import { bytesField, nameField, poolIdField, sdcIdField, volumeIdField } from "@/mdm/routes/fields.ts";
import { type OverviewVolume, overviewVolumeSchema } from "@/shared/api/overview.ts";
import { accessModeSchema } from "@/shared/api/sdc.ts";
import { assert } from "@/shared/errors.ts";
import { addRoute } from "@/shared/http/api.ts";
import type { VolumeId } from "@/shared/ids.ts";

const tag = "Native: volumes";
const idParams = z.object({ id: volumeIdField });
const mappingParams = z.object({ id: volumeIdField, sdcId: sdcIdField });

export function nativeVolumeRoutes(context: MdmContext): OpenAPIHono {
  const routes = new OpenAPIHono();
  addRoute(routes, {
    method: "get",
    path: "/",
    tag,
    summary: "Lists the volumes",
    answer: z.array(overviewVolumeSchema),
    handle: () => overviewOf(context).volumes,
  });
  addRoute(routes, {
    method: "get",
    path: "/{id}",
    tag,
    summary: "Shows a volume",
    params: idParams,
    answer: overviewVolumeSchema,
    refusals: [404],
    handle: ({ params }) => shown(context, params.id),
  });
  addChanges(routes, context);
  addMappings(routes, context);
  return routes;
}

function addChanges(routes: OpenAPIHono, context: MdmContext): void {
  addRoute(routes, {
    method: "post",
    path: "/",
    tag,
    summary: "Creates a volume",
    body: z.object({
      name: nameField,
      poolId: poolIdField,
      sizeBytes: bytesField,
      provisioning: z.enum(["thin", "thick"]).default("thin"),
    }),
    answer: overviewVolumeSchema,
    status: 201,
    refusals: [400, 404, 409, 503],
    handle: async ({ c, body }) => {
      const { volumeId } = await createVolume(context, body);
      c.header("Location", `/api/v1/volumes/${volumeId}`);
      return shown(context, volumeId);
    },
  });
  addRoute(routes, {
    method: "put",
    path: "/{id}/size",
    tag,
    summary: "Grows a volume",
    params: idParams,
    body: z.object({ sizeBytes: bytesField }),
    answer: overviewVolumeSchema,
    refusals: [400, 404],
    handle: async ({ params, body }) => {
      await extendVolume(context, { volumeId: params.id, sizeBytes: body.sizeBytes });
      return shown(context, params.id);
    },
  });
  addRoute(routes, {
    method: "delete",
    path: "/{id}",
    tag,
    summary: "Deletes an unmapped volume; answers it as it was",
    params: idParams,
    answer: overviewVolumeSchema,
    refusals: [400, 404, 503],
    handle: async ({ params }) => {
      const volume = shown(context, params.id);
      await deleteVolume(context, params.id);
      return volume;
    },
  });
}

function addMappings(routes: OpenAPIHono, context: MdmContext): void {
  addRoute(routes, {
    method: "put",
    path: "/{id}/mappings/{sdcId}",
    tag,
    summary: "Lets an SDC use a volume, or changes how",
    params: mappingParams,
    body: z.object({ accessMode: accessModeSchema.default("readWrite") }),
    answer: overviewVolumeSchema,
    refusals: [404, 503],
    handle: async ({ params, body }) => {
      await mapVolume(context, { volumeId: params.id, sdcId: params.sdcId, accessMode: body.accessMode });
      return shown(context, params.id);
    },
  });
  addRoute(routes, {
    method: "delete",
    path: "/{id}/mappings/{sdcId}",
    tag,
    summary: "Takes a volume away from an SDC",
    params: mappingParams,
    answer: overviewVolumeSchema,
    refusals: [404, 503],
    handle: async ({ params }) => {
      await unmapVolume(context, { volumeId: params.id, sdcId: params.sdcId });
      return shown(context, params.id);
    },
  });
}

/** @throws {StorageError} `not_found` */
function shown(context: MdmContext, volumeId: VolumeId): OverviewVolume {
  requireVolume(context, volumeId);
  const volume = overviewOf(context).volumes.find((candidate) => candidate.volumeId === volumeId);
  assert(volume !== undefined, "the overview has every volume");
  return volume;
}
