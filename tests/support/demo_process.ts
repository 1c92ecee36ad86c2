/**
 * A real demo as its user runs it: the supervisor in a process of its own, on free ports, in a temporary directory. For tests of
 * the whole; a test of the supervisor alone calls `runDemo` with fake roles.
 *
 * @module
 */
import { parseDemoOptions } from "@/scripts/demo/options.ts";
import { membersOf, planOf } from "@/scripts/demo/plan.ts";
import { ROOT } from "@/scripts/roles.ts";
import { sleep, systemClock } from "@/shared/clock.ts";
import { denoTransport } from "@/shared/transport_deno.ts";
import { NbdClient } from "@/tests/support/nbd_client.ts";

/** What `demo.json` says. */
export interface DemoState {
  readonly ready: boolean;
  readonly mdm: { readonly url: string; readonly pid: number };
  readonly mgmt: {
    readonly url: string;
    readonly pid: number;
    readonly user: string;
    readonly oneTimePassword: string;
  };
  readonly sds: readonly {
    readonly name: string;
    readonly pid: number;
    readonly controlUrl: string;
    readonly mgmtUrl: string;
    readonly dataPort: number;
    readonly dir: string;
  }[];
  readonly sdc: readonly {
    readonly name: string;
    readonly pid: number;
    readonly controlUrl: string;
    readonly mgmtUrl: string;
    readonly devicePort: number;
    readonly nbdPort: number;
    readonly nbdSocket: string;
  }[];
  readonly volume: { readonly id: number; readonly name: string } | null;
}

const POLL_MS = 25;

/** A directory and ports for one demo, which may be started several times in it. */
export class DemoDirectory implements AsyncDisposable {
  readonly dir: string = Deno.makeTempDirSync();
  /** At which all ports were free when this was made. */
  readonly portOffset: number;
  /** What the demo and its roles find in their environment besides that of the test. */
  readonly environment: Record<string, string> = {};
  readonly #flags: readonly string[];
  #running: DemoProcess | undefined;

  /** @param flags of `deno task demo`, but for directory and ports. */
  constructor(...flags: readonly string[]) {
    this.portOffset = freeOffset(flags);
    this.#flags = ["--data-dir", this.dir, "--port-offset", String(this.portOffset), ...flags];
  }

  /** Starts the demo and waits until it is ready. @throws {Error} with what it printed when it is not. */
  async start(...moreFlags: readonly string[]): Promise<DemoProcess> {
    // A killed supervisor leaves its last word; the new one removes it too, but later than a test may look.
    await Deno.remove(`${this.dir}/demo.json`).catch(() => {});
    const process = new Deno.Command(Deno.execPath(), {
      args: ["run", "--quiet", "--allow-all", `${ROOT}/scripts/demo/main.ts`, ...this.#flags, ...moreFlags],
      env: this.environment,
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    const demo = new DemoProcess(this.dir, process);
    this.#running = demo;
    await demo.waitFor(({ ready }) => ready);
    return demo;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#running?.stop();
    await Deno.remove(this.dir, { recursive: true });
  }
}

/** A started demo. */
export class DemoProcess {
  readonly pid: number;
  readonly #dir: string;
  readonly #process: Deno.ChildProcess;
  readonly #printed: Promise<string>;
  #ended = false;
  readonly #done: Promise<Deno.CommandStatus>;

  constructor(dir: string, process: Deno.ChildProcess) {
    this.pid = process.pid;
    this.#dir = dir;
    this.#process = process;
    const texts = [process.stdout, process.stderr].map((stream) => new Response(stream).text());
    this.#printed = Promise.all(texts).then((both) => both.join(""));
    this.#done = process.status.then((status) => {
      this.#ended = true;
      return status;
    });
  }

  /** All that the demo printed, once it has ended. */
  get printed(): Promise<string> {
    return this.#printed;
  }

  /** `demo.json` now; undefined while the demo is not ready. */
  state(): DemoState | undefined {
    try {
      return JSON.parse(Deno.readTextFileSync(`${this.#dir}/demo.json`));
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return undefined;
      throw error;
    }
  }

  /** The first state that `accept` likes. @throws {Error} with what the demo printed if it ends before. */
  async waitFor(accept: (state: DemoState) => boolean): Promise<DemoState> {
    while (!this.#ended) {
      const state = this.state();
      if (state && accept(state)) return state;
      await sleep(systemClock, POLL_MS);
    }
    throw new Error(`The demo ended:\n${await this.#printed}`);
  }

  /** Stops it as Ctrl-C does and gives its exit code. */
  async stop(): Promise<number> {
    if (!this.#ended) this.#process.kill("SIGTERM");
    await this.#printed;
    return (await this.#done).code;
  }

  /** Ends the supervisor alone, as the loss of its terminal's machine would. */
  async killSupervisor(): Promise<void> {
    this.#process.kill("SIGKILL");
    await this.#done;
  }
}

/** Pids of all roles. */
export function pidsOf(state: DemoState): number[] {
  return [state.mdm.pid, state.mgmt.pid, ...state.sds.map(({ pid }) => pid), ...state.sdc.map(({ pid }) => pid)];
}

/** Resolves when none of the processes is there any more. */
export async function gone(pids: readonly number[]): Promise<void> {
  while (pids.some(isRunning)) await sleep(systemClock, POLL_MS);
}

/** True while the process is there; an ended one that nobody has waited for does not count. */
function isRunning(pid: number): boolean {
  try {
    const stat = Deno.readTextFileSync(`/proc/${pid}/stat`);
    return stat.slice(stat.lastIndexOf(")") + 2, stat.lastIndexOf(")") + 3) !== "Z";
  } catch (error) {
    if (error instanceof Deno.errors.NotFound || isGoneWhileRead(error)) return false;
    throw error;
  }
}

/** True for ESRCH, which Deno gives no class or code: a process that ends between opening and reading its file under `/proc`. */
function isGoneWhileRead(error: unknown): boolean {
  return error instanceof Error && error.message.includes("(os error 3)");
}

/** An NBD connection to the demo's volume over the unix socket of its first SDC; the caller closes `connection`. */
export async function openVolume(state: DemoState): Promise<NbdClient> {
  const client = new NbdClient(await denoTransport.connect({ path: state.sdc[0]!.nbdSocket }));
  await client.go("demo");
  return client;
}

/** An offset at which all ports of a demo with `flags` are free now; far from the defaults, where a demo of the developer may run. */
export function freeOffset(flags: readonly string[]): number {
  for (let attempt = 0; attempt < 200; attempt++) {
    const offset = 13_000 + Math.floor(Math.random() * 25_000);
    const parsed = parseDemoOptions([...flags, "--port-offset", String(offset)]);
    if (parsed.kind !== "options") throw new Error(parsed.text);
    const plan = planOf(parsed.options, { dir: "/", temporaryDir: "/", hostIdentity: {} });
    if (membersOf(plan).flatMap(({ ports }) => ports).every(({ port }) => isFree(port))) return offset;
  }
  throw new Error("No 200 offsets were free");
}

function isFree(port: number): boolean {
  try {
    Deno.listen({ hostname: "127.0.0.1", port }).close();
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.AddrInUse) return false;
    throw error;
  }
}
