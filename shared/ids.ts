/**
 * Ids as branded types, so that a `VolumeId` cannot stand in for an `SdsId`. All are positive integers given by the MDM,
 * except where the type says otherwise.
 *
 * @module
 */

declare const brand: unique symbol;
type Branded<Base, Name extends string> = Base & { readonly [brand]: Name };

export type ProtectionDomainId = Branded<number, "ProtectionDomainId">;
export type FaultSetId = Branded<number, "FaultSetId">;
export type PoolId = Branded<number, "PoolId">;
export type SdsId = Branded<number, "SdsId">;
export type SdcId = Branded<number, "SdcId">;
/** A device of an SDS. A device that is removed and added again gets a new id: its old data never serves again (I22). */
export type DeviceId = Branded<number, "DeviceId">;
export type VolumeId = Branded<number, "VolumeId">;
/** A volume with its snapshots. */
export type VtreeId = Branded<number, "VtreeId">;
/** One layer of a vTree; unique in the cluster, at most {@linkcode NODE_ID_MAX}. */
export type NodeId = Branded<number, "NodeId">;
export type PgId = Branded<number, "PgId">;
/** Number of a role assignment of one placement group; only grows (I1). */
export type Epoch = Branded<number, "Epoch">;
/** Number that the MDM gives an SDC at each registration; a newer one revokes the older. */
export type SdcSession = Branded<number, "SdcSession">;
/** Name under which a process registers, such as `sds-1`. */
export type ComponentId = Branded<string, "ComponentId">;

/** `nodeId * 2^24 + chunkIndex` stays a safe integer. */
export const NODE_ID_MAX = 2 ** 28;

/** Names an integer that is already known to be an id: at decoders and database rows, nowhere else. */
export function asId<Id extends Branded<number, string>>(value: number): Id {
  return value as Id;
}

/** Names a string that is already known to be a component id. */
export function asComponentId(value: string): ComponentId {
  return value as ComponentId;
}

/**
 * One start of one process on one device: the counter of the superblock, raised at each start, with 64 random bits, so that
 * two processes started from copies of a directory differ (replication design, section 3.1).
 */
export interface Incarnation {
  readonly counter: number;
  /** 16 lower-case hexadecimal digits. */
  readonly random: string;
}

/** True if both are the same start of the same process. */
export function sameIncarnation(a: Incarnation, b: Incarnation): boolean {
  return a.counter === b.counter && a.random === b.random;
}
