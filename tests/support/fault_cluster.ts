/**
 * A real demo to which a test does harm: processes are killed or paused by their pid, and the MDM is asked what became of the
 * groups.
 *
 * @module
 */
import { sleep, systemClock } from "@/shared/clock.ts";
import { denoTransport } from "@/shared/transport_deno.ts";
import { DemoDirectory, type DemoProcess, type DemoState, gone } from "@/tests/support/demo_process.ts";
import { busiestOf, groupsOf, type GroupView, healthOf, until, untilHealthy } from "@/tests/support/group_view.ts";
import { NbdClient } from "@/tests/support/nbd_client.ts";

/** One demo in a directory of its own, that may be started again and again. */
export class FaultCluster implements AsyncDisposable {
  readonly directory: DemoDirectory;
  #demo: DemoProcess | undefined;
  #lastState: DemoState | undefined;
  readonly #byHand: Deno.ChildProcess[] = [];
  readonly #paused = new Set<number>();

  /** @param flags of `deno task demo`, but for directory and ports. */
  constructor(...flags: readonly string[]) {
    this.directory = new DemoDirectory(...flags);
  }

  get dir(): string {
    return this.directory.dir;
  }

  /** Starts the demo and gives the time until it was ready, in milliseconds. */
  async start(): Promise<number> {
    const startedMs = systemClock.monotonicMs();
    this.#demo = await this.directory.start();
    return Math.round(systemClock.monotonicMs() - startedMs);
  }

  get demo(): DemoProcess {
    if (!this.#demo) throw new Error("The demo was not started");
    return this.#demo;
  }

  /** `demo.json` as it was last seen. */
  get state(): DemoState {
    this.#lastState = this.demo.state() ?? this.#lastState;
    if (!this.#lastState) throw new Error("The demo is not ready");
    return this.#lastState;
  }

  get uri(): string {
    return `nbd://127.0.0.1:${this.state.sdc[0]!.nbdPort}/demo`;
  }

  get unixUri(): string {
    return `nbd+unix:///demo?socket=${this.state.sdc[0]!.nbdSocket}`;
  }

  /** Pid of `mdm`, `mgmt`, `sds-1`, `sdc-1`, …; 0 while it is away. */
  pidOf(name: string): number {
    const { state } = this;
    if (name === "mdm" || name === "mgmt") return state[name].pid;
    return [...state.sds, ...state.sdc].find((member) => member.name === name)!.pid;
  }

  /** Signals to pid 0 would reach this very process. */
  #pidThere(name: string): number {
    const pid = this.pidOf(name);
    if (pid === 0) throw new Error(`${name} is away`);
    return pid;
  }

  names(): string[] {
    const { sds, sdc } = this.state;
    return ["mdm", "mgmt", ...sds.map(({ name }) => name), ...sdc.map(({ name }) => name)];
  }

  /** kill -9. Resolves when the process is gone. */
  async kill(name: string): Promise<void> {
    const pid = this.#pidThere(name);
    Deno.kill(pid, "SIGKILL");
    await gone([pid]);
  }

  /** kill -9 of several processes at once, and of the supervisor, so that nothing restarts them. */
  async killAll(names: readonly string[] = this.names()): Promise<void> {
    const pids = names.map((name) => this.pidOf(name)).filter((pid) => pid !== 0); // away already
    Deno.kill(this.demo.pid, "SIGKILL");
    for (const pid of pids) Deno.kill(pid, "SIGKILL");
    await this.demo.killSupervisor();
    await gone(pids);
  }

  /** SIGSTOP for a while. */
  async pause(name: string, durationMs: number): Promise<void> {
    const pid = this.#pidThere(name);
    Deno.kill(pid, "SIGSTOP");
    this.#paused.add(pid);
    await sleep(systemClock, durationMs);
    Deno.kill(pid, "SIGCONT");
    this.#paused.delete(pid);
  }

  /** Starts a process by `DIR/run/NAME`, as a person does under `--no-restart`. */
  runByHand(name: string): void {
    this.#byHand.push(
      new Deno.Command("sh", {
        args: ["-c", `exec "$0" >> "$1" 2>&1`, `${this.dir}/run/${name}`, `${this.dir}/log/${name}.log`],
        stdin: "null",
      }).spawn(),
    );
  }

  /** Resolves when `demo.json` names another process than before. */
  async restarted(name: string, pidBefore: number): Promise<void> {
    await until({ limitMs: 30_000, problem: () => `${name} was not started again` }, () => {
      const pid = this.pidOf(name);
      return Promise.resolve(pid !== 0 && pid !== pidBefore);
    });
  }

  async groups(): Promise<GroupView[]> {
    return await groupsOf(this.state.mdm);
  }

  async health(): Promise<string> {
    return await healthOf(this.state.mdm);
  }

  /** The SDS that is primary of most groups. */
  async busiestSds(): Promise<string> {
    return await busiestOf(this.state.mdm);
  }

  /** Milliseconds until every group has all its copies and the MDM says healthy. @throws {Error} after `limitMs`. */
  async healthy(limitMs: number): Promise<number> {
    return await untilHealthy(this.state.mdm, limitMs);
  }

  /** Joins that were finished since the logs began at `marks`, by mode. The processes log at debug level. */
  async joinsSince(marks: LogMarks): Promise<{ delta: number; full: number; failed: number; chunksCopied: number }> {
    const joins = { delta: 0, full: 0, failed: 0, chunksCopied: 0 };
    for (const [name, start] of marks) {
      const text = (await Deno.readTextFile(`${this.dir}/log/${name}.log`)).slice(start);
      for (const line of text.split("\n").filter((line) => line.includes("Join of device"))) {
        if (/mode="?delta/.test(line) && line.includes("finished")) joins.delta++;
        else if (/mode="?full/.test(line) && line.includes("finished")) joins.full++;
        else if (line.includes(" ended: ")) joins.failed++;
        joins.chunksCopied += Number(/finished: (\d+) chunks/.exec(line)?.[1] ?? 0);
      }
    }
    return joins;
  }

  /** Where the logs of the SDSs end now. */
  async logMarks(): Promise<LogMarks> {
    const marks = new Map<string, number>();
    for (const { name } of this.state.sds) {
      marks.set(name, (await Deno.readTextFile(`${this.dir}/log/${name}.log`)).length);
    }
    return marks;
  }

  /** An NBD connection in transmission; the caller closes it. */
  open = async (): Promise<NbdClient> => {
    const connection = await denoTransport.connect({ path: this.state.sdc[0]!.nbdSocket });
    try {
      const client = new NbdClient(connection);
      await client.go("demo");
      return client;
    } catch (error) {
      connection.close();
      throw error;
    }
  };

  async [Symbol.asyncDispose](): Promise<void> {
    for (const pid of this.#paused) signalIfThere(pid, "SIGCONT");
    for (const child of this.#byHand) {
      signalIfThere(child.pid, "SIGTERM");
      await child.status;
    }
    await this.#keepLogs();
    await this.directory[Symbol.asyncDispose]();
  }

  /** `FAULT_LOGS=DIR` keeps the logs of a run, for whoever looks for the cause of a failure. */
  async #keepLogs(): Promise<void> {
    const kept = Deno.env.get("FAULT_LOGS");
    if (!kept) return;
    await Deno.mkdir(kept, { recursive: true });
    for await (const { name } of Deno.readDir(`${this.dir}/log`)) {
      await Deno.copyFile(`${this.dir}/log/${name}`, `${kept}/${this.dir.split("/").at(-1)}-${name}`);
    }
  }
}

/** Length of each SDS's log at some moment. */
export type LogMarks = ReadonlyMap<string, number>;

function signalIfThere(pid: number, signal: Deno.Signal): void {
  try {
    Deno.kill(pid, signal);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}
