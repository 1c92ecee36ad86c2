/**
 * Stories of failure, each made to bring one kind of mistake to light: who, how long and when come from the seed, what happens
 * does not. `deno task sim --scenario=NAME --seeds=A..B` runs one; with a guard of the protocol switched off it finds something
 * (`guards_test.ts`), and nothing with all of them on.
 *
 * @module
 */
import type { TIMES } from "@/shared/constants.ts";
import type { Cast, Fault } from "@/tests/sim/faults.ts";
import type { SeededRandom } from "@/tests/sim/seeded_random.ts";
import type { OPERATION_WEIGHTS } from "@/tests/sim/workload.ts";

/** How a run differs from one that is drawn. */
export interface Scenario {
  /** Two clients of one volume: each reads what the other writes. */
  readonly sharedVolume?: boolean;
  readonly regionsKeptSet?: number;
  readonly times?: Partial<Record<keyof typeof TIMES, number>>;
  readonly weights?: Partial<Record<keyof typeof OPERATION_WEIGHTS, number>>;
  /** Nothing is flushed later than so long after the begin. */
  readonly flushForMs?: number;
  /** Places that requests come back to. */
  readonly hotPlaceCount?: number;
  plan(random: SeededRandom, options: { readonly cast: Cast; readonly fromMs: number }): Fault[];
}

/** What a story is told with: three SDSs in the order of the seed, and what is between them. */
class Story {
  readonly a: string;
  readonly b: string;
  readonly c: string;
  readonly random: SeededRandom;
  readonly #cast: Cast;
  readonly #fromMs: number;
  readonly #faults: Fault[] = [];

  constructor(random: SeededRandom, options: { readonly cast: Cast; readonly fromMs: number }) {
    this.random = random;
    this.#cast = options.cast;
    this.#fromMs = options.fromMs;
    const [first, ...rest] = options.cast.sdss;
    const order = random.chance(0.5) ? [first!, ...rest] : [...rest, first!];
    this.a = random.pick(order);
    [this.b, this.c] = order.filter((name) => name !== this.a) as [string, string];
  }

  get faults(): Fault[] {
    return this.#faults.sort((x, y) => x.atMs - y.atMs);
  }

  get sdss(): readonly string[] {
    return this.#cast.sdss;
  }

  get sdcs(): readonly string[] {
    return this.#cast.sdcs;
  }

  get mdm(): string {
    return this.#cast.mdm;
  }

  /** Between `min` and `max` seconds. */
  seconds(min: number, max = min): number {
    return 1_000 * this.random.between(min, max);
  }

  kill(names: readonly string[], when: When, hostDown = false): void {
    this.#faults.push({ kind: "kill", names, hostDown, ...this.#when(when) });
  }

  power(names: readonly string[], when: When): void {
    this.kill(names, when, true);
  }

  pause(name: string, when: When): void {
    this.#faults.push({ kind: "pause", names: [name], ...this.#when(when) });
  }

  stop(names: readonly string[], when: When): void {
    this.#faults.push({ kind: "stop", names, ...this.#when(when) });
  }

  /** Nothing gets from the first to the others; `both`: nor back. */
  cut(from: string, to: readonly string[], when: When & { readonly both: boolean }): void {
    const paths = to.flatMap((other): [string, string][] =>
      when.both ? [[from, other], [other, from]] : [[from, other]]
    );
    this.#faults.push({ kind: "cut", paths, ...this.#when(when) });
  }

  stall(path: readonly [string, string], when: When): void {
    this.#faults.push({ kind: "stall_connections", path, ...this.#when(when) });
  }

  stallDisk(name: string, when: When): void {
    const harm = { kind: "stall" as const, forMs: when.lastsMs };
    this.#faults.push({ kind: "disk", name, harm, ...this.#when(when) });
  }

  loseHttp(chance: number, when: When): void {
    this.#faults.push({ kind: "http_loss", chance, ...this.#when(when) });
  }

  rollBack(when: When): void {
    this.#faults.push({ kind: "mdm_rollback", ...this.#when(when) });
  }

  #when({ atMs, lastsMs }: When) {
    return { atMs: this.#fromMs + atMs, lastsMs };
  }
}

/** Since the begin of the workload. */
interface When {
  readonly atMs: number;
  readonly lastsMs: number;
}

/** Rounds that come every half second and keep nothing back, so that a returning copy rests on intents alone. */
const BUSY_CLEARING = { regionsKeptSet: 0, times: { intentClearMs: 500 } } as const;

function story(tell: (story: Story) => void, options: Omit<Scenario, "plan"> = {}): Scenario {
  return {
    ...options,
    plan(random, where) {
      const told = new Story(random, where);
      tell(told);
      return told.faults;
    },
  };
}

/** All stories by name. */
export const SCENARIOS: Readonly<Record<string, Scenario>> = {
  /** A primary cannot forward, so its writes wait; then it dies and another one takes over, while others read. */
  waiting_writes: story((s) => {
    for (const start of [1, 13]) {
      s.cut(s.a, [s.b, s.c], { atMs: s.seconds(start), lastsMs: s.seconds(2.6), both: true });
      s.kill([s.a], { atMs: s.seconds(start + 1, start + 2.5), lastsMs: s.seconds(9) });
    }
  }, { sharedVolume: true, hotPlaceCount: 3, weights: { read: 70, write: 25 } }),
  /** A primary is cut from everybody but its clients, who go on asking it. */
  lone_primary: story((s) => {
    for (const [start, name] of [[1, s.a], [15, s.b]] as const) {
      const others = [s.mdm, ...s.sdss.filter((other) => other !== name)];
      s.cut(name, others, { atMs: s.seconds(start), lastsMs: s.seconds(8, 11), both: true });
    }
  }, { sharedVolume: true, hotPlaceCount: 3 }),
  /** Replicated writes are held up on their way, arrive when their sender is no primary any more. */
  late_replication: story((s) => {
    for (const [start, name, other] of [[1, s.a, s.b], [13, s.b, s.c]] as const) {
      s.stall([name, other], { atMs: s.seconds(start), lastsMs: s.seconds(9, 11) });
      s.pause(name, { atMs: s.seconds(start + 0.2, start + 1), lastsMs: s.seconds(6.5) });
    }
  }, { hotPlaceCount: 3, weights: { write: 80 } }),
  /** A client's requests are held up on one connection while it goes on with a newer one. */
  late_lane: story((s) => {
    for (const start of [1, 2]) {
      for (const sds of s.sdss) {
        s.stall([s.random.pick(s.sdcs), sds], { atMs: s.seconds(start, 6), lastsMs: s.seconds(12, 17) });
      }
    }
  }, { hotPlaceCount: 3, weights: { write: 80 } }),
  /** The same, and the group goes to another primary and back meanwhile. */
  late_client: story((s) => {
    for (const sdc of s.sdcs) s.stall([sdc, s.a], { atMs: s.seconds(1), lastsMs: s.seconds(22, 26) });
    s.pause(s.a, { atMs: s.seconds(1.5, 2.5), lastsMs: s.seconds(7) });
    for (const other of [s.b, s.c]) s.pause(other, { atMs: s.seconds(12, 14), lastsMs: s.seconds(7) });
  }, { hotPlaceCount: 3, weights: { write: 80 } }),
  /** A copy goes and comes again and again while intents are cleared as fast as can be. */
  come_and_go: story((s) => {
    for (let start = 1; start < 22; start += 7) {
      s.kill([s.b], { atMs: s.seconds(start), lastsMs: s.seconds(2.5, 4) });
      s.kill([s.c], { atMs: s.seconds(start + 4.5), lastsMs: s.seconds(0.5, 3) });
    }
  }, BUSY_CLEARING),
  /** A primary has written what it cannot forward when it loses power; its copy comes back by its intents. */
  unforwarded: story((s) => {
    for (let start = 1; start < 22; start += 6) {
      const name = s.random.pick(s.sdss);
      const atMs = s.seconds(start);
      s.cut(name, s.sdss.filter((other) => other !== name), { atMs, lastsMs: s.seconds(1.2), both: true });
      s.stallDisk(name, { atMs, lastsMs: s.seconds(1.2) });
      const endMs = atMs + s.seconds(0.3, 0.9);
      s.power([name], { atMs: endMs, lastsMs: s.seconds(0.6, 6) });
      s.kill(s.sdcs, { atMs: endMs, lastsMs: s.seconds(0.2) });
    }
  }, { ...BUSY_CLEARING, hotPlaceCount: 60, weights: { write: 80 } }),
  /** Joins whose last step is answered late, or never, while members and clients are hit. */
  hard_joins: story((s) => {
    for (let start = 1; start < 20; start += 6) {
      s.kill([s.b], { atMs: s.seconds(start), lastsMs: s.seconds(1.5) });
      s.loseHttp(0.7, { atMs: s.seconds(start + 1.6), lastsMs: s.seconds(3) });
      s.cut(s.a, [s.b], { atMs: s.seconds(start + 1.7, start + 3), lastsMs: s.seconds(0.5, 6), both: true });
      s.stallDisk(s.b, { atMs: s.seconds(start + 1.7, start + 2.5), lastsMs: s.seconds(0.2, 2) });
    }
  }, BUSY_CLEARING),
  /** A copy has just returned when the primary it came from goes for long and it loses power itself. */
  power_after_join: story((s) => {
    s.kill([s.b], { atMs: s.seconds(1), lastsMs: s.seconds(5) });
    s.kill([s.a], { atMs: s.seconds(7, 7.5), lastsMs: s.seconds(90) });
    s.power([s.b], { atMs: s.seconds(13, 15), lastsMs: s.seconds(1) });
  }, { flushForMs: 5_800, regionsKeptSet: 64 }),
  /** A secondary's word that it takes over comes late, when it is a member again under a later epoch. */
  late_takeover: story((s) => {
    for (const [start, name] of [[1, s.a], [16, s.b]] as const) {
      s.pause(name, { atMs: s.seconds(start), lastsMs: s.seconds(5.6, 6.2) });
      for (const other of s.sdss) {
        if (other !== name) {
          s.cut(other, [s.mdm], { atMs: s.seconds(start + 4.3, start + 4.7), lastsMs: s.seconds(3, 6), both: false });
        }
      }
    }
  }, { weights: { write: 80 } }),
  /** The MDM is away while the last step of a join is asked for, and the joiner and the primary part meanwhile. */
  unanswered_join: story((s) => {
    for (const start of [1, 16]) {
      s.kill([s.b], { atMs: s.seconds(start), lastsMs: s.seconds(2) });
      s.cut(s.mdm, [s.a], { atMs: s.seconds(start + 2.2, start + 2.7), lastsMs: s.seconds(11), both: false });
      s.cut(s.a, [s.b, s.c], { atMs: s.seconds(start + 2.4, start + 3), lastsMs: s.seconds(11), both: true });
    }
  }, { sharedVolume: true, hotPlaceCount: 3, ...BUSY_CLEARING }),
  /** The same, and then everybody loses power. */
  unanswered_join_dark: story((s) => {
    s.kill([s.b], { atMs: s.seconds(1), lastsMs: s.seconds(2) });
    s.cut(s.mdm, [s.a], { atMs: s.seconds(3.1, 3.7), lastsMs: s.seconds(6), both: false });
    const endMs = s.seconds(4.2, 6);
    s.power([s.a, s.c], { atMs: endMs, lastsMs: s.seconds(80) });
    s.power([s.b], { atMs: endMs, lastsMs: s.seconds(1) });
  }, { weights: { flush: 20, write: 60, read: 20 } }),
  /** Two links between the same SDSs at once: what is on the first one arrives when the second one is in use. */
  late_link: story((s) => {
    for (const [start, name, other] of [[1, s.a, s.b], [12, s.b, s.c]] as const) {
      s.kill([s.mdm], { atMs: s.seconds(start), lastsMs: s.seconds(9) });
      s.stall([name, other], { atMs: s.seconds(start + 0.3), lastsMs: s.seconds(5.5, 8) });
    }
  }, { hotPlaceCount: 3, weights: { write: 80 } }),
  /** Everybody loses power, again and again. */
  dark: story((s) => {
    for (let start = 1; start < 22; start += 7) {
      s.power(s.sdss, { atMs: s.seconds(start, start + 3), lastsMs: s.seconds(0.5, 2) });
    }
  }),
  /** Everybody loses power, and one comes back so late that the others go on from what they had. */
  dark_without_one: story((s) => {
    const darkMs = s.seconds(3, 6);
    s.power([s.b, s.c], { atMs: darkMs, lastsMs: s.seconds(1) });
    s.power([s.a], { atMs: darkMs, lastsMs: s.seconds(80) });
  }, { weights: { flush: 20, write: 60, read: 20 } }),
  /** Everybody stops cleanly, then loses power. */
  dark_after_stop: story((s) => {
    for (let start = 1; start < 22; start += 11) {
      s.stop(s.sdss, { atMs: s.seconds(start), lastsMs: s.seconds(9) });
      s.power(s.sdss, { atMs: s.seconds(start + 6, start + 8), lastsMs: 0 });
    }
  }, { weights: { flush: 1 } }),
  /** A copy is away so long that another one replaces it, which goes in turn. */
  replaced: story((s) => {
    s.kill([s.b], { atMs: s.seconds(1), lastsMs: s.seconds(14) });
    s.kill([s.c], { atMs: s.seconds(12, 14), lastsMs: s.seconds(6) });
  }, { regionsKeptSet: 0, times: { intentClearMs: 500, staleAfterMs: 2_000, outAfterMs: 2_000 } }),
  /** The MDM forgets what it has decided for a while in which members changed; whoever knows better reaches it. */
  rollback: story((s) => {
    s.rollBack({ atMs: s.seconds(1), lastsMs: s.seconds(14) });
    s.kill([s.a], { atMs: s.seconds(2), lastsMs: s.seconds(2, 8) });
    s.kill([s.b], { atMs: s.seconds(11, 15), lastsMs: s.seconds(2, 8) });
    s.cut(s.c, [s.a, s.b], { atMs: s.seconds(13, 16), lastsMs: s.seconds(7), both: true });
  }, { sharedVolume: true }),
};
