/**
 * `/api/v1`: the views that have no form in the predecessor's API.
 *
 * @module
 */
import { OpenAPIHono } from "@hono/zod-openapi";
import { z } from "zod";
import type { MdmContext } from "@/mdm/context.ts";
import { pgStateOf } from "@/mdm/core/health.ts";
import type { PgRecord } from "@/mdm/core/placement_groups.ts";
import { confirmHost } from "@/mdm/operations/devices.ts";
import { forcePromote } from "@/mdm/operations/force_promote.ts";
import { Facts } from "@/mdm/operations/facts.ts";
import { overviewOf } from "@/mdm/operations/overview.ts";
import { requirePool } from "@/mdm/operations/pools.ts";
import { idField, poolIdField } from "@/mdm/routes/fields.ts";
import { pgsOfPool } from "@/mdm/store/pgs.ts";
import { listPools } from "@/mdm/store/pools.ts";
import { listSds } from "@/mdm/store/sds.ts";
import { overviewSchema } from "@/shared/api/overview.ts";
import { incarnationSchema } from "@/shared/api/pg.ts";
import { addRoute } from "@/shared/http/api.ts";
import type { DeviceId, PgId, PoolId, SdsId } from "@/shared/ids.ts";

const tag = "Native";

const pgQuery = z.object({ pool_id: poolIdField.optional() });
const pgParams = z.object({ id: idField<PgId>() });
const promoteSchema = z.object({
  device_id: idField<DeviceId>(),
  accept_data_loss: z.boolean().default(false),
  members_destroyed: z.boolean().default(false),
});
const deviceParams = z.object({ id: idField<DeviceId>() });

const memberShape = z.object({
  device_id: z.int(),
  sds_id: z.int(),
  sds_name: z.string(),
  incarnation: incarnationSchema,
});
const pgShape = z.object({
  pg_id: z.int(),
  pool_id: z.int(),
  pg_index: z.int(),
  epoch: z.int(),
  loss_generation: z.int(),
  fresh: z.boolean(),
  copies: z.int(),
  state: z.enum(["full", "degraded", "down"]),
  /** The first is the primary. */
  members: z.array(memberShape),
  departed: z.array(z.object({ device_id: z.int(), last_epoch: z.int(), since_ms: z.number() })),
  join: z.object({
    device_id: z.int(),
    sds_name: z.string(),
    mode: z.enum(["delta", "full"]),
    chunks_copied: z.int(),
    bytes_copied: z.int(),
  }).nullable(),
}).meta({ id: "PlacementGroup" });

export function nativeRoutes(context: MdmContext): OpenAPIHono {
  const routes = new OpenAPIHono();
  addRoute(routes, {
    method: "get",
    path: "/overview",
    tag,
    summary: "Shows the whole cluster at one instant",
    answer: overviewSchema,
    handle: () => overviewOf(context),
  });
  addRoute(routes, {
    method: "get",
    path: "/pgs",
    tag,
    summary: "Lists the placement groups, of one pool or of all",
    query: pgQuery,
    answer: z.array(pgShape),
    refusals: [404],
    handle: ({ query }) => groupsOf(context, query.pool_id),
  });
  addRoute(routes, {
    method: "post",
    path: "/devices/{id}/confirm_host",
    tag,
    summary: "Confirms that a device moved to another host",
    params: deviceParams,
    answer: z.object({ device_id: z.int(), host_id: z.string() }),
    refusals: [404, 409],
    handle: ({ params }) => confirmHost(context, params.id),
  });
  addRoute(routes, {
    method: "post",
    path: "/pgs/{id}/force_promote",
    tag,
    summary: "Lets a departed copy serve as it is, when all members are gone for good: newer writes are lost",
    params: pgParams,
    body: promoteSchema,
    answer: z.object({ pg_id: z.int(), device_id: z.int(), epoch: z.int(), loss_generation: z.int() }),
    refusals: [404, 409],
    handle: ({ params, body }) => {
      const pg = forcePromote(context, {
        pgId: params.id,
        deviceId: body.device_id,
        acceptsDataLoss: body.accept_data_loss,
        membersAreDestroyed: body.members_destroyed,
      });
      return { pg_id: pg.pgId, device_id: body.device_id, epoch: pg.epoch, loss_generation: pg.lossGeneration };
    },
  });
  return routes;
}

function groupsOf(context: MdmContext, poolId: PoolId | undefined) {
  const pools = poolId === undefined ? listPools(context.db) : [requirePool(context, poolId)];
  const facts = new Facts(context);
  const names = new Map(listSds(context.db).map((sds) => [sds.sdsId, sds.name]));
  const pgs = pools.flatMap((pool) => pgsOfPool(context.db, pool.poolId));
  return pgs.map((pg) => pgJson(context, { pg, facts, names }));
}

function pgJson(
  context: MdmContext,
  options: { pg: PgRecord; facts: Facts; names: ReadonlyMap<SdsId, string> },
) {
  const { pg, facts, names } = options;
  const server = context.live.refusedPgs.has(pg.pgId) ? "nobody" : facts.serverOf(pg.members);
  const join = context.live.joins.get(pg.pgId);
  return {
    pg_id: pg.pgId,
    pool_id: pg.poolId,
    pg_index: pg.pgIndex,
    epoch: pg.epoch,
    loss_generation: pg.lossGeneration,
    fresh: pg.fresh,
    copies: pg.copies,
    state: stateWord({ memberCount: pg.members.length, copies: pg.copies, server, joining: join !== undefined }),
    members: pg.members.map((member) => ({
      device_id: member.deviceId,
      sds_id: member.sdsId,
      sds_name: names.get(member.sdsId) ?? "",
      incarnation: member.incarnation,
    })),
    departed: pg.departed.map((copy) => ({
      device_id: copy.deviceId,
      last_epoch: copy.lastEpoch,
      since_ms: copy.sinceMs,
    })),
    join: join === undefined ? null : {
      device_id: join.deviceId,
      sds_name: names.get(join.sdsId) ?? "",
      mode: join.mode,
      chunks_copied: join.chunksCopied,
      bytes_copied: join.bytesCopied,
    },
  };
}

/** A group that joins is degraded; one that nobody serves is down. */
function stateWord(pg: Parameters<typeof pgStateOf>[0]): "full" | "degraded" | "down" {
  const state = pgStateOf(pg);
  if (state === "unavailable") return "down";
  return state === "full" ? "full" : "degraded";
}
