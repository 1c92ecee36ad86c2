/**
 * Runs fio against an NBD server and reads its report.
 *
 * @module
 */
import { z } from "zod";

/** One kind of load. */
export interface FioJob {
  readonly name: string;
  readonly pattern: "randwrite" | "randread" | "write" | "read";
  readonly blockBytes: number;
  readonly depth: number;
}

/** Where and how long. */
export interface FioTarget {
  /** `nbd://…` or `nbd+unix://…`. */
  readonly uri: string;
  /** Part of the export that is used, from its beginning. */
  readonly sizeBytes: number;
  /** Time measured; 0 goes over the whole part once. */
  readonly seconds: number;
}

/** What one run achieved. */
export interface FioResult {
  readonly iops: number;
  readonly bytesPerSecond: number;
  readonly p99Us: number;
}

const directionSchema = z.object({
  iops: z.number(),
  bw_bytes: z.number(),
  clat_ns: z.object({ percentile: z.record(z.string(), z.number()).optional() }),
});
const reportSchema = z.object({
  jobs: z.array(z.object({ error: z.number(), read: directionSchema, write: directionSchema })).length(1),
});

/** Runs `job`. @throws {Error} with fio's words when it fails or reports an IO error. */
export async function runFio(job: FioJob, target: FioTarget): Promise<FioResult> {
  const timed = target.seconds > 0 ? ["--time_based", `--runtime=${target.seconds}`, "--ramp_time=500ms"] : [];
  const process = new Deno.Command("fio", {
    args: [
      `--name=${job.name.replaceAll(" ", "-")}`,
      "--ioengine=nbd",
      `--uri=${target.uri}`,
      `--rw=${job.pattern}`,
      `--bs=${job.blockBytes}`,
      `--iodepth=${job.depth}`,
      `--size=${target.sizeBytes}`,
      "--randrepeat=0",
      "--norandommap",
      "--refill_buffers",
      "--output-format=json",
      ...timed,
    ],
    stdout: "piped",
    stderr: "piped",
  });
  const { success, stdout, stderr } = await process.output();
  const output = new TextDecoder().decode(stdout);
  if (!success) {
    throw new Error(`fio failed at ${job.name} on ${target.uri}: ${new TextDecoder().decode(stderr).trim()}`);
  }
  return resultOf(output, job);
}

/** The result in fio's report; fio may write a line of its own before the JSON. */
export function resultOf(output: string, job: FioJob): FioResult {
  const report = reportSchema.parse(JSON.parse(output.slice(output.indexOf("{"))));
  const run = report.jobs[0]!;
  if (run.error !== 0) throw new Error(`fio reports error ${run.error} at ${job.name}`);
  const direction = job.pattern.endsWith("write") ? run.write : run.read;
  return {
    iops: direction.iops,
    bytesPerSecond: direction.bw_bytes,
    p99Us: (direction.clat_ns.percentile?.["99.000000"] ?? 0) / 1000,
  };
}
