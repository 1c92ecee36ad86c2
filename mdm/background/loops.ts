/**
 * What the MDM does by itself. Each loop looks, acts in one synchronous stretch, and looks again later; none keeps state that a
 * restart would miss.
 *
 * | loop | each | does |
 * | --- | --- | --- |
 * | groups | `loopMs`, and soon after a registration or a change | drops `fresh` marks, activates groups whose members all stopped, places groups, plans joins, orders and deletions |
 * | health | 1 s | records changes of state of processes and pools |
 * | metrics | 5 s | keeps the sums of the IO counters |
 * | housekeeping | 2 s | persists MDM time ahead, rotates token keys, forgets mappings whose tokens have all expired and old tokens |
 *
 * All run on one timer, which goes at the pace of housekeeping while every group is whole: then only a change or a registration
 * can give the groups something to do, and both make it hurry.
 *
 * @module
 */
import type { MdmContext } from "@/mdm/context.ts";
import { HealthWatch } from "@/mdm/operations/health.ts";
import { forgetOldIoTokens } from "@/mdm/operations/io_tokens.ts";
import { planJoins } from "@/mdm/operations/joins.ts";
import { SAMPLE_MS } from "@/mdm/operations/metrics_window.ts";
import { planDrops } from "@/mdm/operations/pg_drops.ts";
import { planOrders } from "@/mdm/operations/pg_orders.ts";
import { activateGroups, dropFresh } from "@/mdm/operations/pgs.ts";
import { finishRemovals } from "@/mdm/operations/sds_service.ts";
import { planTargets } from "@/mdm/operations/targets.ts";
import { rotateTokenKeys } from "@/mdm/secrets.ts";
import { Soon } from "@/mdm/soon.ts";
import { forgetUnmapped } from "@/mdm/store/mappings.ts";
import { groupsAreWhole } from "@/mdm/store/pgs.ts";
import type { Clock, Timer } from "@/shared/clock.ts";

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

/** The running loops. */
export interface Loops extends Timer {
  /** Something changed: the next look comes within `loopMs`. */
  hurry(): void;
}

/** Starts the loops; cancelling ends them. */
export function startLoops(context: MdmContext): Loops {
  const watch = new HealthWatch();
  const { clock, live } = context;
  const loopMs = Math.min(context.options.loopMs, HEALTH_MS);
  const loops = [
    { eachMs: loopMs, lastMs: clock.monotonicMs(), work: guarded(context, () => tendGroups(context)) },
    { eachMs: HEALTH_MS, lastMs: clock.monotonicMs(), work: guarded(context, () => watch.look(context)) },
    {
      eachMs: SAMPLE_MS,
      lastMs: clock.monotonicMs(),
      work: guarded(context, () => context.metrics.sample(context)),
    },
    { eachMs: HOUSEKEEPING_MS, lastMs: clock.monotonicMs(), work: guarded(context, () => keepHouse(context)) },
  ];
  let timer: Timer;
  const isQuiet = () => live.groupsWhole && live.rebuilds.size === 0;
  let hurries = true;
  const arm = () => {
    hurries = !isQuiet();
    timer = clock.setTimer(hurries ? loopMs : HOUSEKEEPING_MS, run);
  };
  const run = () => {
    for (const loop of loops) {
      const nowMs = clock.monotonicMs();
      // Timers come a little early or late: what is due within half a turn is due.
      if (nowMs - loop.lastMs < loop.eachMs - loopMs / 2) continue;
      // What comes late at this pace is not late again: it keeps its own pace, on average.
      loop.lastMs = Math.max(loop.lastMs + loop.eachMs, nowMs - loop.eachMs);
      loop.work();
    }
    arm();
  };
  arm();
  return {
    cancel: () => timer.cancel(),
    hurry() {
      if (hurries) return;
      hurries = true;
      timer.cancel();
      timer = clock.setTimer(loopMs, run);
    },
  };
}

/** One look at the groups. */
export function tendGroups(context: MdmContext): void {
  dropFresh(context);
  activateGroups(context);
  planTargets(context);
  planJoins(context);
  const orderCount = planOrders(context) + planDrops(context) + finishRemovals(context);
  context.live.groupsWhole = orderCount === 0 && groupsAreWhole(context.db);
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
