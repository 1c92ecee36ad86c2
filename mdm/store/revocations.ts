/**
 * `revocation_pending`: SDSs that have not confirmed a revocation.
 *
 * @module
 */
import type { Database } from "@/mdm/store/database.ts";
import type { PoolId, SdsId, VolumeId } from "@/shared/ids.ts";

export interface PendingRevocation {
  readonly volumeId: VolumeId;
  readonly sdsId: SdsId;
  readonly poolId: PoolId;
  readonly mappingVersion: number;
}

/** Notes that the SDS has to confirm; a newer revocation of the volume takes the place of an older one. */
export function insertPendingRevocation(db: Database, row: PendingRevocation): void {
  db.run(
    `INSERT INTO revocation_pending (volume_id, sds_id, pool_id, mapping_version) VALUES (?, ?, ?, ?)
     ON CONFLICT (volume_id, sds_id) DO UPDATE SET mapping_version = excluded.mapping_version`,
    row.volumeId,
    row.sdsId,
    row.poolId,
    row.mappingVersion,
  );
}

export function listPendingRevocations(db: Database): PendingRevocation[] {
  return db.all(
    `SELECT volume_id AS volumeId, sds_id AS sdsId, pool_id AS poolId, mapping_version AS mappingVersion
     FROM revocation_pending ORDER BY volume_id, sds_id`,
  );
}

/** The SDS is done with the volume's revocations up to `mappingVersion`. */
export function deletePendingRevocation(db: Database, row: Omit<PendingRevocation, "poolId">): void {
  db.run(
    "DELETE FROM revocation_pending WHERE volume_id = ? AND sds_id = ? AND mapping_version <= ?",
    row.volumeId,
    row.sdsId,
    row.mappingVersion,
  );
}
