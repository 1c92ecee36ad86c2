/**
 * What SDC and MDM say to each other. The SDC calls `/internal/v1/sdc/*` at the MDM; the MDM calls `/control/volume_mapped`,
 * `/control/volume_unmapped` and `/control/plan_update` at the SDC. Both sign with the SDC's node key.
 *
 * | call at the MDM | when |
 * | --- | --- |
 * | POST /internal/v1/sdc/register | at each start: a new session, which revokes the older one |
 * | POST /internal/v1/sdc/heartbeat | each 10 s |
 * | POST /internal/v1/sdc/map | before the first IO of a volume, and after a refusal that asks for a new map |
 * | POST /internal/v1/sdc/token | before the first IO of a volume, then each 30 s |
 *
 * @module
 */
import { z } from "zod";
import { idSchema } from "@/shared/api/pg.ts";
import type { DeviceId, Epoch, NodeId, PgId, SdcId, SdcSession, SdsId, VolumeId, VtreeId } from "@/shared/ids.ts";

const count = z.number().int().nonnegative();

export const accessModeSchema = z.enum(["readWrite", "readOnly"]);
export type AccessMode = z.output<typeof accessModeSchema>;

export const sdcMappingSchema = z.object({
  volumeId: idSchema<VolumeId>(),
  volumeName: z.string(),
  sizeBytes: count,
  accessMode: accessModeSchema,
  mappingGeneration: count,
});
/** A volume that this SDC may serve. */
export type SdcMapping = z.output<typeof sdcMappingSchema>;

export const sdcRegisterCallSchema = z.object({ bootId: z.string().min(1), hostId: z.string().min(1) });
/** `sdcId` is null while no operator has added this process as an SDC. */
export const sdcRegisterAnswerSchema = z.object({
  clusterName: z.string(),
  mdmTerm: count,
  sdcId: idSchema<SdcId>().nullable(),
  sdcSession: idSchema<SdcSession>().nullable(),
  mappingVersion: count,
  mappings: z.array(sdcMappingSchema),
});
export type SdcRegisterAnswer = z.output<typeof sdcRegisterAnswerSchema>;

/** Volumes whose failures one heartbeat tells. */
export const IO_FAILURES_PER_BEAT_MAX = 100;
/** Requests of one volume that failed since the last report, and the last of them. */
export const ioFailureReportSchema = z.object({
  volumeId: idSchema<VolumeId>(),
  count: z.number().int().positive(),
  operation: z.string(),
  offsetBytes: count,
  lengthBytes: count,
  code: z.string(),
  message: z.string(),
});
export type IoFailureReport = z.output<typeof ioFailureReportSchema>;

export const sdcHeartbeatCallSchema = z.object({
  sdcSession: idSchema<SdcSession>().nullable(),
  mappingVersion: count,
  /** Totals since the process started. */
  io: z.array(z.object({
    volumeId: idSchema<VolumeId>(),
    reads: count,
    writes: count,
    readBytes: count,
    writtenBytes: count,
    errors: count,
    /** Reads and writes that ended well, and the sum of their times. */
    timedOperations: count.default(0),
    timedMs: z.number().nonnegative().default(0),
  })),
  /** Told again until a beat that carried them was answered; left out when there are none. */
  ioFailures: z.array(ioFailureReportSchema).max(IO_FAILURES_PER_BEAT_MAX).optional(),
});
export type SdcHeartbeatCall = z.output<typeof sdcHeartbeatCallSchema>;

export const sdcHeartbeatAnswerSchema = z.object({
  /** False: the session is not the newest of this SDC (or it has none): register. */
  registered: z.boolean(),
  mappingVersion: count,
  mappings: z.array(sdcMappingSchema),
});
export type SdcHeartbeatAnswer = z.output<typeof sdcHeartbeatAnswerSchema>;

export const volumeCallSchema = z.object({
  sdcSession: idSchema<SdcSession>(),
  volumeId: idSchema<VolumeId>(),
});

/** Where a volume's chunks are: everything an SDC needs to route, by placement-group index. */
export const volumeMapSchema = z.object({
  volumeId: idSchema<VolumeId>(),
  vtreeId: idSchema<VtreeId>(),
  nodeId: idSchema<NodeId>(),
  sizeBytes: count,
  pgCount: z.number().int().positive(),
  /** In order of `pgIndex`. `primaryDeviceId` is members[0]; `memberCount` copies hold every acknowledged write. */
  pgs: z.array(z.object({
    pgId: idSchema<PgId>(),
    epoch: idSchema<Epoch>(),
    lossGeneration: count,
    primaryDeviceId: idSchema<DeviceId>(),
    memberCount: z.number().int().positive(),
  })),
  devices: z.array(z.object({ deviceId: idSchema<DeviceId>(), sdsId: idSchema<SdsId>() })),
  /** `keyHex` proves this SDC's session to that SDS: see `shared/auth.ts`, `ticketKeyHex`. */
  sdss: z.array(z.object({
    sdsId: idSchema<SdsId>(),
    host: z.string(),
    dataPort: z.number().int().positive(),
    keyHex: z.string(),
  })),
});
export type VolumeMap = z.output<typeof volumeMapSchema>;

export const sessionTokenAnswerSchema = z.object({
  token: z.string(),
  /** How long to wait before asking for the next, in ms from now. */
  renewAfterMs: count,
  accessMode: accessModeSchema,
  sizeBytes: count,
});
export type SessionTokenAnswer = z.output<typeof sessionTokenAnswerSchema>;
