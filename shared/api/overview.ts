/**
 * `GET /api/v1/overview` of the MDM: the whole cluster in one document, for whoever shows it. It is computed from what the MDM
 * holds in memory, in one synchronous stretch, so all figures belong to the same instant (`mdmTimeMs`).
 *
 * It answers operators (bearer token, or anybody under `POWERFLEX_AUTH=open`) and enrolled components of type MGMT, which sign
 * the call with their node key (`shared/http/`).
 *
 * Conventions: times are MDM time in ms since 1970, ages are ms at `mdmTimeMs`, sizes are bytes, counters are totals that may
 * restart at 0 (the reader computes rates). Lists are ordered by id unless they say otherwise; ids are those of the native API.
 *
 * @module
 */
import { z } from "zod";
import { accessModeSchema } from "@/shared/api/sdc.ts";
import { idSchema } from "@/shared/api/pg.ts";
import type { DeviceId, FaultSetId, PoolId, ProtectionDomainId, SdcId, SdsId, VolumeId } from "@/shared/ids.ts";

const count = z.number().int().nonnegative();

/** Newest events that the document carries. */
export const OVERVIEW_EVENTS_MAX = 50;

/** `up` below 30 s without a heartbeat, `stale` from 30 s, `down` from 60 s; `never_seen` before the first one. */
export const livenessSchema = z.enum(["up", "stale", "down", "never_seen"]);
export type Liveness = z.output<typeof livenessSchema>;

/** Client operations, each counted once, where it was served (the primary); totals since an arbitrary start. */
export const ioCountersSchema = z.object({
  reads: count,
  writes: count,
  readBytes: count,
  writtenBytes: count,
  errors: count,
  /** Reads and writes that ended well and were timed: by SDCs, where IO enters; of an SDS by itself, as primary. */
  timedOperations: count,
  /** Sum of their times, in ms. */
  timedMs: z.number().nonnegative(),
});
export type IoCounters = Readonly<z.output<typeof ioCountersSchema>>;

/** Placement groups by how many current copies they have; the four add up to the pool's `total`. */
export const pgCountsSchema = z.object({
  total: count,
  /** As many members as the pool keeps copies, and a primary that was heard lately. */
  full: count,
  /** Fewer members than copies, no join is running; or its primary is silent and a secondary about to take over. */
  degraded: count,
  /** Fewer members than copies, a join is making the missing one. */
  joining: count,
  /** Nobody can serve it: no member was heard under its listed start lately, or it waits for activation. */
  unavailable: count,
  /** Of `degraded`, those whose secondary is about to take over: their reads and writes wait for some seconds. */
  takingOver: count.optional(),
});
export type PgCounts = Readonly<z.output<typeof pgCountsSchema>>;

/** The way back to full copies; from the moment a group lacks one until none does. */
export const rebuildSchema = z.object({
  startedAtMs: z.number(),
  /** Most groups that lacked a copy at one time since `startedAtMs`; those lacking one now are in `pgs`. */
  groupsTotal: count,
  joinsRunning: count,
  /** By all joins since `startedAtMs`. */
  bytesCopied: count,
});
export type Rebuild = Readonly<z.output<typeof rebuildSchema>>;

export const overviewDomainSchema = z.object({
  domainId: idSchema<ProtectionDomainId>(),
  name: z.string(),
  faultSets: z.array(z.object({ faultSetId: idSchema<FaultSetId>(), name: z.string() })),
});
export type OverviewDomain = Readonly<z.output<typeof overviewDomainSchema>>;

export const overviewPoolSchema = z.object({
  poolId: idSchema<PoolId>(),
  name: z.string(),
  domainId: idSchema<ProtectionDomainId>(),
  protectionPolicy: z.enum(["two_copies", "erasure_coding"]),
  copies: z.number().int().positive(),
  /** `ok`: all groups full. `degraded`: a copy is missing somewhere. `failed`: a group is unavailable. */
  health: z.enum(["ok", "degraded", "failed"]),
  /** What its devices hold together, all copies counted. */
  rawCapacityBytes: count,
  rawUsedBytes: count,
  /** Limit of logical bytes (`total_capacity_gb` of the predecessor). */
  logicalLimitBytes: count,
  /** Sum of the sizes of its volumes. */
  provisionedBytes: count,
  deviceCount: count,
  pgs: pgCountsSchema,
  rebuild: rebuildSchema.nullable(),
});
export type OverviewPool = Readonly<z.output<typeof overviewPoolSchema>>;

export const overviewDeviceSchema = z.object({
  deviceId: idSchema<DeviceId>(),
  name: z.string(),
  poolId: idSchema<PoolId>().nullable(),
  state: z.enum(["new", "active", "failed"]),
  capacityBytes: count,
  usedBytes: count,
  /** Groups that list it as a member / as members[0]. */
  pgCount: count,
  primaryCount: count,
});
export type OverviewDevice = Readonly<z.output<typeof overviewDeviceSchema>>;

export const overviewSdsSchema = z.object({
  sdsId: idSchema<SdsId>(),
  name: z.string(),
  /** Null while no process is bound to it. */
  componentId: z.string().nullable(),
  domainId: idSchema<ProtectionDomainId>(),
  faultSetId: idSchema<FaultSetId>().nullable(),
  host: z.string(),
  controlPort: count,
  mgmtPort: count,
  dataPort: count,
  state: livenessSchema,
  /** Null before its first heartbeat. */
  lastBeatAgeMs: z.number().nonnegative().nullable(),
  /** It said that it is stopping cleanly, or is stopped cleanly. */
  stopping: z.boolean(),
  /** An operator marked it failed (`/sds/{id}/fail`). */
  markedFailed: z.boolean(),
  devices: z.array(overviewDeviceSchema),
  io: ioCountersSchema,
});
export type OverviewSds = Readonly<z.output<typeof overviewSdsSchema>>;

export const overviewSdcSchema = z.object({
  sdcId: idSchema<SdcId>(),
  name: z.string(),
  componentId: z.string().nullable(),
  host: z.string(),
  controlPort: count,
  mgmtPort: count,
  /** Framed-JSON device port. */
  devicePort: count,
  /** Where NBD clients connect, such as `nbd://127.0.0.1:10809`; null when the SDC did not say (metadata `nbd_uri`). */
  nbdUri: z.string().nullable(),
  state: livenessSchema,
  lastBeatAgeMs: z.number().nonnegative().nullable(),
  mappings: z.array(z.object({
    volumeId: idSchema<VolumeId>(),
    accessMode: accessModeSchema,
    mappedAtMs: z.number(),
  })),
  io: ioCountersSchema,
});
export type OverviewSdc = Readonly<z.output<typeof overviewSdcSchema>>;

export const overviewVolumeSchema = z.object({
  volumeId: idSchema<VolumeId>(),
  name: z.string(),
  poolId: idSchema<PoolId>(),
  provisioning: z.enum(["thin", "thick"]),
  sizeBytes: count,
  /** Logical bytes that hold data, one copy counted; null when the MDM does not know. */
  usedBytes: count.nullable(),
  /** `degraded`: of its pool's groups some lack a copy. `unavailable`: some cannot be served. */
  state: z.enum(["available", "in_use", "degraded", "unavailable", "creating", "deleting"]),
  createdAtMs: z.number(),
  /** Ordered by SDC. */
  mappings: z.array(z.object({ sdcId: idSchema<SdcId>(), accessMode: accessModeSchema })),
  io: ioCountersSchema,
});
export type OverviewVolume = Readonly<z.output<typeof overviewVolumeSchema>>;

/** A process in the registry of `/discovery/*`, whether or not an operator made a record for it. */
export const overviewComponentSchema = z.object({
  componentId: z.string(),
  componentType: z.enum(["MDM", "SDS", "SDC", "MGMT"]),
  host: z.string(),
  /** By plane: `control`, `data`, `mgmt`. */
  ports: z.record(z.string(), count),
  state: livenessSchema,
  registeredAtMs: z.number(),
  lastBeatAgeMs: z.number().nonnegative().nullable(),
});
export type OverviewComponent = Readonly<z.output<typeof overviewComponentSchema>>;

export const severitySchema = z.enum(["info", "warning", "error", "critical"]);
export type Severity = z.output<typeof severitySchema>;

/** Something that happened, such as `sds_state_change` or `volume_map`. */
export const overviewEventSchema = z.object({
  eventId: count,
  atMs: z.number(),
  type: z.string(),
  severity: severitySchema,
  /** What it is about, such as `sds-1`; empty when it is about the cluster. */
  subject: z.string(),
  /** One sentence for people. */
  message: z.string(),
});
export type OverviewEvent = Readonly<z.output<typeof overviewEventSchema>>;

/** A condition that holds now and that only the MDM can see, such as `unflushed_writes_lost`. */
export const overviewAlertSchema = z.object({
  /** Stays the same as long as the condition holds. */
  key: z.string(),
  severity: severitySchema,
  sinceMs: z.number(),
  subject: z.string(),
  message: z.string(),
});
export type OverviewAlert = Readonly<z.output<typeof overviewAlertSchema>>;

export const overviewSchema = z.object({
  clusterId: z.string(),
  clusterName: z.string(),
  mdmTerm: z.number().int().positive(),
  mdmTimeMs: z.number(),
  mdmStartedAtMs: z.number(),
  /**
   * `empty`: there is no pool with a device yet. `healthy`: every group full, every SDS up. `degraded`: data is served, something
   * is missing. `critical`: a group is unavailable.
   */
  health: z.enum(["empty", "healthy", "degraded", "critical"]),
  domains: z.array(overviewDomainSchema),
  pools: z.array(overviewPoolSchema),
  sdss: z.array(overviewSdsSchema),
  sdcs: z.array(overviewSdcSchema),
  volumes: z.array(overviewVolumeSchema),
  components: z.array(overviewComponentSchema),
  /** Newest first, at most {@linkcode OVERVIEW_EVENTS_MAX}. */
  events: z.array(overviewEventSchema).max(OVERVIEW_EVENTS_MAX),
  alerts: z.array(overviewAlertSchema),
});
/** The cluster at one instant. */
export type Overview = Readonly<z.output<typeof overviewSchema>>;
