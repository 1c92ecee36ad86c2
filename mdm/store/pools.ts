/**
 * `storage_pools`.
 *
 * @module
 */
import type { Database } from "@/mdm/store/database.ts";
import { asId, type PoolId, type ProtectionDomainId } from "@/shared/ids.ts";

/** What an operator wants of the copies of a pool: made, standing still, or none. */
export type RebuildControl = "run" | "paused" | "cancelled";

export interface PoolRow {
  readonly poolId: PoolId;
  readonly domainId: ProtectionDomainId;
  readonly name: string;
  /** Limit of logical bytes. */
  readonly limitBytes: number;
  readonly protectionPolicy: "two_copies";
  readonly copies: number;
  readonly syncWrites: boolean;
  /** How fast copies of the pool may be made, in MB/s of 10^6 bytes. */
  readonly rebuildRateLimitMbps: number;
  readonly rebuildControl: RebuildControl;
  /** Null until the pool got its first volume. */
  readonly pgCount: number | null;
}

const COLUMNS =
  `id AS poolId, pd_id AS domainId, name, total_capacity_bytes AS limitBytes, protection_policy AS protectionPolicy,
  copies, sync_writes AS syncWrites, pg_count AS pgCount, rebuild_rate_limit_mbps AS rebuildRateLimitMbps, rebuild_control AS rebuildControl`;

type Raw = Omit<PoolRow, "syncWrites"> & { readonly syncWrites: number };

function rowOf(raw: Raw): PoolRow {
  return { ...raw, syncWrites: raw.syncWrites === 1 };
}

export interface NewPool {
  readonly domainId: ProtectionDomainId;
  readonly name: string;
  readonly limitBytes: number;
  readonly copies: number;
  readonly syncWrites: boolean;
  readonly atMs: number;
}

export function insertPool(db: Database, pool: NewPool): PoolId {
  const { lastId } = db.run(
    `INSERT INTO storage_pools (pd_id, name, total_capacity_bytes, protection_policy, copies, sync_writes, created_at_ms)
     VALUES (?, ?, ?, 'two_copies', ?, ?, ?)`,
    pool.domainId,
    pool.name,
    pool.limitBytes,
    pool.copies,
    pool.syncWrites ? 1 : 0,
    Math.floor(pool.atMs),
  );
  return asId(lastId);
}

export function poolById(db: Database, poolId: PoolId): PoolRow | undefined {
  const raw = db.get<Raw>(`SELECT ${COLUMNS} FROM storage_pools WHERE id = ?`, poolId);
  return raw && rowOf(raw);
}

export function poolByName(db: Database, key: { domainId: ProtectionDomainId; name: string }): PoolRow | undefined {
  const raw = db.get<Raw>(`SELECT ${COLUMNS} FROM storage_pools WHERE pd_id = ? AND name = ?`, key.domainId, key.name);
  return raw && rowOf(raw);
}

export function listPools(db: Database): PoolRow[] {
  return db.all<Raw>(`SELECT ${COLUMNS} FROM storage_pools ORDER BY id`).map(rowOf);
}

export function poolsOfDomain(db: Database, domainId: ProtectionDomainId): PoolRow[] {
  return db.all<Raw>(`SELECT ${COLUMNS} FROM storage_pools WHERE pd_id = ? ORDER BY id`, domainId).map(rowOf);
}

/** Removes a pool without groups. Its devices are in none then. */
export function deletePool(db: Database, poolId: PoolId): void {
  db.run("UPDATE sds_device_inventory SET pool_id = NULL WHERE pool_id = ?", poolId);
  db.run("DELETE FROM storage_pools WHERE id = ?", poolId);
}

export function setPoolPgCount(db: Database, poolId: PoolId, pgCount: number): void {
  db.run("UPDATE storage_pools SET pg_count = ? WHERE id = ?", pgCount, poolId);
}

export function setRebuildControl(db: Database, poolId: PoolId, control: RebuildControl): void {
  db.run("UPDATE storage_pools SET rebuild_control = ? WHERE id = ?", control, poolId);
}

export function setRebuildRateLimit(db: Database, poolId: PoolId, limitMbps: number): void {
  db.run("UPDATE storage_pools SET rebuild_rate_limit_mbps = ? WHERE id = ?", limitMbps, poolId);
}
