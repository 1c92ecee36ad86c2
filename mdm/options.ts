/**
 * What an MDM is told at its start, beside the capabilities it runs on.
 *
 * @module
 */
import { JOIN_LIMITS, PG_COUNT_MAX, PG_COUNT_MIN, TIMES } from "@/shared/constants.ts";

/** Times in milliseconds, as in `shared/constants.ts`. */
export type MdmTimes = Readonly<Record<keyof typeof TIMES, number>>;

/** See {@linkcode DEFAULT_OPTIONS}. */
export interface MdmOptions {
  readonly clusterName: string;
  /** `open`: operator calls need no token. Whoever starts the MDM makes sure that it listens on loopback only. */
  readonly auth: "token" | "open";
  /** Where backups of the database go; undefined when it has no file. */
  readonly backupDirectory: string | undefined;
  /** Undefined: made at the first start and kept. */
  readonly joinToken: string | undefined;
  readonly times: MdmTimes;
  /** Limits of the number of groups of a pool; powers of two. */
  readonly pgCountMin: number;
  readonly pgCountMax: number;
  /** Joins at a time per SDS and direction. */
  readonly fullJoinsPerSds: number;
  readonly deltaJoinsPerSds: number;
  /** Joins begun per second and pool, so that maps are not invalidated in storms. */
  readonly joinStartsPerSecond: number;
  /** Time between two looks of each background loop. */
  readonly loopMs: number;
  /** Longest time that a request waits for revocations or for devices to be formatted. */
  readonly waitMs: number;
  /** Age at which the token key is replaced. */
  readonly tokenKeyLifeMs: number;
}

export const DEFAULT_OPTIONS: MdmOptions = {
  clusterName: "powerflex",
  auth: "token",
  joinToken: undefined,
  backupDirectory: undefined,
  times: TIMES,
  pgCountMin: PG_COUNT_MIN,
  pgCountMax: PG_COUNT_MAX,
  ...JOIN_LIMITS,
  loopMs: 500,
  waitMs: 20_000,
  tokenKeyLifeMs: 24 * 3_600_000,
};
