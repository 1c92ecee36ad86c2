/**
 * Builds one MDM from its parts: tests, the simulator and `main.ts` build the same thing.
 *
 * @module
 */
import { Hono } from "hono";
import { groupTending, startLoops } from "@/mdm/background/loops.ts";
import type { MdmContext } from "@/mdm/context.ts";
import { LiveState } from "@/mdm/live.ts";
import { MdmTime } from "@/mdm/mdm_time.ts";
import { mdmMetrics } from "@/mdm/metrics.ts";
import { DEFAULT_OPTIONS, type MdmOptions } from "@/mdm/options.ts";
import { Outbox } from "@/mdm/outbox.ts";
import { Revocations } from "@/mdm/operations/revocations.ts";
import { requireOperator } from "@/mdm/routes/access.ts";
import { clusterRoutes } from "@/mdm/routes/cluster.ts";
import { discoveryRoutes } from "@/mdm/routes/discovery.ts";
import { domainRoutes, faultSetRoutes } from "@/mdm/routes/domains.ts";
import { clusterMetricsRoutes, healthRoutes, healthSummary } from "@/mdm/routes/health.ts";
import { internalRoutes } from "@/mdm/routes/internal.ts";
import { ioRoutes, tokenRoutes, volumeIoRoutes } from "@/mdm/routes/io.ts";
import { nativeRoutes } from "@/mdm/routes/native.ts";
import { poolRoutes } from "@/mdm/routes/pools.ts";
import { sdcRoutes } from "@/mdm/routes/sdc.ts";
import { sdsRoutes } from "@/mdm/routes/sds.ts";
import { volumeRoutes } from "@/mdm/routes/volumes.ts";
import { ensureSecrets } from "@/mdm/secrets.ts";
import { raiseCounter } from "@/mdm/store/cluster_config.ts";
import type { Database } from "@/mdm/store/database.ts";
import type { Clock } from "@/shared/clock.ts";
import { installCommonRoutes } from "@/shared/http/app.ts";
import { ALL_GUARDS, type Guards } from "@/shared/guards.ts";
import type { HttpSend } from "@/shared/http_client.ts";
import type { Logger } from "@/shared/log.ts";
import type { Random } from "@/shared/random.ts";

/** Largest request body: a registration with the rows of some ten thousand groups. */
const BODY_BYTES_MAX = 8 * 1024 * 1024;

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
  readonly app: Hono;
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
    app: appOf(context, log),
    context,
    async stop() {
      loops.cancel();
      tending.cancel();
      await Promise.all([context.revocations.close(), context.outbox.close()]);
    },
  };
}

function appOf(context: MdmContext, log: Logger): Hono {
  const app = new Hono();
  const common = { log, random: context.random, bodyBytesMax: BODY_BYTES_MAX };
  app.use("/metrics", requireOperator(context));
  installCommonRoutes(app, { ...common, metrics: mdmMetrics(context), notReady: () => undefined });
  app.get(
    "/",
    (c) => c.json({ service: "mdm", message: "PowerFlex Demo metadata manager", cluster: context.secrets.clusterName }),
  );
  app.route("/internal/v1", internalRoutes(context));
  app.route("/discovery", discoveryRoutes(context));
  const operator = new Hono();
  operator.use(requireOperator(context));
  operator.get("/health/", (c) => c.json(healthSummary(context)));
  operator.route("/health", healthRoutes(context));
  operator.route("/pd", domainRoutes(context));
  operator.route("/fault_set", faultSetRoutes(context));
  operator.route("/pool", poolRoutes(context));
  operator.route("/sds", sdsRoutes(context));
  operator.route("/sdc", sdcRoutes(context));
  operator.route("/vol", volumeRoutes(context));
  operator.route("/vol", volumeIoRoutes(context));
  operator.route("/io", ioRoutes(context));
  operator.route("/token", tokenRoutes(context));
  operator.route("/cluster", clusterRoutes(context));
  operator.route("/metrics", clusterMetricsRoutes(context));
  operator.route("/api/v1", nativeRoutes(context));
  app.route("/", operator);
  return app;
}
