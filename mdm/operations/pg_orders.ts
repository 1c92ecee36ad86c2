/**
 * Orders to primaries (`core/pg_orders.ts`): planned with every look at the groups, told with heartbeat answers.
 *
 * @module
 */
import type { MdmContext } from "@/mdm/context.ts";
import { type OrderFacts, orderOf } from "@/mdm/core/pg_orders.ts";
import { Facts } from "@/mdm/operations/facts.ts";
import { pgsToOrder } from "@/mdm/store/pgs.ts";
import { listSds, sdsById } from "@/mdm/store/sds.ts";
import type { PgMember } from "@/shared/api/pg.ts";
import type { PgOrder } from "@/shared/api/sds.ts";
import { sameIncarnation, type SdsId } from "@/shared/ids.ts";

/**
 * SDSs that begin to stop within this time stop together: none hands over to another one of them. In ms.
 */
export const STOP_TOGETHER_MS = 150;

/** An order and the SDS that it is for. */
export interface PlannedOrder extends PgOrder {
  readonly primarySdsId: SdsId;
}

/** Plans all orders anew and tells the primaries that have a new one. Gives how many there are. */
export function planOrders(context: MdmContext): number {
  const before = context.live.orders;
  const planned = new Map<PgOrder["pgId"], PlannedOrder>();
  const facts = new Facts(context);
  const orderFacts = orderFactsOf(context, facts);
  for (const pg of pgsToOrder(context.db, { stoppingSdsIds: stoppingLong(context) })) {
    const order = context.live.refusedPgs.has(pg.pgId) ? undefined : orderOf(pg, orderFacts);
    if (order === undefined) continue;
    planned.set(pg.pgId, { ...order, pgId: pg.pgId, epoch: pg.epoch, primarySdsId: pg.members[0]!.sdsId });
  }
  context.live.orders = planned;
  const told = new Set<SdsId>();
  for (const order of planned.values()) {
    if (before.get(order.pgId)?.epoch !== order.epoch) told.add(order.primarySdsId);
  }
  for (const sdsId of told) {
    const sds = sdsById(context.db, sdsId);
    if (sds !== undefined) context.outbox.notice(sds);
  }
  return planned.size;
}

/** The orders that an SDS gets with its next heartbeat answer. */
export function ordersFor(context: MdmContext, sdsId: SdsId): PgOrder[] {
  return [...context.live.orders.values()].filter((order) => order.primarySdsId === sdsId)
    .map(({ kind, pgId, epoch, deviceId }) => ({ kind, pgId, epoch, deviceId }));
}

/**
 * True if nobody needs a process that stops: no group is left that it should hand over or leave. Those who stop at the same time
 * are waited for.
 */
export function mayStop(context: MdmContext, sdsId: SdsId): boolean {
  const { stoppingSinceMs } = context.live.sds(sdsId);
  if (stoppingSinceMs === undefined) return false;
  if (context.clock.monotonicMs() - stoppingSinceMs < STOP_TOGETHER_MS) {
    return listSds(context.db).every((sds) => context.live.sds(sds.sdsId).stopping);
  }
  planOrders(context);
  const facts = new Facts(context);
  return ![...context.live.orders.values()].some((order) =>
    (order.kind === "hand_over" ? order.primarySdsId : facts.device(order.deviceId)?.sdsId) === sdsId
  );
}

/** SDSs that have been stopping for so long that whoever stops with them has said so. */
function stoppingLong(context: MdmContext): SdsId[] {
  const nowMs = context.clock.monotonicMs();
  return listSds(context.db).filter(({ sdsId }) => {
    const { stopping, stoppingSinceMs } = context.live.sds(sdsId);
    return stopping && stoppingSinceMs !== undefined && nowMs - stoppingSinceMs >= STOP_TOGETHER_MS;
  }).map(({ sdsId }) => sdsId);
}

function orderFactsOf(context: MdmContext, facts: Facts): OrderFacts {
  return {
    isStopping: (member) => context.live.sds(member.sdsId).stopping,
    hasFailed: (deviceId) => facts.hasFailed(deviceId),
    isSound: (member) => isSound(facts, member),
  };
}

/** True if the member is heard under the start that its group lists. */
export function isSound(facts: Facts, member: PgMember): boolean {
  const device = facts.device(member.deviceId);
  return device?.start !== undefined && sameIncarnation(device.start.incarnation, member.incarnation) &&
    facts.isLive(device);
}
