/**
 * fio with verification against an NBD export, and the longest latency that its logs tell.
 *
 * @module
 */
import { z } from "zod";
import { result } from "@/tests/support/programs.ts";

/** What fio made of it. */
export interface FioVerdict {
  readonly ios: number;
  /** Longest time from submission to completion of one request, of its latency logs, in ms. */
  readonly longestMs: number;
  readonly seconds: number;
}

const MIB = 1 << 20;
const directionSchema = z.object({ total_ios: z.number() });
const reportSchema = z.object({
  jobs: z.array(z.object({
    error: z.number(),
    job_runtime: z.number(),
    read: directionSchema,
    write: directionSchema,
  })),
});

/**
 * Two connections: one writes and verifies 4 KiB blocks at random, the other pieces of 512 B to 1 MiB one behind the other, at any
 * byte. Not at random too: fio loses track of pieces of any size that overlap, and then finds fault with every server.
 */
export const TWO_CONNECTIONS = [
  "[aligned]",
  "rw=randrw",
  "bs=4k",
  "size=256M",
  "verify_backlog=256",
  "[unaligned]",
  "rw=write",
  "offset=256M",
  "size=64M",
  "bsrange=512-1M",
  "bs_unaligned=1",
];

/**
 * Runs `jobs` (lines of a job file) at depth 32 over and over for `seconds`; everything written is read back and compared
 * meanwhile. @throws {Error} with fio's words on an IO error or a mismatch.
 */
export async function fioVerify(
  jobs: readonly string[],
  options: { readonly uri: string; readonly seconds: number },
): Promise<FioVerdict> {
  const directory = await Deno.makeTempDir();
  try {
    const global = [
      "[global]",
      "ioengine=nbd",
      `uri=${options.uri}`,
      "iodepth=32",
      "verify=crc32c",
      "verify_fatal=1",
      "verify_state_save=0",
      "randrepeat=0",
      "time_based=1",
      `runtime=${options.seconds}`,
      `write_lat_log=${directory}/lat`,
      "log_avg_msec=1000", // one line a second, with that second's longest: else half an hour makes gigabytes
      "log_max_value=1",
    ];
    await Deno.writeTextFile(`${directory}/job.fio`, [...global, ...jobs].join("\n") + "\n");
    const ended = await result("fio", ["--output-format=json", `${directory}/job.fio`], {
      limitMs: (options.seconds + 120) * 1000,
      cwd: directory,
    });
    if (ended.code !== 0) {
      throw new Error(`fio ended with ${ended.code}:\n${ended.stderr}\n${ended.stdout.slice(0, 2000)}`);
    }
    const report = reportSchema.parse(JSON.parse(ended.stdout.slice(ended.stdout.indexOf("{"))));
    const failed = report.jobs.filter(({ error }) => error !== 0);
    if (failed.length > 0) throw new Error(`fio reports errors:\n${ended.stdout.slice(0, 4 * MIB)}`);
    return {
      ios: report.jobs.reduce((sum, job) => sum + job.read.total_ios + job.write.total_ios, 0),
      longestMs: await longestLatencyMs(directory),
      seconds: Math.max(...report.jobs.map((job) => job.job_runtime)) / 1000,
    };
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

/** Lines of `lat_lat.N.log` are `time of completion in ms, latency in ns, …`. */
async function longestLatencyMs(directory: string): Promise<number> {
  let longestNs = 0;
  for await (const { name } of Deno.readDir(directory)) {
    if (!/_lat\.\d+\.log$/.test(name) || /_[sc]lat\./.test(name)) continue;
    for (const line of (await Deno.readTextFile(`${directory}/${name}`)).split("\n")) {
      longestNs = Math.max(longestNs, Number(line.split(",")[1] ?? 0));
    }
  }
  return Math.round(longestNs / 1e6);
}
