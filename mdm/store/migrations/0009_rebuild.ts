/**
 * Copies that are made: jobs and their tasks, and how fast a pool may copy.
 *
 * @module
 */
import type { Migration } from "@/shared/migrate.ts";

export const REBUILD: Migration = {
  version: 9,
  name: "rebuild",
  sql: `
ALTER TABLE storage_pools ADD COLUMN rebuild_rate_limit_mbps INTEGER NOT NULL DEFAULT 100;
-- paused: copies stand still. cancelled: none is made until an operator starts it again.
ALTER TABLE storage_pools ADD COLUMN rebuild_control TEXT NOT NULL DEFAULT 'run'
  CHECK (rebuild_control IN ('run', 'paused', 'cancelled'));

-- Why copies of a pool are made: those of one kind, from the first that is wanted until none is.
CREATE TABLE rebuild_jobs (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  pool_id INTEGER NOT NULL REFERENCES storage_pools (id),
  kind TEXT NOT NULL CHECK (kind IN ('return', 'rebuild', 'drain', 'rebalance')),
  state TEXT NOT NULL CHECK (state IN ('running', 'done')),
  cause TEXT NOT NULL,
  started_at_ms INTEGER NOT NULL,
  ended_at_ms INTEGER
) STRICT;
CREATE UNIQUE INDEX rebuild_jobs_running ON rebuild_jobs (pool_id, kind) WHERE state = 'running';

-- One copy of one group. source and target are null while it is queued.
CREATE TABLE rebuild_tasks (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  job_id INTEGER NOT NULL REFERENCES rebuild_jobs (id),
  pg_id INTEGER NOT NULL REFERENCES pg (id),
  state TEXT NOT NULL CHECK (state IN ('queued', 'running', 'verifying', 'done', 'dropped')),
  source_sds_id INTEGER,
  target_device_id INTEGER,
  mode TEXT,
  bytes_copied INTEGER NOT NULL DEFAULT 0,
  retry_count INTEGER NOT NULL DEFAULT 0,
  error_message TEXT NOT NULL DEFAULT '',
  ended_at_ms INTEGER
) STRICT;
CREATE UNIQUE INDEX rebuild_tasks_open ON rebuild_tasks (pg_id) WHERE ended_at_ms IS NULL;
CREATE INDEX rebuild_tasks_by_job ON rebuild_tasks (job_id);
`,
};
