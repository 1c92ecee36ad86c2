/**
 * What goes wrong in a run, drawn from the seed before it starts: a plan as data, and the hands that carry it out.
 *
 * @module
 */
import { unreachable } from "@/shared/errors.ts";
import type { SimProcess, World } from "@/tests/sim/process.ts";
import type { DiskHarm } from "@/tests/sim/sds_host.ts";
import type { SeededRandom } from "@/tests/sim/seeded_random.ts";

/** Names of the processes of a cluster, by role. */
export interface Cast {
  readonly mdm: string;
  readonly sdss: readonly string[];
  readonly sdcs: readonly string[];
}

/** One fault: it begins at `atMs` of true time and is over `lastsMs` later. */
export type Fault =
  & { readonly atMs: number; readonly lastsMs: number }
  & (
    /** The processes are killed, `hostDown`: their hosts lose power; they start again when it is over. */
    | { readonly kind: "kill"; readonly names: readonly string[]; readonly hostDown: boolean }
    /** SDSs stop cleanly, or are killed while they do when it is over; they start again then. */
    | { readonly kind: "stop"; readonly names: readonly string[] }
    /** The process is killed and started, again and again. */
    | { readonly kind: "kill_again"; readonly name: string; readonly everyMs: number }
    /** An SDS is killed within one of its next disk operations, of which a part may be done. */
    | { readonly kind: "kill_in_disk"; readonly name: string }
    | { readonly kind: "pause"; readonly names: readonly string[] }
    /** No packet gets from the first to the second host. */
    | { readonly kind: "cut"; readonly paths: readonly (readonly [string, string])[] }
    /** Connections between the two hosts break, again and again. */
    | { readonly kind: "reset"; readonly pair: readonly [string, string]; readonly everyMs: number }
    /** Calls over HTTP are broken with this chance, before or after they took effect. */
    | { readonly kind: "http_loss"; readonly chance: number }
    /** Connections that are open from one host to the other carry nothing; new ones are well. */
    | { readonly kind: "stall_connections"; readonly path: readonly [string, string] }
    /** The disk of an SDS. */
    | { readonly kind: "disk"; readonly name: string; readonly harm: DiskHarm }
    /** At the end the MDM forgets what it decided since the begin: its database is replaced by a copy from then. */
    | { readonly kind: "mdm_rollback" }
    /** An operator takes the SDS out of service; its copies move away, and back when it is over. */
    | { readonly kind: "out_of_service"; readonly name: string }
    | { readonly kind: "wall_jump"; readonly name: string; readonly byMs: number }
  );

const KIND_WEIGHTS = {
  kill_sds: 26,
  kill_sds_again: 6,
  kill_in_disk: 12,
  stop_sds: 10,
  stop_all_sds: 4,
  kill_mdm: 8,
  kill_sdc: 8,
  kill_all_sds: 4,
  power_sds: 8,
  power_all_sds: 7,
  kill_everything: 3,
  pause: 14,
  cut: 18,
  isolate: 6,
  reset: 12,
  http_loss: 8,
  stall_connections: 8,
  disk_stall: 5,
  disk_full: 3,
  disk_fails: 4,
  disk_damage: 2,
  wall_jump: 4,
  out_of_service: 8,
} as const;

/** Harms that leave a copy wrong or unreadable. */
export const DAMAGES = ["eio_read", "lost_write", "misplaced_write", "rot"] as const;

/** Those that the disk does not tell. */
const SILENT_DAMAGES = ["lost_write", "misplaced_write", "rot"] as const;

/** Faults of one run. */
export const FAULTS_MAX = 8;

/** Draws the faults of a run; they begin between `fromMs` and `toMs`. */
export function faultPlan(
  random: SeededRandom,
  options: { readonly cast: Cast; fromMs: number; toMs: number },
): Fault[] {
  const count = random.integer(1, FAULTS_MAX);
  const plan = Array.from({ length: count }, () => nextFault(random, options));
  return plan.filter((fault) => !isExempt(fault, plan)).sort((a, b) => a.atMs - b.atMs);
}

/**
 * True for silent damage to the disk of an SDS that also stops uncleanly: where it was writing then, a wrong checksum is a torn
 * write and no rot, and C5 promises nothing. Stories harm disks of SDSs that live on.
 */
function isExempt(fault: Fault, plan: readonly Fault[]): boolean {
  if (fault.kind !== "disk" || !SILENT_DAMAGES.some((kind) => kind === fault.harm.kind)) return false;
  return plan.some((other) => stopsUncleanly(other, fault.name));
}

function stopsUncleanly(fault: Fault, name: string): boolean {
  if (fault.kind === "kill" || fault.kind === "stop") return fault.names.includes(name);
  return (fault.kind === "kill_again" || fault.kind === "kill_in_disk") && fault.name === name;
}

function nextFault(random: SeededRandom, options: { readonly cast: Cast; fromMs: number; toMs: number }): Fault {
  const { cast } = options;
  const atMs = random.between(options.fromMs, options.toMs);
  const all = [cast.mdm, ...cast.sdss, ...cast.sdcs];
  const kill = (names: readonly string[], hostDown = random.chance(0.2)): Fault => ({
    kind: "kill",
    names,
    hostDown,
    atMs,
    lastsMs: random.pick([random.between(50, 1_500), random.between(1_000, 12_000)]),
  });
  const disk = (harm: DiskHarm, lastsMs: number): Fault => ({
    kind: "disk",
    name: random.pick(cast.sdss),
    harm,
    atMs,
    lastsMs,
  });
  const kind = random.weighted(KIND_WEIGHTS);
  switch (kind) {
    case "kill_sds":
      return kill([random.pick(cast.sdss)]);
    case "stop_sds":
      return { kind: "stop", names: [random.pick(cast.sdss)], atMs, lastsMs: random.between(100, 14_000) };
    case "stop_all_sds":
      return { kind: "stop", names: cast.sdss, atMs, lastsMs: random.between(2_000, 14_000) };
    case "kill_sds_again": {
      // Down and up and down: joins are cut short.
      const name = random.pick(cast.sdss);
      return {
        kind: "kill_again",
        name,
        everyMs: random.between(100, 3_000),
        atMs,
        lastsMs: random.between(500, 9_000),
      };
    }
    case "kill_in_disk":
      return { kind: "kill_in_disk", name: random.pick(cast.sdss), atMs, lastsMs: random.between(200, 8_000) };
    case "kill_mdm":
      return kill([cast.mdm]);
    case "kill_sdc":
      return kill([random.pick(cast.sdcs)]);
    case "kill_all_sds":
      return kill(cast.sdss);
    case "power_sds":
      return kill([random.pick(cast.sdss)], true);
    case "power_all_sds":
      return kill(cast.sdss, true);
    case "kill_everything":
      return kill(all);
    case "pause":
      return { kind: "pause", names: [random.pick(all)], atMs, lastsMs: random.between(100, 9_000) };
    case "cut":
      return { kind: "cut", paths: cutBetween(random, all), atMs, lastsMs: random.between(100, 12_000) };
    case "isolate":
      return { kind: "cut", paths: cutFromAll(random, { cast, all }), atMs, lastsMs: random.between(500, 15_000) };
    case "reset": {
      const [a, b] = twoOf(random, all);
      return {
        kind: "reset",
        pair: [a, b],
        everyMs: random.between(20, 800),
        atMs,
        lastsMs: random.between(50, 4_000),
      };
    }
    case "http_loss":
      return { kind: "http_loss", chance: random.between(0.05, 0.6), atMs, lastsMs: random.between(500, 10_000) };
    case "stall_connections":
      return { kind: "stall_connections", path: twoOf(random, all), atMs, lastsMs: random.between(1_000, 16_000) };
    case "disk_stall":
      return disk({ kind: "stall", forMs: random.between(200, 9_000) }, 0);
    case "disk_full":
      return disk({ kind: "full" }, random.between(500, 9_000));
    case "disk_fails":
      return disk({ kind: random.pick(["eio_write", "eio_sync"] as const) }, 5_000);
    case "disk_damage":
      return disk({ kind: random.pick(DAMAGES) }, 5_000);
    case "out_of_service":
      return {
        ...{ kind: "out_of_service", name: random.pick(cast.sdss), atMs },
        lastsMs: random.pick([random.between(100, 3_000), random.between(2_000, 20_000)]),
      };
    case "wall_jump":
      return { kind: "wall_jump", name: random.pick(all), byMs: random.between(-1e7, 1e7), atMs, lastsMs: 0 };
    default:
      return unreachable(kind);
  }
}

function twoOf(random: SeededRandom, names: readonly string[]): [string, string] {
  const first = random.pick(names);
  return [first, random.pick(names.filter((name) => name !== first))];
}

/** One way or both. */
function cutBetween(random: SeededRandom, names: readonly string[]): (readonly [string, string])[] {
  const [a, b] = twoOf(random, names);
  return random.chance(0.5) ? [[a, b]] : [[a, b], [b, a]];
}

/** An SDS loses everybody, or everybody but the SDCs. */
function cutFromAll(random: SeededRandom, options: { readonly cast: Cast; readonly all: readonly string[] }) {
  const name = random.pick(options.cast.sdss);
  const keepsClients = random.chance(0.5);
  const others = options.all.filter((other) => other !== name && !(keepsClients && options.cast.sdcs.includes(other)));
  return others.flatMap((other): (readonly [string, string])[] => [[name, other], [other, name]]);
}

/** What carries faults out. */
export interface FaultHands {
  readonly world: World;
  process(name: string): SimProcess;
  /** Kills and tells those who must know. */
  kill(name: string, options: { readonly hostDown: boolean }): void;
  /** Makes the SDS stop by itself. */
  stop(name: string): void;
  /** Makes the SDS die within one of its next disk operations. */
  killInDisk(name: string): void;
  /** The disk operation has not come: it may do no harm any more. */
  spareDisk(name: string): void;
  restart(name: string): void;
  harmDisk(name: string, harm: DiskHarm): void;
  backUpMdm(): void;
  rollBackMdm(): void;
  /** An operator asks until the MDM has answered. */
  setService(name: string, word: "fail" | "recover"): void;
}

/** Schedules every fault of `plan`, and its end. Kills of a process that is down already only prolong nothing. */
export function schedule(plan: readonly Fault[], hands: FaultHands): void {
  const { time } = hands.world;
  for (const fault of plan) {
    time.after(Math.max(0, fault.atMs - time.nowMs), () => {
      begin(fault, hands);
      time.after(fault.lastsMs, () => end(fault, hands));
    });
  }
}

/** True time at which the last fault is over. */
export function endOf(plan: readonly Fault[]): number {
  return plan.reduce((latest, fault) => Math.max(latest, fault.atMs + fault.lastsMs), 0);
}

function begin(fault: Fault, hands: FaultHands): void {
  const { wire, http, sockets } = hands.world;
  if (fault.kind !== "kill" && fault.kind !== "pause") wire.log.note(`fault begins: ${JSON.stringify(fault)}`);
  switch (fault.kind) {
    case "kill":
      for (const name of fault.names) hands.kill(name, fault);
      return;
    case "stop":
      for (const name of fault.names) hands.stop(name);
      return;
    case "kill_in_disk":
      return hands.killInDisk(fault.name);
    case "kill_again":
      return repeat(fault, hands, () => {
        if (hands.process(fault.name).running) hands.kill(fault.name, { hostDown: false });
        else hands.restart(fault.name);
      });
    case "pause":
      for (const name of fault.names) hands.process(name).pause();
      return;
    case "cut":
      for (const [from, to] of fault.paths) wire.cut(from, to);
      return;
    case "reset":
      return repeat(fault, hands, () => sockets.resetBetween(...fault.pair));
    case "http_loss":
      http.lossChance = fault.chance;
      return;
    case "wall_jump":
      return hands.process(fault.name).hostClock.jumpWall(fault.byMs);
    case "stall_connections":
      return sockets.stallFrom(...fault.path, fault.lastsMs);
    case "disk":
      return hands.harmDisk(fault.name, fault.harm);
    case "mdm_rollback":
      return hands.backUpMdm();
    case "out_of_service":
      return hands.setService(fault.name, "fail");
    default:
      return unreachable(fault);
  }
}

/** Does something each `everyMs` as long as the fault lasts. */
function repeat(fault: Fault & { readonly everyMs: number }, hands: FaultHands, act: () => void): void {
  const { time } = hands.world;
  const endMs = time.nowMs + fault.lastsMs;
  const again = () => {
    act();
    if (time.nowMs + fault.everyMs < endMs) time.after(fault.everyMs, again);
  };
  again();
}

function end(fault: Fault, hands: FaultHands): void {
  const { wire, http } = hands.world;
  if (fault.kind === "cut" || fault.kind === "http_loss") wire.log.note(`fault ends: ${JSON.stringify(fault)}`);
  switch (fault.kind) {
    case "kill":
      for (const name of fault.names) if (!hands.process(name).running) hands.restart(name);
      return;
    case "stop":
      for (const name of fault.names) {
        hands.kill(name, { hostDown: false });
        hands.restart(name);
      }
      return;
    case "kill_in_disk":
      hands.spareDisk(fault.name);
      if (!hands.process(fault.name).running) hands.restart(fault.name);
      return;
    case "kill_again":
      if (!hands.process(fault.name).running) hands.restart(fault.name);
      return;
    case "pause":
      for (const name of fault.names) hands.process(name).resume();
      return;
    case "cut":
      for (const [from, to] of fault.paths) wire.heal(from, to);
      return;
    case "http_loss":
      http.lossChance = 0;
      return;
    case "disk":
      return hands.spareDisk(fault.name);
    case "mdm_rollback":
      return hands.rollBackMdm();
    case "out_of_service":
      return hands.setService(fault.name, "recover");
    case "reset":
    case "stall_connections":
    case "wall_jump":
      return;
    default:
      return unreachable(fault);
  }
}
