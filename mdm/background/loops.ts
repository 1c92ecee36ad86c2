/**
 * What the MDM does by itself. Each loop looks, acts in one synchronous stretch, and looks again later; none keeps state that a
 * restart would miss.
 *
 * | loop | each | does |
 * | --- | --- | --- |
 * | groups | `loopMs`, and soon after a registration or a change | drops `fresh` marks, activates groups whose members all stopped, plans joins and orders |
 * | health | 1 s | records changes of state of processes and pools |
 * | housekeeping | 2 s | persists MDM time ahead, rotates token keys, forgets mappings whose tokens have all expired and old tokens |
 *
 * @module
 */
import type { MdmContext } from "@/mdm/context.ts";
import { HealthWatch } from "@/mdm/operations/health.ts";
import { forgetOldIoTokens } from "@/mdm/operations/io_tokens.ts";
import { planJoins } from "@/mdm/operations/joins.ts";
import { planOrders } from "@/mdm/operations/pg_orders.ts";
import { activateGroups, dropFresh } from "@/mdm/operations/pgs.ts";
import { rotateTokenKeys } from "@/mdm/secrets.ts";
import { Soon } from "@/mdm/soon.ts";
import { forgetUnmapped } from "@/mdm/store/mappings.ts";
import { type Clock, every, type Timer } from "@/shared/clock.ts";

const HEALTH_MS = 1_000;
const HOUSEKEEPING_MS = 2_000;
/** Unmapped pairs are kept this much longer than any of their tokens can live, in ms. */
const FORGET_MARGIN_MS = 3_600_000;

/** Changes and registrations within this time are looked at together, in ms. */
const TEND_SOON_MS = 20;

/** Looks at the groups of `context` soon, whenever that is asked for. */
export function groupTending(clock: Clock, context: () => MdmContext): Soon {
  return new Soon(clock, { delayMs: TEND_SOON_MS, task: () => guarded(context(), () => tendGroups(context()))() });
}

/** Starts the loops; cancelling the timer that this gives ends them. */
export function startLoops(context: MdmContext): Timer {
  const watch = new HealthWatch();
  const timers = [
    every(context.clock, context.options.loopMs, guarded(context, () => tendGroups(context))),
    every(context.clock, HEALTH_MS, guarded(context, () => watch.look(context))),
    every(context.clock, HOUSEKEEPING_MS, guarded(context, () => keepHouse(context))),
  ];
  return { cancel: () => timers.forEach((timer) => timer.cancel()) };
}

/** One look at the groups. */
export function tendGroups(context: MdmContext): void {
  dropFresh(context);
  activateGroups(context);
  planJoins(context);
  planOrders(context);
}

/** One round of housekeeping. */
export function keepHouse(context: MdmContext): void {
  context.time.extend();
  const { tokenKeyLifeMs: lifeMs, times } = context.options;
  if (rotateTokenKeys(context.db, { random: context.random, nowMs: context.time.nowMs(), lifeMs })) {
    context.log.info("The token key was rotated");
  }
  forgetUnmapped(context.db, context.time.nowMs() - times.tokenTtlMs - times.mdmOutageGraceMs - FORGET_MARGIN_MS);
  forgetOldIoTokens(context);
}

/** A loop goes on after an error: it is logged, the next look may succeed. */
function guarded(context: MdmContext, work: () => void): () => void {
  return () => {
    try {
      work();
    } catch (error) {
      context.log.error("A background task failed: {error}", {
        error: error instanceof Error ? error.stack ?? error.message : String(error),
      });
    }
  };
}
