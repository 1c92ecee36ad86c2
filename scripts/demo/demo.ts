/**
 * One demo from start to stop. `main.ts` gives it the terminal and the signals; tests give it fake roles.
 *
 * @module
 */
import { StartFailure, Supervisor } from "@/scripts/demo/supervisor.ts";
import {
  ensureJoinToken,
  lastLines,
  lockDirectory,
  logFileOf,
  prepareDirectory,
  readOneTimePassword,
  removeState,
  writeRunFiles,
  writeState,
} from "@/scripts/demo/files.ts";
import { MdmApi } from "@/scripts/demo/mdm_api.ts";
import { DEMO_HOST, type DemoPlan, type Member, membersOf, planProblems, stopOrder } from "@/scripts/demo/plan.ts";
import { readyScreen, type Style } from "@/scripts/demo/screen.ts";
import { type DemoVolume, ensureTopology } from "@/scripts/demo/topology.ts";
import type { ChildCommand } from "@/scripts/demo/child.ts";
import { type RoleCommand, roleCommand } from "@/scripts/roles.ts";
import { sleep, systemClock } from "@/shared/clock.ts";

/** How long the start waits for all copies to be current before it says that they are not. */
const HEALTHY_MS_MAX = 45_000;
const HEALTHY_POLL_MS = 100;
/** How long the processes may take to register, with `--bare`. */
const REGISTERED_MS_MAX = 15_000;
const LOG_LINES_SHOWN = 12;

/** What the demo needs of its surroundings. */
export interface DemoWorld {
  readonly plan: DemoPlan;
  /** The data directory as the user named it. */
  readonly dataDir: string;
  /** The user's own environment: what the plan does not set is passed on. */
  readonly environment: Readonly<Record<string, string>>;
  readonly style: Style;
  readonly print: (text: string) => void;
  /** Aborted by the first Ctrl-C or SIGTERM. */
  readonly stopping: AbortSignal;
  /** Aborted by the second. */
  readonly impatient: AbortSignal;
  /** How a process is started; by default as `scripts/roles.ts` says. */
  readonly commandOf?: (member: Member) => RoleCommand;
}

/** A reason not to start, for the user. */
class Refusal extends Error {
  override readonly name = "Refusal";
}

/** Runs the demo until it is stopped; gives the exit code. */
export async function runDemo(world: DemoWorld): Promise<number> {
  const { plan, print, style } = world;
  const lock = await lockDirectory(plan.dir, world.dataDir);
  if (typeof lock === "string") {
    print(lock);
    return 1;
  }
  using _held = lock;
  const problems = [...planProblems(plan), ...busyPorts(plan)];
  if (problems.length > 0) {
    print(problems.join("\n"));
    return 1;
  }
  await prepareDirectory(plan);
  const run = new DemoRun(world, await ensureJoinToken(plan));
  world.impatient.addEventListener("abort", () => run.supervisor.killAll());
  let exitCode = 0;
  try {
    await run.start();
    await abortOf(world.stopping);
  } catch (error) {
    if (!world.stopping.aborted) {
      print(await failureText(error));
      exitCode = 1;
    }
  }
  print(style.dim(`\nStopping ${membersOf(plan).length} processes …`));
  await run.stop();
  print(style.dim(`Stopped. The data is in ${world.dataDir}.`));
  return exitCode;
}

/** State of one run. */
class DemoRun {
  readonly supervisor: Supervisor;
  readonly #world: DemoWorld;
  readonly #joinToken: string;
  #volume: DemoVolume | null = null;
  #ready = false;
  #writing: Promise<void> = Promise.resolve();

  constructor(world: DemoWorld, joinToken: string) {
    this.#world = world;
    this.#joinToken = joinToken;
    const { print, style, plan } = world;
    this.supervisor = new Supervisor({
      restart: plan.options.restart,
      events: {
        onStarted: () => this.#writeState(),
        onReady: (child) => {
          if (this.#ready) print(style.green(`${timeText()} ${child.name} is back, pid ${child.pid}`));
          this.#writeState();
        },
        onEnded: (name, how, restartMs) => {
          const next = restartMs === undefined ? "it stays down" : `starting it again in ${restartMs / 1000} s`;
          print(style.yellow(`${timeText()} ${name} ${how}; ${next}`));
          this.#writeState();
        },
        onStopping: (names) => print(style.dim(`Waiting for ${names.join(", ")} to sync its data …`)),
      },
    });
  }

  async start(): Promise<void> {
    const { plan, print, style, stopping } = this.#world;
    const beganMs = performance.now();
    print(
      style.dim(
        `Starting MDM, ${plan.sds.length} SDSs, ${plan.sdc.length} SDC${
          plan.sdc.length === 1 ? "" : "s"
        }, MGMT in ${this.#world.dataDir} …`,
      ),
    );
    await writeRunFiles(plan);
    await this.#startMembers([plan.mdm]);
    await this.#startMembers([...plan.sds, ...plan.sdc, plan.mgmt]);
    const api = new MdmApi(plan.mdmUrl);
    await this.#waitUntilRegistered(api);
    if (!plan.options.bare) this.#volume = await ensureTopology(plan, api);
    const healthy = plan.options.bare || await this.#waitUntilHealthy(api);
    if (stopping.aborted) return;
    this.#ready = true;
    await this.#writeState();
    print(readyScreen({
      plan,
      dataDir: this.#world.dataDir,
      volume: this.#volume,
      oneTimePassword: await readOneTimePassword(plan),
      victimPid: this.supervisor.pidOf(plan.sds[0]!.name) ?? 0,
      healthy,
      seconds: (performance.now() - beganMs) / 1000,
    }, style));
  }

  async stop(): Promise<void> {
    this.#ready = false;
    await this.#writing;
    await removeState(this.#world.plan);
    await this.supervisor.stop(stopOrder(this.#world.plan).map((group) => group.map(({ name }) => name)));
  }

  async #startMembers(members: readonly Member[]): Promise<void> {
    const started = Promise.allSettled(members.map((member) => this.supervisor.start(this.#commandOf(member))));
    const outcomes = await Promise.race([started, abortOf(this.#world.stopping)]);
    if (!outcomes) throw new Refusal("The start was interrupted");
    const failed = outcomes.find((outcome) => outcome.status === "rejected");
    if (failed) throw failed.reason;
  }

  #commandOf(member: Member): ChildCommand {
    const { plan, environment, commandOf = (member) => roleCommand(member.role, member.environment) } = this.#world;
    return {
      name: member.name,
      ...commandOf(member),
      environment: {
        ...environment,
        ...member.environment,
        POWERFLEX_JOIN_TOKEN: this.#joinToken,
        POWERFLEX_STOP_WITH_STDIN: "on",
      },
      logFile: logFileOf(plan, member.name),
    };
  }

  async #waitUntilRegistered(api: MdmApi): Promise<void> {
    const { plan, stopping } = this.#world;
    const wanted = [...plan.sds, ...plan.sdc].map(({ name }) => name);
    const deadlineMs = performance.now() + REGISTERED_MS_MAX;
    while (!stopping.aborted) {
      const nodes = await api.clusterNodes();
      const missing = wanted.filter((name) => !nodes.has(name));
      if (missing.length === 0) return;
      if (performance.now() > deadlineMs) {
        throw new Refusal(
          `${missing.join(", ")} did not register at the MDM within ${REGISTERED_MS_MAX / 1000} s; see the logs`,
        );
      }
      await sleep(systemClock, HEALTHY_POLL_MS, stopping);
    }
  }

  async #waitUntilHealthy(api: MdmApi): Promise<boolean> {
    const { stopping } = this.#world;
    const deadlineMs = performance.now() + HEALTHY_MS_MAX;
    while (!stopping.aborted && performance.now() < deadlineMs) {
      const { health, sdcs } = await api.overview();
      if (health === "healthy" && sdcs.every(({ state }) => state === "up")) return true;
      await sleep(systemClock, HEALTHY_POLL_MS, stopping);
    }
    return false;
  }

  /** Keeps `demo.json` current, one write at a time. */
  #writeState(): Promise<void> {
    if (!this.#ready) return Promise.resolve();
    const { plan } = this.#world;
    this.#writing = this.#writing.then(async () => {
      if (!this.#ready) return;
      await writeState(plan, {
        pidOf: (name) => this.supervisor.pidOf(name),
        oneTimePassword: await readOneTimePassword(plan),
        volume: this.#volume,
      });
    });
    return this.#writing;
  }
}

/** One sentence per port that something else uses. */
function busyPorts(plan: DemoPlan): string[] {
  return membersOf(plan).flatMap(({ ports }) => ports).flatMap(({ use, port }) => {
    try {
      Deno.listen({ hostname: DEMO_HOST, port }).close();
      return [];
    } catch (error) {
      if (!(error instanceof Deno.errors.AddrInUse)) throw error;
      return [
        `Port ${port} (${use}) is in use: stop what uses it, or start the demo with --port-offset ${
          plan.options.portOffset + 100
        }`,
      ];
    }
  }).slice(0, 1);
}

async function failureText(error: unknown): Promise<string> {
  if (!(error instanceof StartFailure)) return error instanceof Error ? error.message : String(error);
  const lines = await lastLines(error.logFile, LOG_LINES_SHOWN);
  return [`${error.message}. The end of ${error.logFile}:`, ...lines.map((line) => `  ${line}`)].join("\n");
}

function abortOf(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });
}

function timeText(): string {
  return new Date().toTimeString().slice(0, 8);
}
