/**
 * `volumes` with `vtree` and `node`: a volume points to a leaf node of its vTree.
 *
 * @module
 */
import type { Database } from "@/mdm/store/database.ts";
import { asId, type NodeId, type PoolId, type VolumeId, type VtreeId } from "@/shared/ids.ts";

/** Thin: space is taken when it is written. Thick: its whole size is reserved in the pool. */
export type Provisioning = "thin" | "thick";

export interface VolumeRow {
  readonly volumeId: VolumeId;
  readonly name: string;
  readonly poolId: PoolId;
  readonly vtreeId: VtreeId;
  readonly nodeId: NodeId;
  readonly sizeBytes: number;
  readonly provisioning: Provisioning;
  readonly createdAtMs: number;
  /** SDCs that may use it. */
  readonly mappingCount: number;
}

const SELECT = `SELECT v.id AS volumeId, v.name, v.pool_id AS poolId, v.vtree_id AS vtreeId, v.node_id AS nodeId,
    v.size_bytes AS sizeBytes, v.provisioning, v.created_at_ms AS createdAtMs,
    (SELECT COUNT(*) FROM volume_mappings m WHERE m.volume_id = v.id AND m.access_mode IS NOT NULL) AS mappingCount
  FROM volumes v`;

/** Inserts vTree, node and volume. */
export function insertVolume(
  db: Database,
  volume: { name: string; poolId: PoolId; sizeBytes: number; provisioning: Provisioning; atMs: number },
): VolumeId {
  const vtreeId = db.run("INSERT INTO vtree (pool_id) VALUES (?)", volume.poolId).lastId;
  const nodeId = db.run("INSERT INTO node (vtree_id) VALUES (?)", vtreeId).lastId;
  const { lastId } = db.run(
    `INSERT INTO volumes (name, pool_id, vtree_id, node_id, size_bytes, provisioning, state, created_at_ms)
     VALUES (?, ?, ?, ?, ?, ?, 'READY', ?)`,
    volume.name,
    volume.poolId,
    vtreeId,
    nodeId,
    volume.sizeBytes,
    volume.provisioning,
    Math.floor(volume.atMs),
  );
  return asId(lastId);
}

/** A volume that is not being deleted. */
export function volumeById(db: Database, volumeId: VolumeId): VolumeRow | undefined {
  return db.get(`${SELECT} WHERE v.id = ? AND v.state <> 'DELETING'`, volumeId);
}

export function volumeByName(db: Database, name: string): VolumeRow | undefined {
  return db.get(`${SELECT} WHERE v.name = ? AND v.state <> 'DELETING'`, name);
}

/** Volumes that are not being deleted. */
export function listVolumes(db: Database): VolumeRow[] {
  return db.all(`${SELECT} WHERE v.state <> 'DELETING' ORDER BY v.id`);
}

/** Those of a pool that are not being deleted. */
export function volumesOfPool(db: Database, poolId: PoolId): VolumeRow[] {
  return db.all(`${SELECT} WHERE v.pool_id = ? AND v.state <> 'DELETING' ORDER BY v.id`, poolId);
}

/** Sum of the sizes of a pool's volumes; those being deleted do not count. */
export function provisionedBytes(db: Database, poolId: PoolId): number {
  return db.get<{ bytes: number | null }>(
    "SELECT SUM(size_bytes) AS bytes FROM volumes WHERE pool_id = ? AND state <> 'DELETING'",
    poolId,
  )?.bytes ?? 0;
}

export function setVolumeSize(db: Database, volumeId: VolumeId, sizeBytes: number): void {
  db.run("UPDATE volumes SET size_bytes = ? WHERE id = ?", sizeBytes, volumeId);
}

export function setVolumeDeleting(db: Database, volumeId: VolumeId): void {
  db.run("UPDATE volumes SET state = 'DELETING' WHERE id = ?", volumeId);
}

/** Removes a deleted volume's rows once no group holds chunks of its node. */
export function removeDeletedVolume(db: Database, nodeId: NodeId): void {
  const row = db.get<{ vtreeId: number }>("SELECT vtree_id AS vtreeId FROM node WHERE id = ?", nodeId);
  if (row === undefined) return;
  db.run("DELETE FROM volumes WHERE node_id = ? AND state = 'DELETING'", nodeId);
  db.run("DELETE FROM node WHERE id = ?", nodeId);
  db.run("DELETE FROM vtree WHERE id = ?", row.vtreeId);
}
