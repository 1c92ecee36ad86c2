/**
 * What is written down of the cluster for later: one snapshot per source and pass of the poller. The last hour is kept pass by
 * pass, what is older one a minute.
 *
 * @module
 */
import type { Overview } from "@/shared/api/overview.ts";
import { livenessWord } from "@/mgmt/core/condition.ts";
import { addRates, CLUSTER_KEY, type IoRates, type RateTable, sdcKey, sdsKey, volumeKey } from "@/mgmt/core/rates.ts";

/** What a snapshot is of. The id of the cluster is 0. */
export type SnapshotSource = "CLUSTER" | "POOL" | "VOLUME" | "SDS" | "SDC";

/** Figures of one source; absent ones were not known. */
export interface SnapshotMetrics extends Partial<IoRates> {
  readonly usedBytes?: number;
  readonly capacityBytes?: number;
  /** Groups of a pool, or of all pools, that have all their copies. */
  readonly groupsFull?: number;
  readonly groupsTotal?: number;
  /** What the process's management listener took to answer. */
  readonly answerMs?: number;
}

/** A row of `monitoring_snapshots`. */
export interface SnapshotRow {
  readonly atMs: number;
  readonly sourceType: SnapshotSource;
  readonly sourceId: number;
  readonly isKeptLong: boolean;
  readonly status: string;
  readonly metrics: SnapshotMetrics;
}

/** Time for which every pass is kept. */
export const EVERY_PASS_KEPT_MS = 3_600_000;
/** Time between two snapshots that are kept for days. */
export const KEPT_LONG_EVERY_MS = 60_000;
/** Volumes of which snapshots are kept at a time: the busiest. */
export const VOLUMES_NOTED_MAX = 256;

/** What the processes' management listeners said, by {@linkcode sdsKey} and {@linkcode sdcKey}. */
export type AnswerTable = ReadonlyMap<string, ComponentAnswer>;

/** What a management listener said last. */
export interface ComponentAnswer {
  /** MGMT's wall clock. */
  readonly atMs: number;
  /** Its own word, such as HEALTHY; `no answer` after two tries. */
  readonly status: string;
  /** Why there is none, or what it said of itself. */
  readonly detail: string;
  readonly answerMs: number | undefined;
}

/** The snapshots of one pass. Volumes come with those that are kept long only. */
export function snapshotsOf(
  overview: Overview,
  facts: {
    readonly atMs: number;
    readonly isKeptLong: boolean;
    readonly rates: RateTable;
    readonly answers: AnswerTable;
  },
): SnapshotRow[] {
  const { atMs, isKeptLong, rates, answers } = facts;
  const row = (
    source: { readonly type: SnapshotSource; readonly id: number; readonly status: string },
    metrics: SnapshotMetrics,
  ): SnapshotRow => ({
    atMs,
    sourceType: source.type,
    sourceId: source.id,
    isKeptLong,
    status: source.status,
    metrics,
  });
  const sum = (valueOf: (pool: Overview["pools"][number]) => number) =>
    overview.pools.reduce((total, pool) => total + valueOf(pool), 0);
  const answered = (key: string) => {
    const answerMs = answers.get(key)?.answerMs;
    return answerMs === undefined ? {} : { answerMs };
  };
  return [
    row({ type: "CLUSTER", id: 0, status: overview.health }, {
      ...rates.get(CLUSTER_KEY),
      usedBytes: sum((pool) => pool.rawUsedBytes),
      capacityBytes: sum((pool) => pool.rawCapacityBytes),
      groupsFull: sum((pool) => pool.pgs.full),
      groupsTotal: sum((pool) => pool.pgs.total),
    }),
    ...overview.pools.map((pool) =>
      row({ type: "POOL", id: pool.poolId, status: pool.health }, {
        usedBytes: pool.rawUsedBytes,
        capacityBytes: pool.rawCapacityBytes,
        groupsFull: pool.pgs.full,
        groupsTotal: pool.pgs.total,
        ...poolRates(pool.poolId, overview, rates),
      })
    ),
    ...overview.sdss.map((sds) =>
      row({ type: "SDS", id: sds.sdsId, status: livenessWord(sds.state) }, {
        ...rates.get(sdsKey(sds.sdsId)),
        usedBytes: sds.devices.reduce((total, device) => total + device.usedBytes, 0),
        capacityBytes: sds.devices.reduce((total, device) => total + device.capacityBytes, 0),
        ...answered(sdsKey(sds.sdsId)),
      })
    ),
    ...overview.sdcs.map((sdc) =>
      row({ type: "SDC", id: sdc.sdcId, status: livenessWord(sdc.state) }, {
        ...rates.get(sdcKey(sdc.sdcId)),
        ...answered(sdcKey(sdc.sdcId)),
      })
    ),
    ...(isKeptLong ? busiestVolumes(overview, rates) : []).map((volume) =>
      row({ type: "VOLUME", id: volume.volumeId, status: volume.state }, {
        ...rates.get(volumeKey(volume.volumeId)),
        ...(volume.usedBytes !== null && { usedBytes: volume.usedBytes }),
        capacityBytes: volume.sizeBytes,
      })
    ),
  ];
}

/** The rates of a pool's volumes together; undefined when none is known. */
export function poolRates(poolId: number, { volumes }: Overview, rates: RateTable): IoRates | undefined {
  let sum: IoRates | undefined;
  for (const volume of volumes) {
    const rate = volume.poolId === poolId ? rates.get(volumeKey(volume.volumeId)) : undefined;
    if (rate) sum = sum ? addRates(sum, rate) : rate;
  }
  return sum;
}

function busiestVolumes({ volumes }: Overview, rates: RateTable): readonly Overview["volumes"][number][] {
  if (volumes.length <= VOLUMES_NOTED_MAX) return volumes;
  const operations = (id: number) => {
    const rate = rates.get(volumeKey(id));
    return rate ? rate.readsPerSecond + rate.writesPerSecond : 0;
  };
  return volumes.toSorted((a, b) => operations(b.volumeId) - operations(a.volumeId)).slice(0, VOLUMES_NOTED_MAX);
}
