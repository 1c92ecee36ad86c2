/**
 * Builds one MDM from its parts: tests, the simulator and `main.ts` build the same thing.
 *
 * @module
 */
import type { OpenAPIHono } from "@hono/zod-openapi";
import { groupTending, startLoops } from "@/mdm/background/loops.ts";
import type { MdmContext } from "@/mdm/context.ts";
import { LiveState } from "@/mdm/live.ts";
import { MdmTime } from "@/mdm/mdm_time.ts";
import { DEFAULT_OPTIONS, type MdmOptions } from "@/mdm/options.ts";
import { Outbox } from "@/mdm/outbox.ts";
import { MetricsWindow } from "@/mdm/operations/metrics_window.ts";
import { SdcIoCalls } from "@/mdm/operations/sdc_io.ts";
import { Revocations } from "@/mdm/operations/revocations.ts";
import { mdmRoutes } from "@/mdm/routes/all.ts";
import { ensureSecrets } from "@/mdm/secrets.ts";
import { raiseCounter } from "@/mdm/store/cluster_config.ts";
import type { Database } from "@/mdm/store/database.ts";
import type { Clock } from "@/shared/clock.ts";
import { ALL_GUARDS, type Guards } from "@/shared/guards.ts";
import type { HttpSend } from "@/shared/http_client.ts";
import type { Logger } from "@/shared/log.ts";
import type { Random } from "@/shared/random.ts";

/** What an MDM is made of. */
export interface MdmParts {
  /** Opened and migrated; whoever opened it closes it, after `stop`. */
  readonly db: Database;
  readonly clock: Clock;
  readonly random: Random;
  readonly send: HttpSend;
  readonly log: Logger;
  readonly options?: Partial<MdmOptions>;
  /** Only simulations switch any off. */
  readonly guards?: Guards;
}

/** A running MDM: it answers as soon as it is made, its loops run until `stop`. */
export interface Mdm {
  readonly app: OpenAPIHono;
  /** For tests and for whoever drives the loops by hand. */
  readonly context: MdmContext;
  /** Ends the loops and waits for calls under way. */
  stop(): Promise<void>;
}

/** Makes an MDM: raises the term, durably, before anything else. */
export function createMdm(parts: MdmParts): Mdm {
  const options = { ...DEFAULT_OPTIONS, ...parts.options };
  const { db, clock, random, log } = parts;
  const mdmTerm = raiseCounter(db, "mdm_term");
  const time = new MdmTime(db, clock);
  const { clusterName, joinToken } = options;
  const tending = groupTending(clock, () => context);
  const context: MdmContext = {
    db,
    clock,
    random,
    options,
    secrets: ensureSecrets(db, { random, nowMs: time.nowMs(), clusterName, joinToken }),
    mdmTerm,
    time,
    live: new LiveState(clock.monotonicMs()),
    outbox: new Outbox({ send: parts.send, mdmTerm, log }),
    revocations: new Revocations(),
    metrics: new MetricsWindow(),
    sdcIo: new SdcIoCalls(),
    tendGroupsSoon() {
      tending.ask();
      loops.hurry();
    },
    log,
    guards: parts.guards ?? ALL_GUARDS,
  };
  const loops = startLoops(context);
  context.revocations.begin(context);
  return {
    app: mdmRoutes(context, log),
    context,
    async stop() {
      loops.cancel();
      tending.cancel();
      await Promise.all([context.revocations.close(), context.outbox.close()]);
    },
  };
}
