/**
 * Hundreds of kills: every round ends random processes of a cluster by kill -9 under a load that knows every byte.
 *
 * `KILL_ROUNDS=N` sets how many (20 without it), `KILL_SEED=TEXT` which, `KILL_STATE=FILE` keeps what was done so that a run
 * that was interrupted goes on and adds up. Every 20 rounds the cluster is new.
 *
 * @module
 */
import { assert } from "@std/assert";
import { z } from "zod";
import { FaultCluster } from "@/tests/support/fault_cluster.ts";
import { type KillRound, killRound, RETURN_AT_ONCE, stallFigures } from "@/tests/support/kill_rounds.ts";
import { VerifiedLoad } from "@/tests/support/verified_load.ts";

const ROUNDS = Number(Deno.env.get("KILL_ROUNDS") ?? 20);
const SEED = Deno.env.get("KILL_SEED") ?? "kill";
const STATE_FILE = Deno.env.get("KILL_STATE");
/** Longest stall of a failover. */
const STALL_MS_MAX = 8000;
const ROUNDS_PER_CLUSTER = 20;

const stateSchema = z.object({
  seed: z.string(),
  /** Operations of clusters that have ended. */
  operations: z.number(),
  rounds: z.array(z.object({
    kind: z.enum(["sds", "sdc", "mdm", "mgmt", "two sds", "sds and mdm", "all sds", "supervisor"]),
    names: z.array(z.string()),
    stallMs: z.number(),
  })),
});

Deno.test(`scenario: random processes are killed ${ROUNDS} times under load, and not one byte is wrong`, async () => {
  const state = await readState();
  while (state.rounds.length < ROUNDS) {
    const count = Math.min(ROUNDS_PER_CLUSTER, ROUNDS - state.rounds.length);
    state.operations += await roundsOnNewCluster(state.rounds, count);
    await writeState(state);
  }
  const figures = stallFigures(state.rounds);
  console.log(`${state.rounds.length} rounds of seed ${SEED}, ${state.operations} operations, no mismatch:`, figures);
  assert(figures.maxMs < STALL_MS_MAX, `longest stall ${figures.maxMs} ms`);
});

/** Appends to `rounds`, and gives how many operations the load did. */
async function roundsOnNewCluster(rounds: KillRound[], count: number): Promise<number> {
  await using cluster = new FaultCluster();
  Object.assign(cluster.directory.environment, RETURN_AT_ONCE);
  await cluster.start();
  const load = new VerifiedLoad({ open: cluster.open, sizeBytes: 64 << 20, seed: rounds.length + 1, depth: 8 });
  load.start();
  for (let round = 0; round < count; round++) {
    const done = await killRound(cluster, { load, seed: SEED, index: rounds.length });
    rounds.push(done);
    console.log(`round ${rounds.length}:`, done.kind, done.names.join(" "), `${done.stallMs} ms`);
  }
  await load.finish();
  await load.flush();
  await load.verify();
  return load.figures.operations;
}

async function readState(): Promise<z.output<typeof stateSchema>> {
  const fresh = { seed: SEED, operations: 0, rounds: [] };
  if (STATE_FILE === undefined) return fresh;
  const text = await Deno.readTextFile(STATE_FILE).catch(() => undefined);
  const state = text === undefined ? fresh : stateSchema.parse(JSON.parse(text));
  assert(state.seed === SEED, `${STATE_FILE} is of seed ${state.seed}, not of ${SEED}`);
  return state;
}

async function writeState(state: z.output<typeof stateSchema>): Promise<void> {
  if (STATE_FILE === undefined) return;
  await Deno.writeTextFile(`${STATE_FILE}.new`, JSON.stringify(state));
  await Deno.rename(`${STATE_FILE}.new`, STATE_FILE);
}
