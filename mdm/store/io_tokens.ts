/**
 * `io_tokens` and `io_transaction_acks`: single-use tokens, and what SDSs and clients say was done with them.
 *
 * @module
 */
import type { RevokedToken } from "@/shared/api/sds.ts";
import type { IoOperation } from "@/shared/io_token.ts";
import type { SdcId, VolumeId } from "@/shared/ids.ts";
import type { Database } from "@/mdm/store/database.ts";

export type IoTokenStatus = "ISSUED" | "CONSUMED" | "EXPIRED" | "REVOKED";

export interface IoTokenRow {
  readonly tokenId: string;
  readonly volumeId: VolumeId;
  readonly sdcId: SdcId;
  readonly operation: IoOperation;
  readonly offsetBytes: number;
  readonly lengthBytes: number;
  readonly issuedAtMs: number;
  readonly expiresAtMs: number;
  readonly consumedAtMs: number | null;
  readonly signature: string;
  readonly ioPlanJson: string;
  /** As stored: an expired one may still say ISSUED. */
  readonly status: IoTokenStatus;
}

export interface IoAckRow {
  readonly ackId: string;
  readonly tokenId: string;
  readonly sdsId: number;
  readonly success: number;
  readonly bytesProcessed: number;
  readonly errorMessage: string | null;
  readonly durationMs: number | null;
  readonly replicaId: number | null;
  readonly sdsAddress: string | null;
  readonly metadataJson: string;
  readonly atMs: number;
}

export function insertIoToken(db: Database, token: Omit<IoTokenRow, "consumedAtMs" | "status">): void {
  db.run(
    `INSERT INTO io_tokens (token_id, volume_id, sdc_id, operation, offset_bytes, length_bytes, issued_at_ms, expires_at_ms,
       signature, io_plan_json, status) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'ISSUED')`,
    token.tokenId,
    token.volumeId,
    token.sdcId,
    token.operation,
    token.offsetBytes,
    token.lengthBytes,
    token.issuedAtMs,
    token.expiresAtMs,
    token.signature,
    token.ioPlanJson,
  );
}

export function ioTokenById(db: Database, tokenId: string): IoTokenRow | undefined {
  return db.get(
    `SELECT token_id AS tokenId, volume_id AS volumeId, sdc_id AS sdcId, operation, offset_bytes AS offsetBytes,
       length_bytes AS lengthBytes, issued_at_ms AS issuedAtMs, expires_at_ms AS expiresAtMs,
       consumed_at_ms AS consumedAtMs, signature, io_plan_json AS ioPlanJson, status
     FROM io_tokens WHERE token_id = ?`,
    tokenId,
  );
}

/** One that was used is CONSUMED, also if that is told late; one that was taken back stays so. */
export function setIoTokenConsumed(db: Database, tokenId: string, atMs: number): void {
  db.run(
    `UPDATE io_tokens SET consumed_at_ms = COALESCE(consumed_at_ms, ?),
       status = CASE status WHEN 'REVOKED' THEN 'REVOKED' ELSE 'CONSUMED' END WHERE token_id = ?`,
    atMs,
    tokenId,
  );
}

export function setIoTokenRevoked(db: Database, tokenId: string): void {
  db.run("UPDATE io_tokens SET status = 'REVOKED' WHERE token_id = ?", tokenId);
}

/** Tokens that were taken back and have not expired. */
export function revokedIoTokens(db: Database, nowMs: number): RevokedToken[] {
  return db.all(
    `SELECT token_id AS tokenId, expires_at_ms AS expiresAtMs FROM io_tokens
     WHERE status = 'REVOKED' AND expires_at_ms > ? ORDER BY expires_at_ms`,
    nowMs,
  );
}

/** Marks what has expired unused; how many. */
export function markIoTokensExpired(db: Database, nowMs: number): number {
  return db.run("UPDATE io_tokens SET status = 'EXPIRED' WHERE status = 'ISSUED' AND expires_at_ms <= ?", nowMs)
    .changes;
}

/**
 * Deletes expired ones among the oldest `limit` tokens, with their acknowledgements: those that expired before `beforeMs`, and those that are
 * older than the newest `keepCount`.
 */
export function purgeIoTokens(
  db: Database,
  options: { nowMs: number; beforeMs: number; keepCount: number; limit: number },
): number {
  return db.run(
    `DELETE FROM io_tokens WHERE id IN (
       SELECT id FROM (SELECT id, expires_at_ms FROM io_tokens ORDER BY id LIMIT ?) WHERE expires_at_ms <= ?
         AND (expires_at_ms < ? OR id <= (SELECT MAX(id) FROM io_tokens) - ?))`,
    options.limit,
    options.nowMs,
    options.beforeMs,
    options.keepCount,
  ).changes;
}

/** Deletes tokens issued before a time, with their acknowledgements; one that was taken back stays until it expires. */
export function deleteIoTokensBefore(db: Database, options: { nowMs: number; issuedBeforeMs: number }): number {
  return db.run(
    "DELETE FROM io_tokens WHERE issued_at_ms < ? AND NOT (status = 'REVOKED' AND expires_at_ms > ?)",
    Math.floor(options.issuedBeforeMs),
    options.nowMs,
  ).changes;
}

/** Tokens that may still be used, newest first. */
export function issuedIoTokens(
  db: Database,
  options: { nowMs: number; offset: number; limit: number },
): Pick<IoTokenRow, "tokenId" | "volumeId" | "sdcId" | "operation" | "expiresAtMs" | "ioPlanJson">[] {
  return db.all(
    `SELECT token_id AS tokenId, volume_id AS volumeId, sdc_id AS sdcId, operation, expires_at_ms AS expiresAtMs,
       io_plan_json AS ioPlanJson
     FROM io_tokens WHERE status = 'ISSUED' AND expires_at_ms > ? ORDER BY id DESC LIMIT ? OFFSET ?`,
    options.nowMs,
    options.limit,
    options.offset,
  );
}

/** Adds an acknowledgement; false if one with its id is there. */
export function insertIoAck(db: Database, ack: IoAckRow): boolean {
  return db.run(
    `INSERT OR IGNORE INTO io_transaction_acks (ack_id, token_id, sds_id, success, bytes_processed, error_message,
       execution_duration_ms, replica_id, sds_address, metadata_json, at_ms) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    ack.ackId,
    ack.tokenId,
    ack.sdsId,
    ack.success,
    ack.bytesProcessed,
    ack.errorMessage,
    ack.durationMs,
    ack.replicaId,
    ack.sdsAddress,
    ack.metadataJson,
    ack.atMs,
  ).changes > 0;
}

/** Oldest first. */
export function ioAcksOf(db: Database, tokenId: string): IoAckRow[] {
  return db.all(
    `SELECT ack_id AS ackId, token_id AS tokenId, sds_id AS sdsId, success, bytes_processed AS bytesProcessed,
       error_message AS errorMessage, execution_duration_ms AS durationMs, replica_id AS replicaId,
       sds_address AS sdsAddress, metadata_json AS metadataJson, at_ms AS atMs
     FROM io_transaction_acks WHERE token_id = ? ORDER BY id`,
    tokenId,
  );
}

/** Tokens by status as of `nowMs`. */
export function ioTokenCounts(
  db: Database,
  nowMs: number,
): { readonly status: IoTokenStatus; readonly count: number }[] {
  return db.all(
    `SELECT CASE WHEN status = 'ISSUED' AND expires_at_ms <= ? THEN 'EXPIRED' ELSE status END AS status, COUNT(*) AS count
     FROM io_tokens GROUP BY 1`,
    nowMs,
  );
}

export function ioAckTotals(
  db: Database,
): { readonly total: number; readonly succeeded: number; readonly bytes: number } {
  return db.get<{ total: number; succeeded: number; bytes: number }>(
    `SELECT COUNT(*) AS total, COALESCE(SUM(success), 0) AS succeeded,
       COALESCE(SUM(bytes_processed), 0) AS bytes FROM io_transaction_acks`,
  )!;
}
