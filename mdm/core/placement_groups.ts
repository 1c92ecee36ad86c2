/**
 * Placement groups as the MDM records them (replication design, section 2.3): the configuration that serves now, and the copies
 * that left it and may return by delta.
 *
 * @module
 */
import type { PgConfig, PgMember } from "@/shared/api/pg.ts";
import type { DeviceId, Epoch, PgId, PoolId } from "@/shared/ids.ts";

/** A copy that left the group while it lacked copies: whatever it misses is in the write intents. */
export interface DepartedCopy {
  readonly deviceId: DeviceId;
  readonly lastEpoch: Epoch;
  /** MDM time, in ms. */
  readonly sinceMs: number;
}

/** One placement group. `departed` is empty while `members` is as long as `copies`. */
export interface PgRecord {
  readonly pgId: PgId;
  readonly poolId: PoolId;
  readonly pgIndex: number;
  readonly pgCount: number;
  /** Copies that the pool wants. */
  readonly copies: number;
  readonly epoch: Epoch;
  /** Term of the MDM start that made this configuration. */
  readonly mdmTerm: number;
  /** members[0] is the primary. */
  readonly members: readonly PgMember[];
  readonly lossGeneration: number;
  readonly fresh: boolean;
  readonly syncWrites: boolean;
  readonly departed: readonly DepartedCopy[];
  /** Devices that should hold the copies, the primary first; empty while that was never computed. */
  readonly target: readonly DeviceId[];
}

/** What travels of `pg`, before the signature. */
export function unsignedConfigOf(pg: PgRecord): Omit<PgConfig, "signature"> {
  return {
    pgId: pg.pgId,
    poolId: pg.poolId,
    pgIndex: pg.pgIndex,
    pgCount: pg.pgCount,
    epoch: pg.epoch,
    mdmTerm: pg.mdmTerm,
    members: [...pg.members],
    lossGeneration: pg.lossGeneration,
    fresh: pg.fresh,
    syncWrites: pg.syncWrites,
  };
}
