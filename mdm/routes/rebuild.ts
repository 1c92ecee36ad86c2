/**
 * `/rebuild`, and `/api/v1/rebuild`: how far the copying of a pool is, and what an operator wants of it.
 *
 * @module
 */
import { OpenAPIHono } from "@hono/zod-openapi";
import { z } from "zod";
import type { MdmContext } from "@/mdm/context.ts";
import { controlRebuild, limitRebuild, type RebuildStatus, rebuildStatus } from "@/mdm/operations/rebuild_control.ts";
import { poolViewOf } from "@/mdm/operations/pool_space.ts";
import { poolIdField, timeShape } from "@/mdm/routes/fields.ts";
import { HEALTH_WORDS, healthWord } from "@/mdm/routes/pools.ts";
import { tasksOfJob } from "@/mdm/store/rebuild.ts";
import { addRoute } from "@/shared/http/api.ts";
import { StorageError } from "@/shared/errors.ts";

const tag = "Rebuild";

const poolParams = z.object({ pool_id: poolIdField });
const jobParams = z.object({ pool_id: poolIdField, job_id: z.coerce.number().int().positive() });
/** In MB/s of 10^6 bytes. */
const limitField = z.object({ rebuild_rate_limit_mbps: z.number().int().min(1).max(1_000_000) });

const jobShape = z.object({
  job_id: z.int(),
  kind: z.enum(["return", "rebuild", "drain", "rebalance"]),
  state: z.enum(["running", "done"]),
  cause: z.string(),
  started_at: timeShape,
  ended_at: timeShape.nullable(),
  tasks_total: z.int(),
  tasks_done: z.int(),
  bytes_copied: z.int(),
}).meta({ id: "RebuildJob" });
const taskShape = z.object({
  task_id: z.int(),
  pg_id: z.int(),
  state: z.enum(["queued", "running", "verifying", "done", "dropped"]),
  mode: z.enum(["delta", "full"]).nullable(),
  source_sds_id: z.int().nullable(),
  target_device_id: z.int().nullable(),
  bytes_copied: z.int(),
  retry_count: z.int(),
  error_message: z.string(),
}).meta({ id: "RebuildTask" });
const statusShape = z.object({
  pool_id: z.int(),
  state: z.enum(["idle", "in_progress", "stalled", "completed", "failed"]),
  control: z.enum(["run", "paused", "cancelled"]),
  progress_percent: z.number(),
  tasks_total: z.int(),
  tasks_done: z.int(),
  bytes_copied: z.int(),
  bytes_total: z.int(),
  rate_mbps: z.number(),
  rebuild_rate_limit_mbps: z.int(),
  time_left_seconds: z.int().nullable(),
  pool_health: healthWord,
  jobs: z.array(jobShape),
}).meta({ id: "RebuildStatus" });
const changeShape = z.object({ status: z.string(), message: z.string(), rebuild: statusShape });

/** The predecessor's paths. */
export function rebuildRoutes(context: MdmContext): OpenAPIHono {
  const routes = new OpenAPIHono();
  addControl(routes, { context, path: "/start/{pool_id}", control: "run", status: "started" });
  addControl(routes, { context, path: "/cancel/{pool_id}", control: "cancelled", status: "cancelled" });
  addStatus(routes, { context, path: "/status/{pool_id}" });
  return routes;
}

/** The native ones: also pause, limit and single tasks. */
export function nativeRebuildRoutes(context: MdmContext): OpenAPIHono {
  const routes = new OpenAPIHono();
  addStatus(routes, { context, path: "/{pool_id}" });
  addControl(routes, { context, path: "/{pool_id}/pause", control: "paused", status: "paused" });
  addControl(routes, { context, path: "/{pool_id}/resume", control: "run", status: "started" });
  addControl(routes, { context, path: "/{pool_id}/cancel", control: "cancelled", status: "cancelled" });
  addRoute(routes, {
    method: "put",
    path: "/{pool_id}/limit",
    tag,
    summary: "Changes how fast copies of a pool may be made",
    params: poolParams,
    body: limitField,
    answer: statusShape,
    refusals: [404],
    handle: ({ params, body }) => {
      limitRebuild(context, params.pool_id, body.rebuild_rate_limit_mbps);
      return statusJson(context, rebuildStatus(context, params.pool_id));
    },
  });
  addRoute(routes, {
    method: "get",
    path: "/{pool_id}/jobs/{job_id}/tasks",
    tag,
    summary: "Lists the copies of a job",
    params: jobParams,
    answer: z.array(taskShape),
    refusals: [404],
    handle: ({ params }) => tasksJson(context, params),
  });
  return routes;
}

const MESSAGES = {
  run: "Copies are made as they are wanted",
  paused: "Copies stand still until they are resumed",
  cancelled: "Copies that were being made are given up; none is begun until the rebuild is started again",
} as const;

function addControl(
  routes: OpenAPIHono,
  options: { context: MdmContext; path: string; control: keyof typeof MESSAGES; status: string },
): void {
  const { context, path, control, status } = options;
  addRoute(routes, {
    method: "post",
    path,
    tag,
    summary: MESSAGES[control],
    params: poolParams,
    answer: changeShape,
    refusals: [404],
    handle: ({ params }) => {
      controlRebuild(context, params.pool_id, control);
      const rebuild = statusJson(context, rebuildStatus(context, params.pool_id));
      return { status, message: MESSAGES[control], rebuild };
    },
  });
}

function addStatus(routes: OpenAPIHono, options: { context: MdmContext; path: string }): void {
  const { context, path } = options;
  addRoute(routes, {
    method: "get",
    path,
    tag,
    summary: "Shows how far the copying of a pool is",
    params: poolParams,
    answer: statusShape,
    refusals: [404],
    handle: ({ params }) => statusJson(context, rebuildStatus(context, params.pool_id)),
  });
}

function statusJson(context: MdmContext, status: RebuildStatus): z.input<typeof statusShape> {
  const { pool, timeLeftMs } = status;
  return {
    pool_id: pool.poolId,
    state: status.state,
    control: pool.rebuildControl,
    progress_percent: status.progressPercent,
    tasks_total: status.tasksTotal,
    tasks_done: status.tasksDone,
    bytes_copied: Math.round(status.bytesCopied),
    bytes_total: Math.round(status.bytesTotal),
    rate_mbps: Math.round(status.bytesPerSecond / 1e4) / 100,
    rebuild_rate_limit_mbps: pool.rebuildRateLimitMbps,
    time_left_seconds: timeLeftMs === undefined ? null : Math.ceil(timeLeftMs / 1000),
    pool_health: HEALTH_WORDS[poolViewOf(context, pool.poolId).health],
    jobs: status.jobs.map((job) => ({
      job_id: job.jobId,
      kind: job.kind,
      state: job.state,
      cause: job.cause,
      started_at: new Date(job.startedAtMs).toISOString(),
      ended_at: job.endedAtMs === null ? null : new Date(job.endedAtMs).toISOString(),
      tasks_total: job.tasksTotal,
      tasks_done: job.tasksEnded,
      bytes_copied: job.bytesCopied,
    })),
  };
}

function tasksJson(context: MdmContext, params: z.output<typeof jobParams>): z.input<typeof taskShape>[] {
  const job = rebuildStatus(context, params.pool_id).jobs.find(({ jobId }) => jobId === params.job_id);
  if (job === undefined) {
    throw new StorageError("not_found", `There is no rebuild job ${params.job_id} of pool ${params.pool_id}`);
  }
  return tasksOfJob(context.db, job.jobId).map((task) => ({
    task_id: task.taskId,
    pg_id: task.pgId,
    state: task.state,
    mode: task.mode,
    source_sds_id: task.sourceSdsId,
    target_device_id: task.targetDeviceId,
    bytes_copied: context.live.joins.get(task.pgId)?.bytesCopied ?? task.bytesCopied,
    retry_count: task.retryCount,
    error_message: task.errorMessage,
  }));
}
