/**
 * What an MDM says of the copies that it has made, for tests that harm a cluster. The demo's pool is the first.
 *
 * @module
 */
import { z } from "zod";
import type { MdmAddress } from "@/tests/support/group_view.ts";

const POOL_ID = 1;

const jobSchema = z.object({
  job_id: z.number(),
  kind: z.enum(["return", "rebuild", "drain", "rebalance"]),
  state: z.string(),
  bytes_copied: z.number(),
  tasks_total: z.number(),
  tasks_done: z.number(),
});
/** A rebuild job. */
export type JobView = z.output<typeof jobSchema>;

const statusSchema = z.object({
  state: z.string(),
  progress_percent: z.number(),
  tasks_total: z.number(),
  tasks_done: z.number(),
  bytes_copied: z.number(),
  bytes_total: z.number(),
  rate_mbps: z.number(),
  time_left_seconds: z.number().nullable(),
  pool_health: z.string(),
  jobs: z.array(jobSchema),
});
/** How far the copying of the pool is. */
export type RebuildView = z.output<typeof statusSchema>;

const taskSchema = z.object({ source_sds_id: z.number().nullable(), target_device_id: z.number().nullable() });

/** `/rebuild/status/{pool_id}` of the demo's pool. @throws {Error} without an answer. */
export async function rebuildOf(mdm: MdmAddress): Promise<RebuildView> {
  return statusSchema.parse(await call(mdm, `/rebuild/status/${POOL_ID}`));
}

/** All jobs of the demo's pool, in the MDM's order. */
export async function jobsOf(mdm: MdmAddress): Promise<JobView[]> {
  return (await rebuildOf(mdm)).jobs;
}

/** Between how many different ends the copies of a job went. */
export async function endsOfJob(mdm: MdmAddress, jobId: number): Promise<{ sources: number; targets: number }> {
  const tasks = z.array(taskSchema).parse(await call(mdm, `/api/v1/rebuild/${POOL_ID}/jobs/${jobId}/tasks`));
  const count = (ends: (number | null)[]) => new Set(ends.filter((end) => end !== null)).size;
  return {
    sources: count(tasks.map((task) => task.source_sds_id)),
    targets: count(tasks.map((task) => task.target_device_id)),
  };
}

/** Sets how fast the demo's pool may copy, in MB/s of 10^6 bytes. */
export async function limitRebuild(mdm: MdmAddress, mbps: number): Promise<void> {
  const body = JSON.stringify({ rebuild_rate_limit_mbps: mbps });
  await call(mdm, `/api/v1/rebuild/${POOL_ID}/limit`, { method: "PUT", body });
}

async function call(mdm: MdmAddress, path: string, init: RequestInit = {}): Promise<unknown> {
  const headers = { ...mdm.headers, "Content-Type": "application/json" };
  const answer = await fetch(mdm.url + path, { ...init, headers });
  const text = await answer.text();
  if (!answer.ok) throw new Error(`${path} answered ${answer.status}: ${text}`);
  return JSON.parse(text);
}
