/**
 * Whether the history of one block can be explained by operations that took effect one at a time, each between its begin and
 * its end (C1 of the replication design). The block is a vector of sectors: a write replaces some of them at once, a read
 * sees some of them at once.
 *
 * The search follows the history and keeps every *world* that is still possible: the content of the block, and which of the
 * running operations have taken effect in it. A read that closes nothing takes effect as soon as a world shows what it
 * returned, which loses no explanation since it changes nothing; writes are tried in every order, but only when an operation ends that has not
 * taken effect yet (Lowe, Testing for linearizability, 2017: just-in-time linearization).
 *
 * When the last copy of a block lost power, what was not flushed may be gone (C4): a *loss* leaves each sector one of several
 * contents, which stay open until something shows which. What it left had been on a disk without power: that is what the next loss
 * goes back to at most, so a world remembers it.
 *
 * @module
 */
import { assert } from "@/shared/errors.ts";

/** Sectors of a block. */
export const SECTORS_PER_BLOCK = 8;
/** Worlds kept for one block before the search gives up, which is an error of the workload: too much overlaps. */
const WORLDS_MAX = 50_000;
/** Writes under way of which every subset is tried at a loss. */
const SUBSET_MEMBERS_MAX = 5;

/** A sector of a world: what it holds, or after a loss what it may hold. */
type SectorContent = number | readonly number[];

/** One operation on one block. Ticks order all begins and ends of a run. */
export interface BlockOperation {
  readonly kind: "read" | "write" | "loss";
  /** For messages. */
  readonly name: string;
  readonly firstSector: number;
  /** What was read, or what each sector becomes, from `firstSector` on. */
  readonly values: readonly number[];
  /** Of a loss: what each sector of the block may hold beside what it held, of what was written since the loss before. */
  readonly candidates?: readonly (readonly number[])[];
  /** Of a loss: the sectors that may also be as the loss before left them: nothing written since is durable. */
  readonly reverts?: readonly boolean[];
  readonly beginTick: number;
  /** Infinity: it may take effect at any later time. */
  endTick: number;
  /** True: a write that failed or lost its client; it may have taken effect before `endTick`, or never. */
  optional: boolean;
  /** Writes that can no longer take effect once this operation has. */
  readonly closes: readonly BlockOperation[];
}

interface World {
  readonly content: readonly SectorContent[];
  /** What the last loss left. */
  readonly left: readonly SectorContent[];
  /** Running operations that took effect or never will, by index into the history; sorted. */
  readonly done: readonly number[];
}

/** The first operation that nothing explains, and what could have been there. */
export interface Unexplained {
  readonly operation: BlockOperation;
  readonly possible: readonly (readonly SectorContent[])[];
}

/** Checks the history of one block that began as zeros; undefined if it is linearizable. */
export function unexplained(history: readonly BlockOperation[]): Unexplained | undefined {
  const running = new Set<number>();
  const zeros = new Array<number>(SECTORS_PER_BLOCK).fill(0);
  let worlds: World[] = [{ content: zeros, left: zeros, done: [] }];
  for (const { index, isEnd } of ticksInOrder(history)) {
    const operation = history[index]!;
    if (operation.kind === "loss") {
      if (!isEnd) worlds = afterLoss(worlds, { operation, history, running });
      continue;
    }
    if (!isEnd) {
      running.add(index);
      if (isEager(operation)) worlds = worlds.flatMap((world) => withReads(world, [index], history));
      continue;
    }
    const search: Search = { history, running, wanted: index };
    const next = explained(worlds, search);
    if (next.length === 0) return { operation, possible: worlds.map((world) => world.content) };
    running.delete(index);
    worlds = next;
  }
  return undefined;
}

interface Search {
  readonly history: readonly BlockOperation[];
  readonly running: ReadonlySet<number>;
  /** The operation that ends. */
  readonly wanted: number;
}

/** The worlds in which the wanted operation has taken effect, or need not; it is no longer among the running. */
function explained(worlds: readonly World[], search: Search): World[] {
  const { history, running, wanted } = search;
  const kept = new Map<string, World>();
  const seen = new Set<string>();
  const queue = [...worlds];
  for (let world = queue.pop(); world !== undefined; world = queue.pop()) {
    const key = keyOf(world);
    if (seen.has(key)) continue;
    seen.add(key);
    assert(seen.size <= WORLDS_MAX, `${WORLDS_MAX} worlds are enough to explain one block`);
    const isDone = world.done.includes(wanted);
    if (isDone || history[wanted]!.optional) {
      const ended: World = { ...world, done: world.done.filter((index) => index !== wanted) };
      kept.set(keyOf(ended), ended);
    }
    if (isDone) continue;
    for (const index of running) {
      if (world.done.includes(index) || isEager(history[index]!)) continue;
      queue.push(...afterEffect(world, index, search));
    }
  }
  return [...kept.values()];
}

/** The worlds after `index` took effect; none for a read that returned something else. */
function afterEffect(world: World, index: number, search: Search): World[] {
  const operation = search.history[index]!;
  const { firstSector, values } = operation;
  if (operation.kind === "read" && !shows(world, operation)) return [];
  const content = [...world.content];
  for (let at = 0; at < values.length; at++) content[firstSector + at] = values[at]!;
  const closed = [...search.running].filter((other) =>
    operation.closes.includes(search.history[other]!) && !world.done.includes(other)
  );
  const next: World = { content, left: world.left, done: insertedInto(world.done, [index, ...closed]) };
  return withReads(next, search.running, search.history);
}

/** A read that closes nothing: when it takes effect makes no difference to others. */
function isEager(operation: BlockOperation): boolean {
  return operation.kind === "read" && operation.closes.length === 0;
}

function shows(world: World, { firstSector, values }: BlockOperation): boolean {
  return values.every((value, at) => mayHold(world.content[firstSector + at]!, value));
}

function mayHold(content: SectorContent, value: number): boolean {
  return typeof content === "number" ? content === value : content.includes(value);
}

/**
 * The worlds after those of the reads took effect that return what it holds. A read that decides what is open after a loss may
 * also take effect later, when a write has decided it otherwise: both worlds go on.
 */
function withReads(world: World, indexes: Iterable<number>, history: readonly BlockOperation[]): World[] {
  const reads = [...indexes].filter((index) => isEager(history[index]!));
  let worlds = [world];
  for (const index of reads) {
    const { firstSector, values } = history[index]!;
    worlds = worlds.flatMap((one): World[] => {
      if (one.done.includes(index) || !shows(one, history[index]!)) return [one];
      const content = one.content.map((sector, at) => values[at - firstSector] ?? sector);
      // The very list that the loss made: the sector was not written since, and what it holds is what the loss left.
      const left = one.left.map((sector, at) => sector === one.content[at] ? content[at]! : sector);
      const read = { content, left, done: insertedInto(one.done, [index]) };
      const decides = values.some((_, at) => typeof one.content[firstSector + at] !== "number");
      return decides ? [one, read] : [read];
    });
  }
  return worlds;
}

/**
 * What was not flushed may be gone. A write under way may have been applied in part before, and not be sent again for that part:
 * then what is left of it is among what is open. Or it takes effect afterwards, perhaps once more.
 */
function afterLoss(
  worlds: readonly World[],
  loss: {
    readonly operation: BlockOperation;
    readonly history: readonly BlockOperation[];
    readonly running: Set<number>;
  },
): World[] {
  const { operation, history, running } = loss;
  const kept = new Map<string, World>();
  for (const world of worlds) {
    const content = world.content.map((sector, at) => {
      const reverted = operation.reverts?.[at] === true ? [world.left[at]!] : [];
      const open = new Set([sector, operation.candidates?.[at] ?? [], ...reverted].flat());
      return open.size === 1 ? [...open][0]! : [...open].sort((a, b) => a - b);
    });
    const reads = world.done.filter((index) => history[index]!.kind === "read");
    for (const applied of subsetsOf([...running].filter((index) => history[index]!.kind === "write"))) {
      // Reads under way may have seen these writes before the loss took what it took.
      const seen = readsBeforeLoss(world, { applied, running, history });
      for (const early of seen.length === 0 ? [[]] : [[], seen]) {
        const done = insertedInto(reads, [...applied, ...early]);
        for (const next of withReads({ content, left: content, done }, running, history)) kept.set(keyOf(next), next);
      }
    }
  }
  return [...kept.values()];
}

/** Running reads that return what the world held before a loss, or what writes put there that had been applied by then. */
function readsBeforeLoss(
  world: World,
  at: {
    readonly applied: readonly number[];
    readonly running: ReadonlySet<number>;
    readonly history: readonly BlockOperation[];
  },
): number[] {
  const { applied, running, history } = at;
  const writes = applied.map((index) => history[index]!);
  const wrote = (sector: number, value: number) =>
    writes.some(({ firstSector, values }) => values[sector - firstSector] === value);
  return [...running].filter((index) => {
    const read = history[index]!;
    if (!isEager(read) || world.done.includes(index)) return false;
    return read.values.every((value, offset) => {
      const sector = read.firstSector + offset;
      return mayHold(world.content[sector]!, value) || wrote(sector, value);
    });
  });
}

/** All subsets; of many, only the empty one and the whole. */
function subsetsOf(indexes: readonly number[]): number[][] {
  if (indexes.length > SUBSET_MEMBERS_MAX) return [[], [...indexes]];
  return indexes.reduce<number[][]>((subsets, index) => [...subsets, ...subsets.map((one) => [...one, index])], [[]]);
}

function insertedInto(done: readonly number[], indexes: readonly number[]): number[] {
  return [...done, ...indexes].sort((a, b) => a - b);
}

function keyOf(world: World): string {
  const { content, left, done } = world;
  return [content, left].map((sectors) => sectors.map((sector) => String(sector)).join(";")).concat(done.join()).join(
    "|",
  );
}

function ticksInOrder(history: readonly BlockOperation[]): { readonly index: number; readonly isEnd: boolean }[] {
  const ticks = history.flatMap((operation, index) => [
    { index, isEnd: false, tick: operation.beginTick },
    ...(operation.endTick === Infinity ? [] : [{ index, isEnd: true, tick: operation.endTick }]),
  ]);
  return ticks.sort((a, b) => a.tick - b.tick);
}
