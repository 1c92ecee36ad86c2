/**
 * Orders to primaries (`core/pg_orders.ts`): planned with every look at the groups, told with heartbeat answers.
 *
 * @module
 */
import type { MdmContext } from "@/mdm/context.ts";
import { refilled } from "@/mdm/core/joins.ts";
import { type OrderFacts, orderOf } from "@/mdm/core/pg_orders.ts";
import { Facts } from "@/mdm/operations/facts.ts";
import { pgsToOrder } from "@/mdm/store/pgs.ts";
import { listSds, sdsById } from "@/mdm/store/sds.ts";
import type { PgMember } from "@/shared/api/pg.ts";
import type { PgOrder } from "@/shared/api/sds.ts";
import { type PoolId, sameIncarnation, type SdsId } from "@/shared/ids.ts";

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
  const leavingSdsIds = listSds(context.db).map(({ sdsId }) => sdsId).filter((sdsId) => isLeaving(context, sdsId));
  const swaps = new SwapBudgets(context);
  for (const pg of pgsToOrder(context.db, { leavingSdsIds })) {
    const order = context.live.refusedPgs.has(pg.pgId) ? undefined : orderOf(pg, orderFacts);
    if (order === undefined || (order.paced && context.live.joins.get(pg.pgId) !== undefined)) continue;
    const isKnown = before.get(pg.pgId)?.epoch === pg.epoch;
    if (order.paced && !isKnown && !swaps.take(pg.poolId)) continue;
    const { kind, deviceId } = order;
    planned.set(pg.pgId, { kind, deviceId, pgId: pg.pgId, epoch: pg.epoch, primarySdsId: pg.members[0]!.sdsId });
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

/** True if the SDS's copies have to go: it stops, and whoever stops with it has said so; or an operator declared it failed. */
function isLeaving(context: MdmContext, sdsId: SdsId): boolean {
  const { stopping, stoppingSinceMs } = context.live.sds(sdsId);
  const stops = stopping && stoppingSinceMs !== undefined &&
    context.clock.monotonicMs() - stoppingSinceMs >= STOP_TOGETHER_MS;
  return stops || sdsById(context.db, sdsId)?.service === "failed";
}

function orderFactsOf(context: MdmContext, facts: Facts): OrderFacts {
  const leaving = new Map<SdsId, boolean>();
  const leaves = (sdsId: SdsId) => context.live.sds(sdsId).stopping || isLeaving(context, sdsId);
  return {
    isLeaving(member) {
      const known = leaving.get(member.sdsId) ?? leaves(member.sdsId);
      leaving.set(member.sdsId, known);
      return known;
    },
    hasFailed: (deviceId) => facts.hasFailed(deviceId),
    isSound: (member) => isSound(facts, member),
  };
}

/** Hand-overs that only even out, per second and pool, so that maps are not invalidated in storms. */
const SWAPS_PER_SECOND = 8;

/** How many hand-overs may begin now. */
class SwapBudgets {
  readonly #context: MdmContext;

  constructor(context: MdmContext) {
    this.#context = context;
  }

  /** True if one more may begin in the pool. */
  take(poolId: PoolId): boolean {
    const { swapStarts } = this.#context.live;
    const nowMs = this.#context.clock.monotonicMs();
    const budget = refilled(swapStarts.get(poolId), { nowMs, perSecond: SWAPS_PER_SECOND });
    const may = budget.left >= 1;
    swapStarts.set(poolId, { ...budget, left: budget.left - (may ? 1 : 0) });
    return may;
  }
}

/** True if the member is heard under the start that its group lists. */
export function isSound(facts: Facts, member: PgMember): boolean {
  const device = facts.device(member.deviceId);
  return device?.start !== undefined && sameIncarnation(device.start.incarnation, member.incarnation) &&
    facts.isLive(device);
}
