/**
 * One simulated run: a cluster is made, used and hurt under a seed, healed, and then everything it says is checked.
 *
 * | phase | what happens |
 * | --- | --- |
 * | set up | domain, pool, SDSs, volumes through the real APIs |
 * | storm | the workload runs while the faults of the plan come and go |
 * | heal | every fault is over; all requests are answered and all groups have their copies within a limit (I24) |
 * | look | everything is read and compared by the oracle; members are compared byte by byte (I14) |
 *
 * After each event, at most one device may serve each group (I3).
 *
 * @module
 */
import { TIMES } from "@/shared/constants.ts";
import { assert, type ErrorCode } from "@/shared/errors.ts";
import { ALL_GUARDS, type GuardName, type Guards } from "@/shared/guards.ts";
import { startLogging } from "@/shared/log.ts";
import { Cluster } from "@/tests/sim/cluster.ts";
import { differencesOfMembers, incompleteGroups, lostGroups, ServingWatch } from "@/tests/sim/cluster_checks.ts";
import { EventLog } from "@/tests/sim/event_log.ts";
import { DAMAGES, endOf, type Fault, faultPlan, schedule } from "@/tests/sim/faults.ts";
import { Oracle } from "@/tests/sim/oracle.ts";
import { World } from "@/tests/sim/process.ts";
import { SdcHost } from "@/tests/sim/sdc_host.ts";
import { type Scenario, SCENARIOS } from "@/tests/sim/scenarios.ts";
import { type DiskHarm, SdsHost } from "@/tests/sim/sds_host.ts";
import { SeededRandom } from "@/tests/sim/seeded_random.ts";
import { VirtualTime } from "@/tests/sim/virtual_time.ts";
import { Workload } from "@/tests/sim/workload.ts";
import { VOLUME_BYTES } from "@/tests/sim/cluster.ts";

/** Requests of each application. */
const REQUEST_COUNT = 400;
/** Faults begin within so many ms of true time after the workload. */
const STORM_MS = 24_000;
/** True time from the end of the last fault in which the cluster must be whole and every request answered, in ms. */
const HEAL_MS_MAX = 180_000;
/** True time between two looks whether the cluster is whole, in ms. */
const LOOK_MS = 500;
/** True time for reading everything, in ms. */
const LOOK_MS_MAX = 60_000;
const SET_UP_MS_MAX = 90_000;
/** Regions that stay set, of which each run takes one: few, so that clearing is reached. */
const REGIONS_KEPT_SET = [0, 1, 4, 64] as const;

/** How to run. */
export interface RunOptions {
  readonly seed: number;
  /** Guards of the protocol that are switched off. */
  readonly without?: readonly GuardName[];
  /** Name of a story whose faults are taken instead of drawn ones. */
  readonly scenario?: string | undefined;
  /** Gets every line of the log as it is written. */
  readonly print?: ((line: string) => void) | undefined;
  /** Gets what the processes log, with the true time of the run. */
  readonly printLogs?: ((line: string) => void) | undefined;
}

/** What a run showed. */
export interface Verdict {
  readonly seed: number;
  /** Equal for equal runs. */
  readonly hash: string;
  /** Empty if all went well. */
  readonly problems: readonly string[];
  readonly plan: readonly Fault[];
  readonly answeredCount: number;
  readonly eventCount: number;
  /** True time that passed in the run, in ms. */
  readonly virtualMs: number;
}

function guardsWithout(names: readonly GuardName[]): Guards {
  return { ...ALL_GUARDS, ...Object.fromEntries(names.map((name) => [name, false])) };
}

/** Runs one seed. @throws {Error} when a process throws out of a timer, which no process may. */
export async function runSeed(options: RunOptions): Promise<Verdict> {
  const time = new VirtualTime();
  const random = new SeededRandom(`seed-${options.seed}`);
  const log = new EventLog({ nowMs: () => time.nowMs, print: options.print });
  const world = new World({ time, random: random.fork("wire"), log });
  const scenario = scenarioNamed(options.scenario);
  const drawn = {
    sdcCount: random.integer(1, 2),
    sharedVolume: random.chance(0.5),
    regionsKeptSet: random.pick(REGIONS_KEPT_SET),
  };
  const cluster = new Cluster({
    world,
    random,
    sdcCount: scenario?.sharedVolume ? 2 : drawn.sdcCount,
    sharedVolume: scenario?.sharedVolume ?? drawn.sharedVolume,
    regionsKeptSet: scenario?.regionsKeptSet ?? drawn.regionsKeptSet,
    guards: guardsWithout(options.without ?? []),
    times: { ...TIMES, ...scenario?.times },
  });
  const run = new Run({ time, random, log, world, cluster, scenario });
  const { printLogs } = options;
  if (printLogs !== undefined) {
    startLogging({
      logLevel: "debug",
      logFormat: "json",
      write: (line) => printLogs(`${time.nowMs.toFixed(3).padStart(11)}   ${withoutTime(line)}`),
    });
  }
  try {
    await run.all();
    return {
      seed: options.seed,
      hash: log.hash(),
      problems: run.problems,
      plan: run.plan,
      answeredCount: run.answeredCount,
      eventCount: time.ranCount,
      virtualMs: time.nowMs,
    };
  } finally {
    cluster.close();
  }
}

/** @throws {Error} naming the scenarios, if there is none of that name. */
function scenarioNamed(name: string | undefined): Scenario | undefined {
  if (name === undefined) return undefined;
  const scenario = SCENARIOS[name];
  if (scenario !== undefined) return scenario;
  throw new Error(`Cannot run scenario ${name}: there are ${Object.keys(SCENARIOS).join(", ")}`);
}

/** A line of the log without the time of this host, which means nothing in a run. */
function withoutTime(line: string): string {
  const { "@timestamp": _, ...record } = JSON.parse(line);
  return JSON.stringify(record);
}

interface RunParts {
  readonly time: VirtualTime;
  readonly random: SeededRandom;
  readonly log: EventLog;
  readonly world: World;
  readonly cluster: Cluster;
  readonly scenario: Scenario | undefined;
}

class Run {
  readonly problems: string[] = [];
  plan: readonly Fault[] = [];
  readonly #parts: RunParts;
  readonly #oracle = new Oracle();
  readonly #workloads: Workload[] = [];
  readonly #watch: ServingWatch;
  #number = 0;
  #hasFailed = false;

  constructor(parts: RunParts) {
    this.#parts = parts;
    const { cluster, log } = parts;
    this.#watch = new ServingWatch(cluster, {
      onLoss: (pgIndex) => {
        log.note(`unflushed writes of group ${pgIndex} may be lost`);
        this.#oracle.lost(({ volumeId, blockIndex }) => cluster.pgIndexOf(volumeId, blockIndex) === pgIndex);
      },
    });
  }

  get answeredCount(): number {
    return this.#workloads.reduce((count, workload) => count + workload.answeredCount, 0);
  }

  async all(): Promise<void> {
    const { cluster } = this.#parts;
    if (!await this.#await(cluster.setUp(), { what: "the set-up", limitMs: SET_UP_MS_MAX })) return;
    const healed = await this.#storm();
    this.problems.push(...this.#watch.problems);
    for (const workload of this.#workloads) this.problems.push(...workload.failures);
    if (!healed) this.problems.push(...this.#oracle.problems());
    else await this.#look();
  }

  /** True if the cluster came back whole and answered everything. */
  async #storm(): Promise<boolean> {
    const { time, random, log, world, cluster, scenario } = this.#parts;
    const fromMs = time.nowMs + 1_000;
    const where = { cast: cluster.cast, fromMs };
    const plan = this.plan = scenario?.plan(random.fork("faults"), where) ??
      faultPlan(random.fork("faults"), { ...where, toMs: fromMs + STORM_MS });
    const tolerated = toleratedErrors(plan);
    for (const { volumeId, sdc, changes } of cluster.mappings) {
      const workload = new Workload({
        time,
        random: random.fork(`workload/${sdc.name}`),
        hotRandom: random.fork(`hot/${volumeId}`),
        log,
        oracle: this.#oracle,
        client: sdc.name,
        volumeId,
        sizeBytes: VOLUME_BYTES,
        changes,
        requestCount: REQUEST_COUNT,
        weights: scenario?.weights ?? {},
        hotPlaceCount: scenario?.hotPlaceCount,
        flushUntilMs: fromMs + (scenario?.flushForMs ?? Infinity),
        tolerates: (code) => tolerated.has(code) || (OF_LOST_GROUPS.has(code) && lostGroups(cluster) > 0),
        device: () => sdc.device(volumeId),
        nextNumber: () => ++this.#number,
      });
      this.#workloads.push(workload);
      workload.start();
    }
    schedule(plan, {
      world,
      process: (name) => cluster.host(name).process,
      kill: (name, how) => this.#kill(name, how),
      stop: (name) => void this.#sds(name).stop(),
      killInDisk: (name) => this.#sds(name).crashSoon(),
      spareDisk: (name) => this.#sds(name).spareDisks(),
      restart: (name) => cluster.host(name).start(),
      harmDisk: (name, harm) => this.#harmDisk(name, harm),
      backUpMdm: () => cluster.mdm.backUp(),
      rollBackMdm: () => cluster.mdm.rollBack(),
      setService: (name, word) => void cluster.setService(name, word),
    });
    await this.#runUntil({ limitMs: endOf(this.plan) + 1 });
    log.note("all faults are over");
    let incomplete = incompleteGroups(cluster);
    const answered = () => this.#workloads.every((workload) => workload.finished);
    const look = () => {
      incomplete = incompleteGroups(cluster);
      time.after(LOOK_MS, look);
    };
    look();
    const done = () => incomplete.length === 0 && answered();
    if (await this.#runUntil({ limitMs: time.nowMs + HEAL_MS_MAX, done })) return true;
    // Some damage is for an operator to repair: then nothing is asked for but that no answer was wrong.
    if (needsOperator(plan) || lostGroups(cluster) > 0) return false;
    const unanswered = this.#workloads.flatMap((workload) => workload.unanswered());
    const examples = [...incomplete.slice(0, 3), ...unanswered.slice(0, 3)].join("; ");
    this.problems.push(
      `I24: ${HEAL_MS_MAX} ms after the last fault ${incomplete.length} groups are not complete, ` +
        `${unanswered.length} requests are not answered: ${examples}`,
    );
    return false;
  }

  async #look(): Promise<void> {
    const reading = Promise.all(this.#workloads.map((workload) => workload.readEverything()));
    await this.#await(reading, { what: "reading everything", limitMs: LOOK_MS_MAX });
    this.problems.push(...this.#oracle.problems());
    const comparing = differencesOfMembers(this.#parts.cluster).then((found) => {
      const isRead = (problem: string) => !problem.startsWith("C5:");
      this.problems.push(...(isDamaged(this.plan) ? found.filter(isRead) : found));
    });
    await this.#await(comparing, { what: "comparing the members", limitMs: LOOK_MS_MAX });
  }

  #sds(name: string): SdsHost {
    const host = this.#parts.cluster.host(name);
    assert(host instanceof SdsHost, `${name} is an SDS`);
    return host;
  }

  /** A device is only failed while every group has all its copies: two losses at once are more than two copies bear. */
  #harmDisk(name: string, harm: DiskHarm): void {
    const { cluster, log } = this.#parts;
    const fails = harm.kind === "eio_write" || harm.kind === "eio_sync";
    if (fails && (this.#hasFailed || incompleteGroups(cluster).length > 0)) return log.note(`${name} is spared`);
    if (this.#sds(name).harmDisk(harm)) this.#hasFailed ||= fails;
  }

  #kill(name: string, how: { readonly hostDown: boolean }): void {
    const { cluster } = this.#parts;
    const host = cluster.host(name);
    if (!host.process.running && !(how.hostDown && host instanceof SdsHost)) return;
    host.crash(how);
    if (!(host instanceof SdcHost)) return;
    for (const [index, { sdc }] of cluster.mappings.entries()) {
      if (sdc === host) this.#workloads[index]!.deviceLost();
    }
  }

  async #runUntil(options: { readonly limitMs: number; readonly done?: () => boolean }): Promise<boolean> {
    const { time } = this.#parts;
    return await time.run({
      limitMs: options.limitMs,
      done: () => {
        this.#watch.look(time.nowMs);
        return options.done?.() ?? false;
      },
    });
  }

  /** Runs the world until `work` settles; what it throws, or that it does not settle, is a problem. */
  async #await(work: Promise<unknown>, options: { readonly what: string; readonly limitMs: number }): Promise<boolean> {
    const { time } = this.#parts;
    let outcome: "done" | "failed" | undefined;
    work.then(() => outcome = "done", (error) => {
      outcome = "failed";
      this.problems.push(`${options.what} failed: ${error instanceof Error ? error.stack : error}`);
    });
    const limitMs = time.nowMs + options.limitMs;
    const settled = await this.#runUntil({ limitMs, done: () => outcome !== undefined });
    if (!settled) this.problems.push(`${options.what} did not end in ${options.limitMs} ms`);
    return outcome === "done";
  }
}

/** True if a plan leaves wrong or unreadable bytes behind, which the cluster finds but does not repair yet. */
function isDamaged(plan: readonly Fault[]): boolean {
  return plan.some((fault) => fault.kind === "disk" && DAMAGES.some((kind) => kind === fault.harm.kind));
}

/** True if groups may have to wait for an operator afterwards. */
function needsOperator(plan: readonly Fault[]): boolean {
  return isDamaged(plan) || plan.some((fault) => fault.kind === "mdm_rollback");
}

/** Errors that clients may get. */
function toleratedErrors(plan: readonly Fault[]): ReadonlySet<ErrorCode> {
  const full = plan.some((fault) => fault.kind === "disk" && fault.harm.kind === "full");
  return new Set<ErrorCode>([
    ...(full ? ["pool_full" as const] : []),
    ...(isDamaged(plan) ? ["checksum_mismatch" as const, "io_error" as const] : []),
    ...(needsOperator(plan) ? OF_LOST_GROUPS : []),
  ]);
}

const OF_LOST_GROUPS: ReadonlySet<ErrorCode> = new Set(["give_up", "fenced"]);
