/**
 * `/api/v1`: the views that have no form in the predecessor's API.
 *
 * @module
 */
import { Hono } from "hono";
import { z } from "zod";
import type { MdmContext } from "@/mdm/context.ts";
import { pgStateOf } from "@/mdm/core/health.ts";
import type { PgRecord } from "@/mdm/core/placement_groups.ts";
import { confirmHost } from "@/mdm/operations/devices.ts";
import { Facts } from "@/mdm/operations/facts.ts";
import { overviewOf } from "@/mdm/operations/overview.ts";
import { requirePool } from "@/mdm/operations/pools.ts";
import { idField, poolIdField } from "@/mdm/routes/fields.ts";
import { pgsOfPool } from "@/mdm/store/pgs.ts";
import { listPools } from "@/mdm/store/pools.ts";
import { listSds } from "@/mdm/store/sds.ts";
import { parseParams, parseQuery } from "@/shared/http/body.ts";
import type { DeviceId, SdsId } from "@/shared/ids.ts";

const pgQuery = z.object({ pool_id: poolIdField.optional() });
const deviceParams = z.object({ id: idField<DeviceId>() });

export function nativeRoutes(context: MdmContext): Hono {
  const routes = new Hono();
  routes.get("/overview", (c) => c.json(overviewOf(context)));
  routes.get("/pgs", (c) => {
    const poolId = parseQuery(c, pgQuery).pool_id;
    const pools = poolId === undefined ? listPools(context.db) : [requirePool(context, poolId)];
    const facts = new Facts(context);
    const names = new Map(listSds(context.db).map((sds) => [sds.sdsId, sds.name]));
    const pgs = pools.flatMap((pool) => pgsOfPool(context.db, pool.poolId));
    return c.json(pgs.map((pg) => pgJson(context, { pg, facts, names })));
  });
  routes.post("/devices/:id/confirm_host", (c) => c.json(confirmHost(context, parseParams(c, deviceParams).id)));
  return routes;
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
