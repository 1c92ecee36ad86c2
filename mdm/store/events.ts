/**
 * `event_logs`: what happened, for people. The newest {@linkcode EVENTS_KEPT_MAX} are kept.
 *
 * @module
 */
import type { OverviewEvent, Severity } from "@/shared/api/overview.ts";
import type { Database } from "@/mdm/store/database.ts";

/** Events that are kept. */
export const EVENTS_KEPT_MAX = 10_000;

/** Types of events. */
export type EventType =
  | "component_state_change"
  | "sds_state_change"
  | "sds_added"
  | "sdc_added"
  | "pool_health_change"
  | "volume_create"
  | "volume_delete"
  | "volume_map"
  | "volume_unmap"
  | "volume_extend"
  | "rebuild_start"
  | "rebuild_complete"
  | "rebuild_failed"
  | "device_added"
  | "io_error"
  | "replica_degraded"
  | "component_registered"
  | "device_failed"
  | "device_unavailable"
  | "blocks_repaired"
  | "blocks_damaged"
  | "epoch_ahead"
  | "host_confirmation_needed"
  | "unflushed_writes_lost"
  | "data_loss_possible"
  | "copies_differed";

export interface NewEvent {
  readonly atMs: number;
  readonly type: EventType;
  readonly severity: Severity;
  /** What it is about, such as `sds-1`; empty when it is about the cluster. */
  readonly subject: string;
  /** One sentence. */
  readonly message: string;
}

export function insertEvent(db: Database, event: NewEvent): void {
  const { lastId } = db.run(
    "INSERT INTO event_logs (at_ms, type, severity, subject, message) VALUES (?, ?, ?, ?, ?)",
    Math.floor(event.atMs),
    event.type,
    event.severity,
    event.subject,
    event.message,
  );
  db.run("DELETE FROM event_logs WHERE id <= ?", lastId - EVENTS_KEPT_MAX);
}

/** Newest first. */
export function newestEvents(db: Database, countMax: number): OverviewEvent[] {
  return db.all(
    "SELECT id AS eventId, at_ms AS atMs, type, severity, subject, message FROM event_logs ORDER BY id DESC LIMIT ?",
    countMax,
  );
}

/** Which events; all that are absent do not matter. */
export interface EventFilter {
  readonly type?: string | undefined;
  readonly severity?: Severity | undefined;
  readonly subject?: string | undefined;
  readonly sinceMs?: number | undefined;
  /** Only events older than this one: the next page. */
  readonly beforeId?: number | undefined;
  readonly limit: number;
}

/** Newest first. */
export function eventsWhere(db: Database, filter: EventFilter): OverviewEvent[] {
  const { type = null, severity = null, subject = null, sinceMs = null, beforeId = null } = filter;
  return db.all(
    `SELECT id AS eventId, at_ms AS atMs, type, severity, subject, message FROM event_logs
     WHERE (?1 IS NULL OR type = ?1) AND (?2 IS NULL OR severity = ?2) AND (?3 IS NULL OR subject = ?3)
       AND (?4 IS NULL OR at_ms >= ?4) AND (?5 IS NULL OR id < ?5) ORDER BY id DESC LIMIT ?6`,
    type,
    severity,
    subject,
    sinceMs,
    beforeId,
    filter.limit,
  );
}

/** Deletes events from before `beforeMs`; how many. */
export function deleteEventsBefore(db: Database, beforeMs: number): number {
  return db.run("DELETE FROM event_logs WHERE at_ms < ?", Math.floor(beforeMs)).changes;
}

/** Events of one type since `sinceMs`, newest first, one per subject. */
export function eventsOfTypeSince(db: Database, options: { type: EventType; sinceMs: number }): OverviewEvent[] {
  return db.all(
    `SELECT MAX(id) AS eventId, at_ms AS atMs, type, severity, subject, message FROM event_logs
     WHERE type = ? AND at_ms >= ? GROUP BY subject ORDER BY eventId DESC LIMIT 100`,
    options.type,
    Math.floor(options.sinceMs),
  );
}
