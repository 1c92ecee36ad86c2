/**
 * `/sds`: SDSs and their devices.
 *
 * @module
 */
import { OpenAPIHono } from "@hono/zod-openapi";
import { z } from "zod";
import type { MdmContext } from "@/mdm/context.ts";
import { gibOfBytes } from "@/mdm/core/capacity.ts";
import { sdsStateOf } from "@/mdm/core/health.ts";
import { capacityOf } from "@/mdm/operations/devices.ts";
import { usedBytesOf } from "@/mdm/operations/pool_views.ts";
import { livenessOfComponent } from "@/mdm/operations/processes.ts";
import { failSds, recoverSds, removeSds } from "@/mdm/operations/sds_service.ts";
import { addSds, allSds, requireSds } from "@/mdm/operations/sds.ts";
import {
  domainIdField,
  faultSetIdField,
  idField,
  namedShape,
  nameField,
  poolIdField,
  sdsIdField,
  sizeGbField,
} from "@/mdm/routes/fields.ts";
import { type DeviceRow, devicesOfSds } from "@/mdm/store/devices.ts";
import type { SdsRow } from "@/mdm/store/sds.ts";
import { addRoute } from "@/shared/http/api.ts";

const tag = "SDSs";

/** Devices of one SDS at most. */
const DEVICES_MAX = 64;
const DEVICE_NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;
/** Device names, as a list or separated by commas. */
export const devicesField = z.union([z.string(), z.array(z.string())]).default("blk0")
  .transform((value) =>
    (typeof value === "string" ? value.split(",") : value).map((name) => name.trim()).filter((n) => n !== "")
  )
  .pipe(
    z.array(z.string().regex(DEVICE_NAME, "must be a plain name such as blk0")).min(1).max(DEVICES_MAX)
      .refine((names) => new Set(names).size === names.length, "must not name a device twice"),
  );

const addSchema = z.object({
  name: nameField,
  total_capacity_gb: sizeGbField,
  devices: devicesField,
  protection_domain_id: domainIdField,
  cluster_node_id: idField().nullish(),
  pool_id: poolIdField.nullish(),
  fault_set_id: faultSetIdField.nullish(),
  fault_set: nameField.nullish(),
});
const idParams = z.object({ id: sdsIdField });

/** State of an SDS or SDC in the predecessor's words. */
export const stateWordShape = z.enum(["UP", "DEGRADED", "DOWN"]);
const sdsShape = z.object({
  id: z.int(),
  name: z.string(),
  state: stateWordShape,
  cluster_node_id: z.int(),
  component_id: z.string(),
  protection_domain_id: z.int(),
  fault_set_id: z.int().nullable(),
  total_capacity_gb: z.number(),
  used_capacity_gb: z.number(),
  devices: z.string(),
}).meta({ id: "Sds" });
const sdsDetailShape = z.object({ ...sdsShape.shape, ip_address: z.string(), port: z.int().nullable() })
  .meta({ id: "SdsDetail" });

export function sdsRoutes(context: MdmContext): OpenAPIHono {
  const routes = new OpenAPIHono();
  addRoute(routes, {
    method: "post",
    path: "/add",
    tag,
    summary: "Adds an SDS with its devices, on a registered process",
    body: addSchema,
    answer: namedShape,
    refusals: [400, 404, 409],
    handle: ({ body }) => {
      const sds = addSds(context, {
        name: body.name,
        domainId: body.protection_domain_id,
        claimedBytes: body.total_capacity_gb,
        devices: body.devices,
        poolId: body.pool_id ?? undefined,
        clusterNodeId: body.cluster_node_id ?? undefined,
        faultSetId: body.fault_set_id ?? undefined,
        faultSetName: body.fault_set ?? undefined,
      });
      return { id: sds.sdsId, name: sds.name };
    },
  });
  addRoute(routes, {
    method: "get",
    path: "/list",
    tag,
    summary: "Lists the SDSs",
    answer: z.array(sdsShape),
    handle: () => allSds(context).map((sds) => sdsJson(context, sds)),
  });
  addRoute(routes, {
    method: "get",
    path: "/{id}",
    tag,
    summary: "Shows an SDS",
    params: idParams,
    answer: sdsDetailShape,
    refusals: [404],
    handle: ({ params }) => {
      const sds = requireSds(context, params.id);
      return { ...sdsJson(context, sds), ip_address: sds.address, port: sds.dataPort };
    },
  });
  addRoute(routes, {
    method: "delete",
    path: "/{id}",
    tag,
    summary: "Removes an SDS once its copies are made elsewhere; asked again, says how far that is",
    params: idParams,
    answer: z.object({ status: z.enum(["removed", "draining"]), groups_left: z.int(), message: z.string() }),
    refusals: [404],
    handle: ({ params }) => {
      const { status, groupsLeft, message } = removeSds(context, params.id);
      return { status, groups_left: groupsLeft, message };
    },
  });
  for (const [word, change] of [["fail", failSds], ["recover", recoverSds]] as const) {
    addRoute(routes, {
      method: "post",
      path: `/{id}/${word}`,
      tag,
      summary: word === "fail" ? "Takes an SDS out of service; its copies are made elsewhere" : "Lets an SDS return",
      params: idParams,
      answer: z.object({ id: z.int(), state: stateWordShape, message: z.string() }),
      refusals: [404],
      handle: ({ params }) => {
        const { sds, message } = change(context, params.id);
        return { id: sds.sdsId, state: sdsWord(context, sds), message };
      },
    });
  }
  return routes;
}

/** State of an SDS in the predecessor's words. */
export function sdsWord(context: MdmContext, sds: SdsRow): z.output<typeof stateWordShape> {
  if (sds.service === "failed") return "DOWN";
  const hasFailedDevice = devicesOfSds(context.db, sds.sdsId).some((device) => device.state === "failed");
  return sdsStateOf(livenessOfComponent(context, sds.componentId), { hasFailedDevice });
}

function sdsJson(context: MdmContext, sds: SdsRow) {
  const devices = devicesOfSds(context.db, sds.sdsId);
  const sum = (bytesOf: (device: DeviceRow) => number) => devices.reduce((bytes, device) => bytes + bytesOf(device), 0);
  return {
    id: sds.sdsId,
    name: sds.name,
    state: sdsWord(context, sds),
    cluster_node_id: sds.clusterNodeId,
    component_id: sds.componentId,
    protection_domain_id: sds.domainId,
    fault_set_id: sds.faultSetId,
    total_capacity_gb: gibOfBytes(sum(capacityOf)),
    used_capacity_gb: gibOfBytes(sum((device) => usedBytesOf(context, device))),
    devices: devices.map((device) => device.name).join(","),
  };
}
