/**
 * Table `monitoring_snapshots`: figures of the cluster over time, see `mgmt/core/monitoring.ts`.
 *
 * @module
 */
import type { DatabaseSync } from "node:sqlite";
import type { SnapshotMetrics, SnapshotRow, SnapshotSource } from "@/mgmt/core/monitoring.ts";
import { inTransaction } from "@/mgmt/store/transaction.ts";

/** Points that one chart or answer carries. */
export const SERIES_POINTS_MAX = 1_500;

/** One point of a series. */
export interface SnapshotPoint {
  readonly atMs: number;
  readonly status: string;
  readonly metrics: SnapshotMetrics;
}

/** The table. */
export class Snapshots {
  readonly #database: DatabaseSync;

  constructor(database: DatabaseSync) {
    this.#database = database;
  }

  /** Adds the snapshots of one pass. */
  add(rows: readonly SnapshotRow[]): void {
    inTransaction(this.#database, () => {
      const insert = this.#database.prepare(`
        INSERT INTO monitoring_snapshots (at_ms, source_type, source_id, is_kept_long, status, metrics_json)
        VALUES (?, ?, ?, ?, ?, ?)
      `);
      for (const { atMs, sourceType, sourceId, isKeptLong, status, metrics } of rows) {
        insert.run(Math.floor(atMs), sourceType, sourceId, isKeptLong ? 1 : 0, status, JSON.stringify(metrics));
      }
    });
  }

  /** Points of one source since `sinceMs`, oldest first, the newest {@linkcode SERIES_POINTS_MAX}; `longOnly`: one a minute. */
  series(
    source: { readonly type: SnapshotSource; readonly id: number },
    { sinceMs, longOnly }: { readonly sinceMs: number; readonly longOnly: boolean },
  ): SnapshotPoint[] {
    return this.#database.prepare(`
      SELECT at_ms, status, metrics_json FROM monitoring_snapshots
      WHERE source_type = ? AND source_id = ? AND at_ms >= ? AND is_kept_long >= ? ORDER BY at_ms DESC LIMIT ?
    `).all(source.type, source.id, Math.floor(sinceMs), longOnly ? 1 : 0, SERIES_POINTS_MAX).map((row) => ({
      atMs: Number(row["at_ms"]),
      status: String(row["status"]),
      metrics: JSON.parse(String(row["metrics_json"])) as SnapshotMetrics, // only `add` writes the column
    })).reverse();
  }

  count(): number {
    return Number(this.#database.prepare("SELECT count(*) AS n FROM monitoring_snapshots").get()!["n"]);
  }

  /** Removes what is older than the times given; gives how many. */
  removeOld(before: { readonly everyPassMs: number; readonly keptLongMs: number }): number {
    const remove = this.#database.prepare("DELETE FROM monitoring_snapshots WHERE is_kept_long = ? AND at_ms < ?");
    return Number(remove.run(0, Math.floor(before.everyPassMs)).changes) +
      Number(remove.run(1, Math.floor(before.keptLongMs)).changes);
  }
}
