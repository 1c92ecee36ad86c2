/**
 * What every part of an SDC needs, made once by `app.ts`: capabilities, times and limits. A test or the simulator brings its own.
 *
 * @module
 */
import type { BufferPool } from "@/shared/buffers.ts";
import type { Clock } from "@/shared/clock.ts";
import type { Logger } from "@/shared/log.ts";
import type { Random } from "@/shared/random.ts";
import type { Times } from "@/shared/settings.ts";
import type { Transport } from "@/shared/transport.ts";

/** The times of the cluster that an SDC goes by, in ms. */
export type SdcTimes = Pick<
  Times,
  "graceMs" | "replicationTimeoutMs" | "ioGiveUpMs" | "flushTimeoutMs" | "sdcHeartbeatMs" | "tokenRenewMs"
>;

/** Capabilities and limits of one SDC process. */
export interface SdcContext {
  readonly clock: Clock;
  readonly random: Random;
  readonly transport: Transport;
  readonly buffers: BufferPool;
  readonly log: Logger;
  readonly times: SdcTimes;
  /** Requests in flight to one SDS. */
  readonly queueDepth: number;
}
