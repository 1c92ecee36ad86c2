/**
 * What SDS and MDM say to each other. The SDS calls `/internal/v1/sds/*` and `/internal/v1/pg/change` at the MDM; the MDM
 * calls `/control/*` at the SDS. Both sign with the SDS's node key (`shared/http/`).
 *
 * | call at the MDM | when |
 * | --- | --- |
 * | POST /internal/v1/sds/register | at each start of the process, after formatting a device, and when the MDM says `registered: false` |
 * | POST /internal/v1/sds/heartbeat | each second, and at once after a notice |
 * | POST /internal/v1/sds/configs | when `configVersion` of a heartbeat answer differs from the one known |
 * | POST /internal/v1/pg/change | as the replication design, section 3.2, says |
 *
 * | call at the SDS | meaning |
 * | --- | --- |
 * | POST /control/notice | something changed: beat now |
 * | POST /control/peer_dead | the process behind a listed incarnation is gone for certain: secondaries may take over at once |
 * | POST /control/revoke_tokens | refuse single-use tokens from now on |
 * | POST /control/scrub | read and compare all copies of a pool's groups that are led there, now |
 * | POST /control/chunks | tell the status of chunks |
 * | POST /control/revoke | drop handles of an older mapping generation, answer when started operations have finished |
 *
 * @module
 */
import { z } from "zod";
import { idSchema, incarnationSchema, pgConfigSchema } from "@/shared/api/pg.ts";
import type { DeviceId, Epoch, NodeId, PgId, PoolId, SdcId, SdsId, VolumeId, VtreeId } from "@/shared/ids.ts";

const count = z.number().int().nonnegative();

/** What an SDS says of one copy: the row of its catalogue. */
export const pgRowSchema = z.object({
  pgId: idSchema<PgId>(),
  epoch: count,
  complete: z.boolean(),
});
export type PgRow = z.output<typeof pgRowSchema>;

export const registeredDeviceSchema = z.object({
  deviceId: idSchema<DeviceId>(),
  incarnation: incarnationSchema,
  /** The incarnation that stopped cleanly last, if the last one did (5.5). */
  cleanFor: incarnationSchema.nullable(),
  /** False: the device failed or its catalogue is unreadable; it never serves its data again (I22). */
  intact: z.boolean(),
  /** False: the start-up sync of its files failed or was skipped. */
  synced: z.boolean(),
  inode: count,
  capacityBytes: count,
  usedBytes: count,
  pgs: z.array(pgRowSchema),
});
export type RegisteredDevice = z.output<typeof registeredDeviceSchema>;

export const sdsRegisterCallSchema = z.object({
  bootId: z.string().min(1),
  hostId: z.string().min(1),
  devices: z.array(registeredDeviceSchema),
  /** Folders that were added at the SDS; the MDM gives an id to those whose name it does not know. */
  offeredDevices: z.array(z.object({
    name: z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/),
    capacityBytes: count.min(1),
  })).max(64).optional(),
});
export type SdsRegisterCall = z.output<typeof sdsRegisterCallSchema>;

/** A device that the MDM gave this SDS. `new`: never registered, may be formatted. */
export const assignedDeviceSchema = z.object({
  deviceId: idSchema<DeviceId>(),
  /** Folder beneath the storage root, such as `blk0`. */
  name: z.string().regex(/^[A-Za-z0-9._-]{1,64}$/),
  capacityBytes: count,
  state: z.enum(["new", "active", "failed"]),
});
export type AssignedDevice = z.output<typeof assignedDeviceSchema>;

/** Another SDS, reachable for replication. `linkKeyHex` proves this SDS to it. */
export const peerSchema = z.object({
  sdsId: idSchema<SdsId>(),
  host: z.string(),
  dataPort: z.number().int().positive(),
  linkKeyHex: z.string(),
  deviceIds: z.array(idSchema<DeviceId>()),
});
export type Peer = z.output<typeof peerSchema>;

export const mappingGenerationSchema = z.object({
  volumeId: idSchema<VolumeId>(),
  sdcId: idSchema<SdcId>(),
  mappingGeneration: count,
});
export type MappingGeneration = z.output<typeof mappingGenerationSchema>;

export const tokenKeySchema = z.object({ keyId: count, keyHex: z.string() });
export type TokenKey = z.output<typeof tokenKeySchema>;

/** Answer to registration. `sdsId` is null while no operator has added this process as an SDS. */
export const sdsRegisterAnswerSchema = z.object({
  clusterId: z.string(),
  mdmTerm: count,
  mdmTimeMs: z.number(),
  sdsId: idSchema<SdsId>().nullable(),
  assignedDevices: z.array(assignedDeviceSchema),
  tokenKeys: z.array(tokenKeySchema),
  configKeyHex: z.string(),
  mappingVersion: count,
  mappings: z.array(mappingGenerationSchema),
});
export type SdsRegisterAnswer = z.output<typeof sdsRegisterAnswerSchema>;

/** Progress of a join that runs at this SDS as primary. */
export const joinReportSchema = z.object({
  pgId: idSchema<PgId>(),
  epoch: idSchema<Epoch>(),
  deviceId: idSchema<DeviceId>(),
  /** `done`: the joiner is a member. `failed`: it departed as it was; `alarm` says that the copies differed at the end. */
  state: z.enum(["running", "done", "failed"]),
  alarm: z.boolean(),
  /** `failed` because the joiner did not answer: whoever plans joins leaves it alone for a while. */
  unreachable: z.boolean().default(false),
  chunksCopied: count,
  /** Left out while unknown: what a delta visits shows as it goes. */
  chunksTotal: count.optional(),
  bytesCopied: count,
  /** Everything is copied; both sides compare what they hold. */
  verifying: z.boolean().optional(),
  message: z.string(),
});
export type JoinReport = z.output<typeof joinReportSchema>;

/** An assigned device that this SDS cannot open. `lost`: for good, whatever it held; else it is tried again. */
export const brokenDeviceSchema = z.object({
  deviceId: idSchema<DeviceId>(),
  reason: z.string(),
  lost: z.boolean(),
});
export type BrokenDevice = z.output<typeof brokenDeviceSchema>;

/** Operations since the process started, per volume and SDC (6.5). */
export const ioCountsSchema = z.object({
  volumeId: idSchema<VolumeId>(),
  sdcId: idSchema<SdcId>(),
  reads: count,
  writes: count,
  readBytes: count,
  writtenBytes: count,
});
export type IoCounts = z.output<typeof ioCountsSchema>;

/** Uses of single-use tokens that one heartbeat tells. */
export const CONSUMED_TOKENS_PER_BEAT_MAX = 100;
/** One segment of a single-use token was used (6.5). */
export const consumedTokenSchema = z.object({
  tokenId: z.string().uuid(),
  chunkId: count,
  success: z.boolean(),
  bytesProcessed: count,
  errorMessage: z.string(),
  durationMs: z.number().nonnegative(),
});
export type ConsumedToken = z.output<typeof consumedTokenSchema>;

/** A single-use token that was taken back; told until it has expired. */
export const revokedTokenSchema = z.object({ tokenId: z.string().uuid(), expiresAtMs: z.number() });
export type RevokedToken = z.output<typeof revokedTokenSchema>;

/** What reads, joins and scrubs found of bad blocks on one device. */
export const repairCountsSchema = z.object({
  /** Blocks written anew from another copy, since the process started. */
  repairedBlocks: count,
  /** Blocks of which no copy is good, now: they fail until they are written. */
  damagedBlocks: count,
  /** Good blocks in which copies differed, since the process started: must not happen (I14). */
  differingBlocks: count,
});
export type RepairCounts = z.output<typeof repairCountsSchema>;

export const sdsHeartbeatCallSchema = z.object({
  /** Grows with each beat of this process. */
  sequence: count,
  configVersion: count,
  /** Mapping generations up to this version are known and enforced here (6.4). */
  mappingVersion: count,
  /** True while the process stops cleanly. */
  stopping: z.boolean(),
  devices: z.array(z.object({
    deviceId: idSchema<DeviceId>(),
    incarnation: incarnationSchema,
    failed: z.boolean(),
    usedBytes: count,
    capacityBytes: count,
    /** Rows that changed since the last answered beat. */
    rows: z.array(pgRowSchema),
    /** Groups whose copy was deleted on the MDM's order since the last answered beat; left out when there are none. */
    droppedPgs: z.array(idSchema<PgId>()).optional(),
    /** Groups this device serves as primary now. */
    servingCount: count,
    /** Left out while all are 0. */
    repairs: repairCountsSchema.optional(),
  })),
  /** Left out when there are none. */
  brokenDevices: z.array(brokenDeviceSchema).optional(),
  joins: z.array(joinReportSchema),
  io: z.array(ioCountsSchema),
  /** Reads and writes that this SDS served as primary since its process started, and the sum of their times. */
  served: z.object({ operations: count, timeMs: z.number().nonnegative() }).optional(),
  /** Groups, led from here, that hold nothing more of a node which the MDM asked to delete. */
  deletedNodes: z.array(z.object({ nodeId: idSchema<NodeId>(), pgIds: z.array(idSchema<PgId>()) })).default([]),
  /** Chunks of each node in the groups led from here: what volumes use. Left out when it is as it was told before. */
  nodeUsage: z.array(z.object({ nodeId: idSchema<NodeId>(), chunkCount: count })).optional(),
  /** Told again until a beat that carried them was answered. */
  consumedTokens: z.array(consumedTokenSchema).max(CONSUMED_TOKENS_PER_BEAT_MAX).optional(),
});
/** As it is sent: what has a default may be left out. */
export type SdsHeartbeatMessage = z.input<typeof sdsHeartbeatCallSchema>;
export type SdsHeartbeatCall = z.output<typeof sdsHeartbeatCallSchema>;

/** A join that the MDM asks the primary for (3.8), for one epoch. */
export const joinTaskSchema = z.object({
  pgId: idSchema<PgId>(),
  epoch: idSchema<Epoch>(),
  deviceId: idSchema<DeviceId>(),
  sdsId: idSchema<SdsId>(),
  incarnation: incarnationSchema,
  mode: z.enum(["delta", "full"]),
});
export type JoinTask = z.output<typeof joinTaskSchema>;

/**
 * What the MDM wants of a primary, under one epoch: to hand its group over, or to have a member removed. Said again until the
 * epoch has moved on.
 */
export const pgOrderSchema = z.object({
  kind: z.enum(["hand_over", "remove_secondary"]),
  pgId: idSchema<PgId>(),
  epoch: idSchema<Epoch>(),
  /** The next primary, or the member that leaves. */
  deviceId: idSchema<DeviceId>(),
});
export type PgOrder = z.output<typeof pgOrderSchema>;

/**
 * The MDM orders a copy to be deleted that others have replaced (I18). A device whose copy has stored `belowEpoch` or above, or that
 * is a member or joins, keeps it. Said again until the row is gone.
 */
export const pgDropSchema = z.object({
  deviceId: idSchema<DeviceId>(),
  pgId: idSchema<PgId>(),
  belowEpoch: idSchema<Epoch>(),
});
export type PgDrop = z.output<typeof pgDropSchema>;

export const sdsHeartbeatAnswerSchema = z.object({
  mdmTerm: count,
  mdmTimeMs: z.number(),
  /** False: the MDM does not know this start of this process: register. */
  registered: z.boolean(),
  configVersion: count,
  mappingVersion: count,
  /** All current generations when the SDS's `mappingVersion` is behind, else empty. */
  mappings: z.array(mappingGenerationSchema),
  assignedDevices: z.array(assignedDeviceSchema),
  tokenKeys: z.array(tokenKeySchema),
  /** Every join that this SDS should be running, as primary. */
  joinTasks: z.array(joinTaskSchema),
  /** Left out when there are none. */
  pgOrders: z.array(pgOrderSchema).optional(),
  /** Left out when there are none. */
  pgDrops: z.array(pgDropSchema).optional(),
  /** How fast devices of this SDS may copy as primaries; 0: not now. Those not named keep to the SDS's own setting. */
  copyRates: z.array(z.object({ deviceId: idSchema<DeviceId>(), bytesPerSecond: count })).optional(),
  /** To a process that stops: no group needs it any more that others could serve. Left out otherwise. */
  mayStop: z.boolean().optional(),
  /**
   * Nodes of deleted volumes that groups led from this SDS may still hold: delete their chunks by replicated writes (7.3), then
   * report the groups in `deletedNodes`. Named until every group was reported.
   */
  nodeDeletions: z.array(z.object({
    vtreeId: idSchema<VtreeId>(),
    nodeId: idSchema<NodeId>(),
    poolId: idSchema<PoolId>(),
  })).default([]),
  /** Single-use tokens that were taken back and have not expired; left out when there are none. */
  revokedTokens: z.array(revokedTokenSchema).optional(),
});
export type SdsHeartbeatAnswer = z.output<typeof sdsHeartbeatAnswerSchema>;

export const sdsConfigsCallSchema = z.object({ sinceVersion: count });
/** Configurations changed after `sinceVersion` of the pools in which this SDS has devices, and all its peers. */
export const sdsConfigsAnswerSchema = z.object({
  configVersion: count,
  configs: z.array(pgConfigSchema),
  peers: z.array(peerSchema),
});
export type SdsConfigsAnswer = z.output<typeof sdsConfigsAnswerSchema>;

/** Chunks that one call asks about at most. */
export const CHUNK_STATUS_MAX = 1_024;
export const chunkStatusCallSchema = z.object({ chunk_ids: z.array(count).max(CHUNK_STATUS_MAX) });
/** `DEGRADED`: the copy departed, is the only one, or is not verified since an unclean stop. */
export const chunkStateSchema = z.enum(["ACTIVE", "DEGRADED", "REBUILDING", "MISSING"]);
/** One copy of a chunk. */
export const chunkStatusSchema = z.object({
  chunk_id: z.int(),
  volume_id: z.int().nullable(),
  status: chunkStateSchema,
  size_bytes: z.int(),
  /** Epoch of its group. */
  generation: z.int().nullable(),
  /** Of the checksums of its blocks: equal copies have equal ones. Null while nothing is stored. */
  checksum: z.string().nullable(),
  /** The last write to the copy; null if there was none since its checksums came to memory, at the latest with the process. */
  last_write_offset_bytes: z.int().nullable(),
  last_write_length_bytes: z.int().nullable(),
  last_write_at: z.iso.datetime().nullable(),
});
export type ChunkStatus = z.output<typeof chunkStatusSchema>;
export const chunkStatusAnswerSchema = z.object({ chunks: z.array(chunkStatusSchema) });

export const noticeCallSchema = z.object({ mdmTerm: count });
export const peerDeadCallSchema = z.object({
  mdmTerm: count,
  deviceId: idSchema<DeviceId>(),
  /** The incarnation whose process is gone. */
  incarnation: incarnationSchema,
});
export type PeerDeadCall = z.output<typeof peerDeadCallSchema>;
export const revokeCallSchema = z.object({
  mdmTerm: count,
  mappingVersion: count,
  mappings: z.array(mappingGenerationSchema),
});
export type RevokeCall = z.output<typeof revokeCallSchema>;
export const revokeTokensCallSchema = z.object({ mdmTerm: count, tokens: z.array(revokedTokenSchema).min(1) });

export const scrubCallSchema = z.object({ mdmTerm: count, poolId: idSchema<PoolId>() });

/** Which vTree and node a session token's volume is; also part of the token. */
export interface VolumeLeaf {
  readonly volumeId: VolumeId;
  readonly vtreeId: VtreeId;
  readonly nodeId: NodeId;
}
