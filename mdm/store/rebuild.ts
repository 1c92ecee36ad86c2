/**
 * `rebuild_jobs`, `rebuild_tasks`: copies that are made, and why.
 *
 * @module
 */
import type { JoinMode } from "@/mdm/core/joins.ts";
import type { JobKind } from "@/mdm/core/rebuild.ts";
import type { Database } from "@/mdm/store/database.ts";
import type { DeviceId, PgId, PoolId, SdsId } from "@/shared/ids.ts";

/** Ended jobs that are kept per pool. */
const JOBS_KEPT_MAX = 20;

export interface JobRow {
  readonly jobId: number;
  readonly poolId: PoolId;
  readonly kind: JobKind;
  readonly state: "running" | "done";
  readonly cause: string;
  readonly startedAtMs: number;
  readonly endedAtMs: number | null;
  readonly tasksTotal: number;
  readonly tasksEnded: number;
  readonly bytesCopied: number;
}

export type TaskState = "queued" | "running" | "verifying" | "done" | "dropped";

export interface TaskRow {
  readonly taskId: number;
  readonly jobId: number;
  readonly pgId: PgId;
  readonly state: TaskState;
  readonly sourceSdsId: SdsId | null;
  readonly targetDeviceId: DeviceId | null;
  readonly mode: JoinMode | null;
  readonly bytesCopied: number;
  readonly retryCount: number;
  readonly errorMessage: string;
  readonly endedAtMs: number | null;
}

const SELECT_JOB = `SELECT j.id AS jobId, j.pool_id AS poolId, j.kind, j.state, j.cause, j.started_at_ms AS startedAtMs,
    j.ended_at_ms AS endedAtMs, COUNT(t.id) AS tasksTotal, COUNT(t.ended_at_ms) AS tasksEnded,
    COALESCE(SUM(t.bytes_copied), 0) AS bytesCopied
  FROM rebuild_jobs j LEFT JOIN rebuild_tasks t ON t.job_id = j.id AND t.state <> 'dropped'`;
const SELECT_TASK = `SELECT id AS taskId, job_id AS jobId, pg_id AS pgId, state, source_sds_id AS sourceSdsId,
    target_device_id AS targetDeviceId, mode, bytes_copied AS bytesCopied, retry_count AS retryCount,
    error_message AS errorMessage, ended_at_ms AS endedAtMs
  FROM rebuild_tasks`;

/** Newest first. */
export function jobsOfPool(db: Database, poolId: PoolId): JobRow[] {
  return db.all<JobRow>(`${SELECT_JOB} WHERE j.pool_id = ? GROUP BY j.id ORDER BY j.id DESC`, poolId);
}

export function runningJobs(db: Database): JobRow[] {
  return db.all<JobRow>(`${SELECT_JOB} WHERE j.state = 'running' GROUP BY j.id ORDER BY j.id`);
}

export function insertJob(
  db: Database,
  job: { readonly poolId: PoolId; readonly kind: JobKind; readonly cause: string; readonly atMs: number },
): number {
  const { lastId } = db.run(
    "INSERT INTO rebuild_jobs (pool_id, kind, state, cause, started_at_ms) VALUES (?, ?, 'running', ?, ?)",
    job.poolId,
    job.kind,
    job.cause,
    Math.floor(job.atMs),
  );
  return lastId;
}

/** Ends a job, and forgets old ones of its pool. */
export function endJob(
  db: Database,
  job: { readonly jobId: number; readonly poolId: PoolId; readonly atMs: number },
): void {
  db.run("UPDATE rebuild_jobs SET state = 'done', ended_at_ms = ? WHERE id = ?", Math.floor(job.atMs), job.jobId);
  const old =
    `SELECT id FROM rebuild_jobs WHERE pool_id = ? AND state = 'done' ORDER BY id DESC LIMIT -1 OFFSET ${JOBS_KEPT_MAX}`;
  db.run(`DELETE FROM rebuild_tasks WHERE job_id IN (${old})`, job.poolId);
  db.run(`DELETE FROM rebuild_jobs WHERE id IN (${old})`, job.poolId);
}

/** Tasks that have not ended. */
export function openTasks(db: Database): TaskRow[] {
  return db.all<TaskRow>(`${SELECT_TASK} WHERE ended_at_ms IS NULL ORDER BY id`);
}

export function tasksOfJob(db: Database, jobId: number): TaskRow[] {
  return db.all<TaskRow>(`${SELECT_TASK} WHERE job_id = ? ORDER BY id`, jobId);
}

export function insertTask(db: Database, task: { readonly jobId: number; readonly pgId: PgId }): void {
  db.run("INSERT INTO rebuild_tasks (job_id, pg_id, state) VALUES (?, ?, 'queued')", task.jobId, task.pgId);
}

/** Writes what may change of a task. */
export function updateTask(db: Database, task: TaskRow): void {
  db.run(
    `UPDATE rebuild_tasks SET job_id = ?, state = ?, source_sds_id = ?, target_device_id = ?, mode = ?, bytes_copied = ?,
       retry_count = ?, error_message = ?, ended_at_ms = ? WHERE id = ?`,
    task.jobId,
    task.state,
    task.sourceSdsId,
    task.targetDeviceId,
    task.mode,
    task.bytesCopied,
    task.retryCount,
    task.errorMessage,
    task.endedAtMs === null ? null : Math.floor(task.endedAtMs),
    task.taskId,
  );
}

/** A copy failed; it is tried again. Gives how often it has failed now; 0 if there is no such task. */
export function noteTaskFailure(db: Database, failure: { readonly pgId: PgId; readonly message: string }): number {
  db.run(
    "UPDATE rebuild_tasks SET retry_count = retry_count + 1, error_message = ? WHERE pg_id = ? AND ended_at_ms IS NULL",
    failure.message,
    failure.pgId,
  );
  return db.get<{ count: number }>(
    "SELECT retry_count AS count FROM rebuild_tasks WHERE pg_id = ? AND ended_at_ms IS NULL",
    failure.pgId,
  )?.count ?? 0;
}
