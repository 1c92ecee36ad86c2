/**
 * `node_deletion`: which groups still hold chunks of deleted nodes (replication design, section 7.3).
 *
 * @module
 */
import type { Database } from "@/mdm/store/database.ts";
import type { NodeId, PgId, PoolId, SdsId, VtreeId } from "@/shared/ids.ts";

/** A node whose chunks a primary has to delete. */
export interface PendingDeletion {
  readonly vtreeId: VtreeId;
  readonly nodeId: NodeId;
  readonly poolId: PoolId;
}

/** Asks every group of the pool to delete the node's chunks. */
export function insertNodeDeletion(db: Database, deletion: { nodeId: NodeId; poolId: PoolId }): void {
  db.run(
    "INSERT INTO node_deletion (node_id, pg_id) SELECT ?, id FROM pg WHERE pool_id = ?",
    deletion.nodeId,
    deletion.poolId,
  );
}

/** True if any node waits for its deletion. */
export function hasNodeDeletions(db: Database): boolean {
  return db.get("SELECT 1 AS found FROM node_deletion LIMIT 1") !== undefined;
}

/** Nodes that groups with their primary at this SDS still hold. */
export function pendingDeletionsOf(db: Database, sdsId: SdsId): PendingDeletion[] {
  return db.all(
    `SELECT DISTINCT n.vtree_id AS vtreeId, n.id AS nodeId, t.pool_id AS poolId
     FROM node_deletion x JOIN node n ON n.id = x.node_id JOIN vtree t ON t.id = n.vtree_id
       JOIN pg_member m ON m.pg_id = x.pg_id AND m.position = 0 JOIN sds_device_inventory d ON d.id = m.device_id
     WHERE d.sds_id = ? ORDER BY n.id`,
    sdsId,
  );
}

/** Notes that the primary of `pgId`, which is at `sdsId`, deleted the node's chunks; false if it is not the primary. */
export function removeNodeDeletion(db: Database, done: { nodeId: NodeId; pgId: PgId; sdsId: SdsId }): boolean {
  return db.run(
    `DELETE FROM node_deletion WHERE node_id = ? AND pg_id = ? AND EXISTS (
       SELECT 1 FROM pg_member m JOIN sds_device_inventory d ON d.id = m.device_id
       WHERE m.pg_id = node_deletion.pg_id AND m.position = 0 AND d.sds_id = ?)`,
    done.nodeId,
    done.pgId,
    done.sdsId,
  ).changes > 0;
}

export function hasNodeDeletion(db: Database, nodeId: NodeId): boolean {
  return db.get("SELECT 1 AS found FROM node_deletion WHERE node_id = ? LIMIT 1", nodeId) !== undefined;
}
