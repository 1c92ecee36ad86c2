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
 * @module
 */
import { assert } from "@/shared/errors.ts";

/** Sectors of a block. */
export const SECTORS_PER_BLOCK = 8;
/** Worlds kept for one block before the search gives up, which is an error of the workload: too much overlaps. */
const WORLDS_MAX = 50_000;

/** One operation on one block. Ticks order all begins and ends of a run. */
export interface BlockOperation {
  readonly kind: "read" | "write";
  /** For messages. */
  readonly name: string;
  readonly firstSector: number;
  /** What was read, or what each sector becomes, from `firstSector` on. */
  readonly values: readonly number[];
  readonly beginTick: number;
  /** Infinity: it may take effect at any later time. */
  endTick: number;
  /** True: a write that failed or lost its client; it may have taken effect before `endTick`, or never. */
  optional: boolean;
  /** Writes that can no longer take effect once this operation has. */
  readonly closes: readonly BlockOperation[];
}

interface World {
  readonly content: readonly number[];
  /** Running operations that took effect or never will, by index into the history; sorted. */
  readonly done: readonly number[];
}

/** The first operation that nothing explains, and what could have been there. */
export interface Unexplained {
  readonly operation: BlockOperation;
  readonly possible: readonly (readonly number[])[];
}

/** Checks the history of one block that began as zeros; undefined if it is linearizable. */
export function unexplained(history: readonly BlockOperation[]): Unexplained | undefined {
  const running = new Set<number>();
  let worlds: World[] = [{ content: new Array<number>(SECTORS_PER_BLOCK).fill(0), done: [] }];
  for (const { index, isEnd } of ticksInOrder(history)) {
    const operation = history[index]!;
    if (!isEnd) {
      running.add(index);
      if (isEager(operation)) worlds = worlds.map((world) => withReads(world, [index], history));
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
      const left: World = { content: world.content, done: world.done.filter((index) => index !== wanted) };
      kept.set(keyOf(left), left);
    }
    if (isDone) continue;
    for (const index of running) {
      if (world.done.includes(index) || isEager(history[index]!)) continue;
      const next = afterEffect(world, index, search);
      if (next !== undefined) queue.push(next);
    }
  }
  return [...kept.values()];
}

/** The world after `index` took effect; undefined for a read that returned something else. */
function afterEffect(world: World, index: number, search: Search): World | undefined {
  const operation = search.history[index]!;
  const { firstSector, values } = operation;
  if (operation.kind === "read" && !shows(world, operation)) return undefined;
  const content = [...world.content];
  for (let at = 0; at < values.length; at++) content[firstSector + at] = values[at]!;
  const closed = [...search.running].filter((other) =>
    operation.closes.includes(search.history[other]!) && !world.done.includes(other)
  );
  const next = { content, done: insertedInto(world.done, [index, ...closed]) };
  return withReads(next, search.running, search.history);
}

/** A read that closes nothing: when it takes effect makes no difference to others. */
function isEager(operation: BlockOperation): boolean {
  return operation.kind === "read" && operation.closes.length === 0;
}

function shows(world: World, { firstSector, values }: BlockOperation): boolean {
  return values.every((value, at) => world.content[firstSector + at] === value);
}

/** The world after those of the reads took effect that return what it holds. */
function withReads(world: World, indexes: Iterable<number>, history: readonly BlockOperation[]): World {
  let done = world.done;
  for (const index of indexes) {
    const operation = history[index]!;
    if (isEager(operation) && !done.includes(index) && shows(world, operation)) done = insertedInto(done, [index]);
  }
  return { content: world.content, done };
}

function insertedInto(done: readonly number[], indexes: readonly number[]): number[] {
  return [...done, ...indexes].sort((a, b) => a - b);
}

function keyOf(world: World): string {
  return `${world.content.join(",")}|${world.done.join(",")}`;
}

function ticksInOrder(history: readonly BlockOperation[]): { readonly index: number; readonly isEnd: boolean }[] {
  const ticks = history.flatMap((operation, index) => [
    { index, isEnd: false, tick: operation.beginTick },
    ...(operation.endTick === Infinity ? [] : [{ index, isEnd: true, tick: operation.endTick }]),
  ]);
  return ticks.sort((a, b) => a.tick - b.tick);
}
