/**
 * Table `topology_cache`: the last overview that the MDM gave, so that a restarted MGMT can show the last known state while the
 * MDM is away.
 *
 * @module
 */
import type { DatabaseSync } from "node:sqlite";
import { overviewSchema } from "@/shared/api/overview.ts";
import type { Snapshot } from "@/mgmt/core/cluster_view.ts";

/** The table: one row at most. */
export class TopologyCache {
  readonly #database: DatabaseSync;

  constructor(database: DatabaseSync) {
    this.#database = database;
  }

  save(snapshot: Snapshot): void {
    this.#database.prepare(`
      INSERT INTO topology_cache (id, taken_at_ms, overview_json) VALUES (1, ?1, ?2)
      ON CONFLICT (id) DO UPDATE SET taken_at_ms = ?1, overview_json = ?2
    `).run(Math.floor(snapshot.takenAtMs), JSON.stringify(snapshot.overview));
  }

  /** What was saved; undefined when nothing was, or an older version of this program saved another shape. */
  load(): Snapshot | undefined {
    const row = this.#database.prepare("SELECT taken_at_ms, overview_json FROM topology_cache").get();
    if (!row) return undefined;
    const parsed = overviewSchema.safeParse(JSON.parse(String(row["overview_json"])));
    return parsed.success ? { overview: parsed.data, takenAtMs: Number(row["taken_at_ms"]) } : undefined;
  }
}
