/**
 * What the MDM knows only while it runs: who was heard when, what SDSs reported of their copies, running joins, IO counters. All
 * of it comes back by itself after a restart, because every SDS registers again with an MDM that does not know it.
 *
 * Times are of the monotonic clock, but for `departuresMs`.
 *
 * @module
 */
import type { IoCounters } from "@/shared/api/overview.ts";
import type { RepairCounts } from "@/shared/api/sds.ts";
import type { PgDrop, PgRow } from "@/shared/api/sds.ts";
import {
  type ComponentId,
  type DeviceId,
  type Incarnation,
  type NodeId,
  type PgId,
  type PoolId,
  sameIncarnation,
  type SdcId,
  type SdsId,
} from "@/shared/ids.ts";
import type { RateMeter } from "@/mdm/core/rebuild.ts";
import type { StartBudget } from "@/mdm/core/joins.ts";
import { JoinTable, type Retry } from "@/mdm/join_table.ts";
import type { PlannedOrder } from "@/mdm/operations/pg_orders.ts";

/** Unplanned departures of a device that are remembered. */
const DEPARTURES_KEPT_MAX = 32;
/** Nothing bad was found. */
export const NO_REPAIRS: RepairCounts = { repairedBlocks: 0, damagedBlocks: 0, differingBlocks: 0 };
/** Departures within this time are one incident: a process that dies leaves hundreds of groups. */
const INCIDENT_MS = 10_000;

/** One device, as its process reports it. */
export interface DeviceLife {
  /** Its newest accepted start, and when that was heard last. */
  heard: { readonly incarnation: Incarnation; readonly atMs: number } | undefined;
  /** When the newest start registered with this MDM. */
  registeredAtMs: number | undefined;
  usedBytes: number;
  /** Rows of its catalogue. */
  readonly rows: Map<PgId, PgRow>;
  /** MDM times of unplanned departures, oldest first. */
  departuresMs: number[];
  /** Host of a start that was refused, waiting for an operator. */
  refusedHostId: string | undefined;
  /** When another member last had it removed or took over from it unplanned: until it is heard again it is given no copy. */
  lostAtMs: number | undefined;
  /** Why its SDS could not open it, as the event tells it; undefined since its newest registration. */
  brokenReason: string | undefined;
  /** What its process last told of bad blocks. */
  repairs: RepairCounts;
  /** While primaries do not reach it for joins; undefined since the last one that succeeded, or its registration. */
  unreached: Retry | undefined;
}

/** One SDS process. */
export interface SdsLife {
  /** False: it has to register before anything else. */
  registered: boolean;
  sequence: number;
  /** Mapping generations up to this version are enforced there. */
  mappingVersion: number;
  /** Highest mapping version whose revocation it confirmed: no operation under an older generation runs there. */
  revokedVersion: number;
  stopping: boolean;
  /** When it first said so. */
  stoppingSinceMs: number | undefined;
  /** By `volumeId/sdcId`. */
  readonly io: Map<string, IoCounters & { readonly volumeId: number; readonly sdcId: number }>;
  /** What it served as primary. */
  served: { readonly operations: number; readonly timeMs: number };
  /** When a beat was taken last. */
  heardAtMs: number;
  /** Chunks of each node in groups that it leads, as told last; undefined before. */
  nodeChunks: ReadonlyMap<NodeId, number> | undefined;
}

/** One SDC process. */
export interface SdcLife {
  /** By volume, what SDSs cannot count: errors, and the time that an operation took where it entered. */
  readonly io: Map<number, Pick<IoCounters, "errors" | "timedOperations" | "timedMs">>;
}

/** The way of one pool back to full copies. */
export interface RebuildLife {
  /** MDM time, in ms. */
  readonly startedAtMs: number;
  /** Most groups that lacked a copy at one time. */
  groupsTotal: number;
  bytesCopied: number;
}

/** Figures of a host, as far as its process tells them. */
export interface HostReport {
  readonly cpu_percent?: number | undefined;
  readonly disk_usage_percent?: number | undefined;
  readonly chunk_count?: number | undefined;
}

/** Everything of this file. */
export class LiveState {
  /** When this MDM started. */
  readonly startedAtMs: number;
  readonly joins: JoinTable = new JoinTable();
  /** Groups of which a device reported a higher epoch than ours: the database was rolled back. */
  readonly refusedPgs: Map<PgId, { readonly deviceId: DeviceId; readonly epoch: number }> = new Map();
  /** How fast each pool copies. */
  readonly copyMeters: Map<PoolId, RateMeter> = new Map();
  /** No job and no task is open. */
  jobsQuiet = false;
  /** What the targets of each pool were computed from. */
  readonly targetKeys: Map<PoolId, string> = new Map();
  /** Copies that were replaced, by device: they are to be deleted. */
  drops: ReadonlyMap<DeviceId, readonly PgDrop[]> = new Map();
  /** When `drops` was looked for. */
  dropsAtMs: number = Number.NEGATIVE_INFINITY;
  /** Hand-overs that only even out, which each pool may begin. */
  readonly swapStarts: Map<PoolId, StartBudget> = new Map();
  /** What primaries are asked to do. */
  orders: ReadonlyMap<PgId, PlannedOrder> = new Map();
  /** By pool, while some group of it lacks a copy. */
  readonly rebuilds: Map<PoolId, RebuildLife> = new Map();
  /** Joins that each pool may begin. */
  readonly joinStarts: Map<PoolId, StartBudget> = new Map();
  /** At the last look every group had all its copies under their present starts, and none was fresh. */
  groupsWhole = false;
  readonly #beats = new Map<ComponentId, number>();
  readonly #reports = new Map<ComponentId, HostReport>();
  readonly #devices = new Map<DeviceId, DeviceLife>();
  readonly #sds = new Map<SdsId, SdsLife>();
  readonly #sdcs = new Map<SdcId, SdcLife>();

  constructor(startedAtMs: number) {
    this.startedAtMs = startedAtMs;
  }

  /** Notes that the process was heard now. */
  beat(componentId: ComponentId, atMs: number): void {
    this.#beats.set(componentId, atMs);
  }

  /** When the process was heard last, undefined if not since this MDM started. */
  lastBeatMs(componentId: ComponentId): number | undefined {
    return this.#beats.get(componentId);
  }

  forget(componentId: ComponentId): void {
    this.#beats.delete(componentId);
    this.#reports.delete(componentId);
  }

  /** Keeps what a process told of its host. */
  noteReport(componentId: ComponentId, report: HostReport): void {
    this.#reports.set(componentId, report);
  }

  reportOf(componentId: ComponentId): HostReport | undefined {
    return this.#reports.get(componentId);
  }

  device(deviceId: DeviceId): DeviceLife {
    return taken(this.#devices, deviceId, () => ({
      heard: undefined,
      registeredAtMs: undefined,
      usedBytes: 0,
      rows: new Map(),
      departuresMs: [],
      refusedHostId: undefined,
      lostAtMs: undefined,
      unreached: undefined,
      brokenReason: undefined,
      repairs: NO_REPAIRS,
    }));
  }

  sds(sdsId: SdsId): SdsLife {
    return taken(this.#sds, sdsId, () => ({
      registered: false,
      sequence: -1,
      mappingVersion: 0,
      revokedVersion: 0,
      stopping: false,
      stoppingSinceMs: undefined,
      io: new Map(),
      heardAtMs: Number.NEGATIVE_INFINITY,
      nodeChunks: undefined,
      served: { operations: 0, timeMs: 0 },
    }));
  }

  sdc(sdcId: SdcId): SdcLife {
    return taken(this.#sdcs, sdcId, () => ({ io: new Map() }));
  }

  /** All SDS processes heard of, for sums. */
  allSds(): Iterable<SdsLife> {
    return this.#sds.values();
  }

  /** Time since `incarnation` of the device was heard, or since this MDM started if it was not heard since, in ms. */
  silentMs(deviceId: DeviceId, options: { incarnation: Incarnation; nowMs: number }): number {
    const heard = this.#devices.get(deviceId)?.heard;
    const known = heard !== undefined && sameIncarnation(heard.incarnation, options.incarnation);
    return options.nowMs - Math.max(this.startedAtMs, known ? heard.atMs : 0);
  }

  /** Notes an unplanned departure of the device at MDM time `atMs`; those of one incident count once: true for its first. */
  noteDeparture(deviceId: DeviceId, atMs: number): boolean {
    const device = this.device(deviceId);
    const last = device.departuresMs.at(-1);
    if (last !== undefined && atMs - last < INCIDENT_MS) return false;
    device.departuresMs = [...device.departuresMs, atMs].slice(-DEPARTURES_KEPT_MAX);
    return true;
  }
}

function taken<Key, Value>(map: Map<Key, Value>, key: Key, make: () => Value): Value {
  let value = map.get(key);
  if (value === undefined) {
    value = make();
    map.set(key, value);
  }
  return value;
}
