/**
 * `deno task bench:quick`: the product with everything on (two copies, checksums, tokens) against qemu-nbd with one copy and no
 * checks, by fio, interleaved so that both see the same machine. Takes about a minute.
 *
 * @module
 */
import { parseArgs } from "node:util";
import { type FioJob, runFio } from "@/scripts/bench/fio.ts";
import { type BenchServer, startPeer, startProduct } from "@/scripts/bench/servers.ts";
import { compare, comparisonTable, type Measurement } from "@/scripts/bench/summary.ts";

const HELP = `Compares the demo with qemu-nbd by fio: 4 KiB random at depth 32, 1 MiB sequential.

Usage: deno task bench:quick [options]

  --rounds N       interleaved rounds, 1 to 100 (default 3)
  --seconds N      measured time of each run, 1 to 60 (default 2)
  --size MIB       part of the volume that is used, 64 to 4096 MiB (default 512)
  --only TEXT      only jobs whose name contains TEXT, such as "write 4k"
  --tcp            over TCP instead of unix sockets
  --dir DIR        where both keep their data (default a temporary directory)
  --json           print the figures as JSON
`;

const JOBS: readonly FioJob[] = [
  { name: "random write 4k", pattern: "randwrite", blockBytes: 4096, depth: 32 },
  { name: "random read 4k", pattern: "randread", blockBytes: 4096, depth: 32 },
  { name: "write 1M", pattern: "write", blockBytes: 2 ** 20, depth: 4 },
  { name: "read 1M", pattern: "read", blockBytes: 2 ** 20, depth: 4 },
];
/** Fills both, so that no run finds empty space; in pieces that the chunk store likes. */
const FILL: FioJob = { name: "fill", pattern: "write", blockBytes: 64 * 1024, depth: 16 };

const TARGETS = { product: "powerflex", peer: "qemu-nbd" };
const PORT_OFFSET = 37_000;
const PEER_PORT = 47_900;

interface BenchOptions {
  readonly rounds: number;
  readonly seconds: number;
  readonly sizeMib: number;
  readonly jobs: readonly FioJob[];
  readonly tcp: boolean;
  readonly dir: string | undefined;
  readonly json: boolean;
}

function optionsOf(args: readonly string[]): BenchOptions | string {
  const { values } = parseArgs({
    args: [...args],
    options: {
      rounds: { type: "string", default: "3" },
      seconds: { type: "string", default: "2" },
      size: { type: "string", default: "512" },
      only: { type: "string", default: "" },
      tcp: { type: "boolean", default: false },
      dir: { type: "string" },
      json: { type: "boolean", default: false },
      help: { type: "boolean", default: false },
    },
  });
  const jobs = JOBS.filter(({ name }) => name.includes(values.only));
  const [rounds, seconds, sizeMib] = [values.rounds, values.seconds, values.size].map(Number);
  const fits = within(rounds!, 1, 100) && within(seconds!, 1, 60) && within(sizeMib!, 64, 4096) && jobs.length > 0;
  if (values.help || !fits) return HELP;
  const { tcp, json, dir } = values;
  return { rounds: rounds!, seconds: seconds!, sizeMib: sizeMib!, jobs, tcp, dir, json };
}

function within(value: number, min: number, max: number): boolean {
  return Number.isInteger(value) && value >= min && value <= max;
}

async function measure(options: BenchOptions, dir: string, log: (text: string) => void): Promise<Measurement[]> {
  const { rounds, seconds, sizeMib, tcp } = options;
  const sizeBytes = sizeMib * 2 ** 20;
  log("Starting both servers …");
  await using product = await startProduct(`${dir}/demo`, { portOffset: PORT_OFFSET, volumeMib: sizeMib, tcp });
  await using peer = await startPeer(dir, { port: PEER_PORT, volumeMib: sizeMib, tcp });
  const servers: [string, BenchServer][] = [[TARGETS.product, product], [TARGETS.peer, peer]];
  log(`Filling ${sizeMib} MiB of each …`);
  for (const [, { uri }] of servers) await runFio(FILL, { uri, sizeBytes, seconds: 0 });
  const measurements: Measurement[] = [];
  for (let round = 0; round < rounds; round++) {
    log(`Round ${round + 1} of ${rounds} …`);
    for (const job of options.jobs) {
      // The order alternates, so that neither always profits from what the other left behind.
      for (const [target, { uri }] of round % 2 === 0 ? servers : servers.toReversed()) {
        measurements.push({ job: job.name, target, ...await runFio(job, { uri, sizeBytes, seconds }) });
      }
    }
  }
  return measurements;
}

async function main(): Promise<number> {
  const options = optionsOf(Deno.args);
  if (typeof options === "string") {
    console.log(options);
    return Deno.args.includes("--help") ? 0 : 2;
  }
  const dir = await Deno.makeTempDir({
    prefix: "powerflex-bench-",
    ...(options.dir !== undefined && { dir: options.dir }),
  });
  try {
    const measurements = await measure(options, dir, (text) => console.error(text));
    const comparisons = compare(measurements, TARGETS);
    console.log(
      options.json ? JSON.stringify({ comparisons, measurements }, null, 2) : comparisonTable(comparisons, TARGETS),
    );
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
  return 0;
}

if (import.meta.main) Deno.exit(await main());
