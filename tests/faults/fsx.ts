/**
 * Random operations over NBD against a mirror, also while storage servers are killed. A run that fails is shrunk on the same cluster
 * and printed as the operations that still fail. `FSX_SEED=N` repeats a run, `FSX_COUNT=N` sets its length.
 *
 * @module
 */
import { assertEquals } from "@std/assert";
import { FaultCluster } from "@/tests/support/fault_cluster.ts";
import {
  describe,
  drawOperations,
  type FsxDevice,
  type FsxOperation,
  runOperations,
  shrink,
} from "@/tests/support/fsx.ts";
import { ConnectionLost, NBD, NBD_FLAG, NbdPipe } from "@/tests/support/nbd_pipe.ts";
import type { NbdClient, RequestFields } from "@/tests/support/nbd_client.ts";

const RANGE = { sizeBytes: 8 << 20, blockBytes: 4096 };
const SEED = Number(Deno.env.get("FSX_SEED") ?? "1");
const COUNT = Number(Deno.env.get("FSX_COUNT") ?? "3000");
const SHRINK_RUNS_MAX = 200;
/** How often a request is sent whose connection ends each time. */
const ATTEMPTS_MAX = 10;

Deno.test("scenario: thousands of random operations over NBD leave every byte as the mirror has it", async () => {
  await using cluster = new FaultCluster();
  await cluster.start();
  await exercise(cluster, SEED);
  console.log(`fsx: ${COUNT} operations of seed ${SEED}, no mismatch`);
});

Deno.test("scenario: random operations over NBD are right while every storage server is killed in turn", async () => {
  await using cluster = new FaultCluster();
  await cluster.start();
  const state = { isDone: false };
  const killing = killInTurn(cluster, state);
  try {
    for (let seed = SEED + 1; !state.isDone; seed++) await exercise(cluster, seed);
  } finally {
    state.isDone = true;
    await killing;
  }
});

async function killInTurn(cluster: FaultCluster, state: { isDone: boolean }): Promise<void> {
  for (const { name } of cluster.state.sds) {
    if (state.isDone) return;
    await cluster.kill(name);
    await cluster.healthy(30_000);
  }
  state.isDone = true;
}

async function exercise(cluster: FaultCluster, seed: number): Promise<void> {
  const device = await NbdFsxDevice.open(cluster.open);
  try {
    const operations = drawOperations(seed, { count: COUNT, range: RANGE });
    const run = (part: readonly FsxOperation[]) => runOperations(part, { device, range: RANGE });
    const problem = await run(operations);
    if (problem === undefined) return;
    const fails = async (part: readonly FsxOperation[]) => await run(part) !== undefined;
    const few = await shrink(operations.slice(0, problem.operationIndex + 1), { fails, runsMax: SHRINK_RUNS_MAX });
    const lines = few.map((operation) => `  ${describe(operation)}`).join("\n");
    assertEquals(problem.text, undefined, `Seed ${seed} fails; so do these ${few.length} operations:\n${lines}`);
  } finally {
    await device.close();
  }
}

/** The range at the start of a volume, over one NBD connection at a time. A request whose connection ends is sent again. */
class NbdFsxDevice implements FsxDevice {
  readonly #open: () => Promise<NbdClient>;
  #pipe: NbdPipe;

  private constructor(open: () => Promise<NbdClient>, pipe: NbdPipe) {
    this.#open = open;
    this.#pipe = pipe;
  }

  static async open(open: () => Promise<NbdClient>): Promise<NbdFsxDevice> {
    return new NbdFsxDevice(open, new NbdPipe(await open()));
  }

  read(offsetBytes: number, lengthBytes: number): Promise<Uint8Array> {
    return this.#request({ type: NBD.read, offsetBytes, lengthBytes });
  }

  async write(offsetBytes: number, data: Uint8Array, fua: boolean): Promise<void> {
    const lengthBytes = data.length;
    await this.#request({ type: NBD.write, flags: fua ? NBD_FLAG.fua : 0, offsetBytes, lengthBytes }, data);
  }

  async zero(offsetBytes: number, lengthBytes: number, fua: boolean): Promise<void> {
    await this.#request({ type: NBD.writeZeroes, flags: fua ? NBD_FLAG.fua : 0, offsetBytes, lengthBytes });
  }

  async trim(offsetBytes: number, lengthBytes: number, fua: boolean): Promise<void> {
    await this.#request({ type: NBD.trim, flags: fua ? NBD_FLAG.fua : 0, offsetBytes, lengthBytes });
  }

  async flush(): Promise<void> {
    await this.#request({ type: NBD.flush });
  }

  async reopen(): Promise<void> {
    await this.#pipe.close();
    this.#pipe = new NbdPipe(await this.#open());
  }

  async close(): Promise<void> {
    await this.#pipe.close();
  }

  async #request(fields: RequestFields, payload?: Uint8Array): Promise<Uint8Array> {
    for (let attempt = 1;; attempt++) {
      try {
        const { errno, data } = await this.#pipe.request(fields, payload?.slice());
        if (errno !== 0) throw new Error(`error ${errno}`);
        return data;
      } catch (error) {
        if (!(error instanceof ConnectionLost) || attempt === ATTEMPTS_MAX) throw error;
        await this.reopen();
      }
    }
  }
}
