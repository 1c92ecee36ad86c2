/**
 * What the operations, routes and loops of one MDM share. Nothing in `mdm/` reads a clock, a random source or the network but
 * through this.
 *
 * @module
 */
import type { LiveState } from "@/mdm/live.ts";
import type { MdmTime } from "@/mdm/mdm_time.ts";
import type { MdmOptions } from "@/mdm/options.ts";
import type { Outbox } from "@/mdm/outbox.ts";
import type { MetricsWindow } from "@/mdm/operations/metrics_window.ts";
import type { Revocations } from "@/mdm/operations/revocations.ts";
import type { SdcIoCalls } from "@/mdm/operations/sdc_io.ts";
import type { Secrets } from "@/mdm/secrets.ts";
import type { Database } from "@/mdm/store/database.ts";
import { insertEvent, type NewEvent } from "@/mdm/store/events.ts";
import type { Clock } from "@/shared/clock.ts";
import type { Guards } from "@/shared/guards.ts";
import type { Random } from "@/shared/random.ts";

/** Where messages for the operator go. LogTape's logger is one. */
export interface Log {
  debug(message: string, fields?: Record<string, unknown>): void;
  info(message: string, fields?: Record<string, unknown>): void;
  warning(message: string, fields?: Record<string, unknown>): void;
  error(message: string, fields?: Record<string, unknown>): void;
}

export interface MdmContext {
  readonly db: Database;
  readonly clock: Clock;
  readonly random: Random;
  readonly options: MdmOptions;
  readonly secrets: Secrets;
  /** Number of this start (3.1). */
  readonly mdmTerm: number;
  readonly time: MdmTime;
  readonly live: LiveState;
  readonly outbox: Outbox;
  readonly revocations: Revocations;
  readonly metrics: MetricsWindow;
  readonly sdcIo: SdcIoCalls;
  /** Looks at the groups soon instead of at the loop's next turn: something changed that may let a copy return. */
  readonly tendGroupsSoon: () => void;
  readonly log: Log;
  /** All on, but under a simulation that shows what each is for. */
  readonly guards: Guards;
}

/** Records an event and logs it. Within a transaction it is part of it. */
export function recordEvent(context: MdmContext, event: Omit<NewEvent, "atMs">): void {
  insertEvent(context.db, { ...event, atMs: context.time.nowMs() });
  const fields = { type: event.type, subject: event.subject };
  if (event.severity === "info") context.log.info(event.message, fields);
  else if (event.severity === "warning") context.log.warning(event.message, fields);
  else context.log.error(event.message, fields);
}
