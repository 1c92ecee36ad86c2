/**
 * The mirror oracle: records every request of the workload with its begin and end, and says at the end of a run whether each
 * block of each volume behaved as a linearizable register.
 *
 * A write that failed, or whose client died, may have taken effect or not. It can still do so until a later request of the same
 * client for that block, begun after the failure, takes effect (lanes and sessions promise that, replication design 3.6).
 *
 * What a flush covered survives every loss of power (C3, I19); what was not flushed may be gone when the last copy lost power, and
 * then the next flush of who wrote it fails, once (C4). A later flush that succeeds without such a word says that nothing is gone.
 *
 * @module
 */
import { BLOCK_BYTES } from "@/shared/constants.ts";
import { assert } from "@/shared/errors.ts";
import { type BlockOperation, SECTORS_PER_BLOCK, unexplained } from "@/tests/sim/linearizability.ts";
import { SECTOR_BYTES, writerOf } from "@/tests/sim/stamps.ts";

assert(SECTORS_PER_BLOCK * SECTOR_BYTES === BLOCK_BYTES, "a block of the oracle is a block of the cluster");

/** Problems that are told in full. */
const PROBLEMS_MAX = 20;
/** Operations of a block that are shown around one that nothing explains. */
const SHOWN_AROUND = 12;

/** Stands for bytes that no write wrote there. */
const UNKNOWN_WRITER = -1;

/** A request that begins. Ranges are whole sectors. */
export interface OracleRequest {
  readonly kind: "read" | "write" | "zero" | "trim";
  readonly volumeId: number;
  /** Who asks; requests of one client are ordered by its range locks. */
  readonly client: string;
  readonly offsetBytes: number;
  readonly lengthBytes: number;
  /** Durable when it ends. */
  readonly forceUnitAccess?: boolean;
  /** Number of the write in its stamps; unique. Also for reads, for messages. */
  readonly number: number;
}

/** A flush under way. */
export interface OpenFlush {
  readonly client: string;
  readonly volumeId: number;
  readonly beginTick: number;
}

/** A flush that said that all is durable, or that something is lost. */
interface FlushRecord extends OpenFlush {
  readonly endTick: number;
  readonly outcome: "ok" | "lost" | "unknown";
}

/** A group was started from a copy that had lost power. */
interface LossRecord {
  readonly tick: number;
  holds(place: { readonly volumeId: number; readonly blockIndex: number }): boolean;
}

/** A request under way. */
export interface OpenRequest {
  readonly request: OracleRequest;
  readonly beginTick: number;
}

interface OracleOperation extends BlockOperation {
  readonly client: string;
  readonly forceUnitAccess: boolean;
}

interface BlockHistory {
  readonly volumeId: number;
  readonly blockIndex: number;
  readonly operations: OracleOperation[];
  /** Writes of unknown outcome, with when that was known. */
  readonly loose: { readonly client: string; readonly sinceTick: number; readonly operation: BlockOperation }[];
}

/** The oracle of one run. */
export class Oracle {
  readonly #blocks = new Map<string, BlockHistory>();
  readonly #problems: string[] = [];
  readonly #flushes: FlushRecord[] = [];
  readonly #losses: LossRecord[] = [];
  #tick = 0;

  /** A request is handed to the device. */
  begin(request: OracleRequest): OpenRequest {
    return { request, beginTick: ++this.#tick };
  }

  /** It was answered with success. `data` is what a read returned. */
  succeeded(open: OpenRequest, data: Uint8Array | undefined): void {
    const tick = ++this.#tick;
    const { request } = open;
    const read = request.kind === "read" && data !== undefined ? this.#writersOf(request, data) : undefined;
    for (const piece of blocksOf(request)) {
      const block = this.#block(request.volumeId, piece.blockIndex);
      const values = read?.slice(piece.sectorAt, piece.sectorAt + piece.sectorCount) ?? piece.values;
      const kind = request.kind === "read" ? "read" : "write";
      const closes = closedBy(block, { client: request.client, beginTick: open.beginTick, endTick: tick });
      block.operations.push({ ...named(open), ...piece, kind, values, endTick: tick, optional: false, closes });
    }
  }

  beginFlush(flush: { readonly client: string; readonly volumeId: number }): OpenFlush {
    return { ...flush, beginTick: ++this.#tick };
  }

  /** `unknown`: it failed otherwise, or its client died; it may have told it of a loss. */
  flushEnded(open: OpenFlush, outcome: "ok" | "lost" | "unknown"): void {
    const endTick = ++this.#tick;
    if (outcome === "lost" && !this.#mayHaveLost(open)) {
      this.#problems.push(
        `a flush of ${open.client} says that writes of volume ${open.volumeId} are lost: none can be`,
      );
    }
    this.#flushes.push({ ...open, endTick, outcome });
  }

  /** A group went on with a copy that had lost power: from now on its blocks may lack what was not flushed. */
  lost(holds: LossRecord["holds"]): void {
    this.#losses.push({ tick: ++this.#tick, holds });
  }

  /** How often that happened. */
  get lossCount(): number {
    return this.#losses.length;
  }

  /** It failed, or its client died: a read says nothing, a write may have happened. */
  failed(open: OpenRequest): void {
    const tick = ++this.#tick;
    const { request } = open;
    if (request.kind === "read") return;
    for (const piece of blocksOf(request)) {
      const block = this.#block(request.volumeId, piece.blockIndex);
      const operation = {
        ...named(open),
        ...piece,
        kind: "write" as const,
        endTick: Infinity,
        optional: true,
        closes: [],
      };
      block.operations.push(operation);
      block.loose.push({ client: request.client, sinceTick: tick, operation });
    }
  }

  /** Everything that nothing explains. */
  problems(): string[] {
    const found = [...this.#problems];
    for (const block of this.#blocks.values()) {
      const failure = unexplained([...block.operations, ...this.#lossesOf(block)]);
      if (failure === undefined) continue;
      const possible = failure.possible.map((content) => `[${content.map((sector) => String(sector)).join("; ")}]`)
        .join(" or ");
      found.push(
        `volume ${block.volumeId} block ${block.blockIndex}: ${
          described(failure.operation)
        } is not explained; before it: ` +
          `${possible}\n${historyAround(block.operations, failure.operation)}`,
      );
      if (found.length >= PROBLEMS_MAX) break;
    }
    return found;
  }

  /** A loss of one group is told once: there were more losses than flushes of this client that had told it of one. */
  #mayHaveLost({ client, volumeId, beginTick }: OpenFlush): boolean {
    const told = this.#flushes.filter((flush) =>
      flush.outcome === "lost" && flush.client === client && flush.volumeId === volumeId && flush.endTick < beginTick
    );
    return told.length < this.#losses.length;
  }

  #lossesOf(block: BlockHistory): BlockOperation[] {
    return this.#losses.filter(({ holds }) => holds(block)).map(({ tick }) => {
      const sectors = Array.from(
        { length: SECTORS_PER_BLOCK },
        (_, sector) => this.#writesOpenAt(block, { sector, tick }),
      );
      return {
        kind: "loss" as const,
        name: "loss of unflushed writes",
        firstSector: 0,
        values: [],
        candidates: sectors.map(({ candidates }) => candidates),
        reverts: sectors.map(({ reverts }) => reverts),
        beginTick: tick,
        endTick: Infinity,
        optional: true,
        closes: [],
      };
    });
  }

  /** Writes of a sector since the loss before that a loss may leave there: those that nothing durable has overwritten. */
  #writesOpenAt(
    block: BlockHistory,
    at: { readonly sector: number; readonly tick: number },
  ): { readonly candidates: number[]; readonly reverts: boolean } {
    const earlier = this.#losses.filter((loss) => loss.tick < at.tick && loss.holds(block)).at(-1)?.tick ?? -Infinity;
    const writes = block.operations.filter((one) =>
      one.kind === "write" && one.beginTick < at.tick && one.endTick > earlier && covers(one, at)
    );
    const durable = writes.filter((one) => this.#survives(one, { volumeId: block.volumeId, tick: at.tick }));
    const left = writes.filter((one) => durable.every((other) => other.beginTick <= one.endTick));
    // A write that was under way at the loss before may have been applied in part: it overwrites nothing for certain.
    const reverts = durable.every((one) => one.beginTick < earlier);
    return { candidates: left.map((one) => one.values[at.sector - one.firstSector]!), reverts };
  }

  /** True if the write is durable whatever loses power at `tick`: a flush after it said so, and none said otherwise before. */
  #survives(write: OracleOperation, loss: { readonly volumeId: number; readonly tick: number }): boolean {
    if (write.optional || write.endTick > loss.tick) return false;
    if (write.forceUnitAccess) return true;
    const own = this.#flushes.filter((flush) => flush.client === write.client && flush.volumeId === loss.volumeId);
    const told = own.find((flush) => flush.outcome !== "ok" && flush.endTick > loss.tick)?.endTick ?? Infinity;
    return own.some((flush) => flush.outcome === "ok" && flush.beginTick > write.endTick && flush.endTick < told);
  }

  #writersOf(request: OracleRequest, data: Uint8Array): number[] {
    const writers: number[] = [];
    let problem: string | undefined;
    for (let at = 0; at < request.lengthBytes; at += SECTOR_BYTES) {
      const writer = writerOf(data, at, request);
      if (typeof writer === "string") problem ??= writer;
      writers.push(typeof writer === "string" ? UNKNOWN_WRITER : writer);
    }
    if (problem !== undefined && this.#problems.length < PROBLEMS_MAX) {
      this.#problems.push(`read ${request.number} of ${request.client}: ${problem}`);
    }
    return writers;
  }

  #block(volumeId: number, blockIndex: number): BlockHistory {
    const key = `${volumeId}/${blockIndex}`;
    let block = this.#blocks.get(key);
    if (block === undefined) this.#blocks.set(key, block = { volumeId, blockIndex, operations: [], loose: [] });
    return block;
  }
}

interface Piece {
  readonly blockIndex: number;
  readonly firstSector: number;
  /** First sector of the piece within the request. */
  readonly sectorAt: number;
  readonly sectorCount: number;
  readonly values: number[];
}

/** The blocks that a request touches. A trim leaves blocks alone that it covers in part. */
function blocksOf(request: OracleRequest): Piece[] {
  const pieces: Piece[] = [];
  const firstSector = request.offsetBytes / SECTOR_BYTES;
  const endSector = firstSector + request.lengthBytes / SECTOR_BYTES;
  for (let sector = firstSector; sector < endSector;) {
    const blockIndex = Math.floor(sector / SECTORS_PER_BLOCK);
    const end = Math.min(endSector, (blockIndex + 1) * SECTORS_PER_BLOCK);
    const sectorCount = end - sector;
    const value = request.kind === "write" ? request.number : 0;
    if (request.kind !== "trim" || sectorCount === SECTORS_PER_BLOCK) {
      pieces.push({
        blockIndex,
        firstSector: sector - blockIndex * SECTORS_PER_BLOCK,
        sectorAt: sector - firstSector,
        sectorCount,
        values: new Array<number>(sectorCount).fill(value),
      });
    }
    sector = end;
  }
  return pieces;
}

function named(open: OpenRequest): Pick<OracleOperation, "name" | "beginTick" | "client" | "forceUnitAccess"> {
  const { kind, number, client, forceUnitAccess = false } = open.request;
  return { name: `${kind} ${number} of ${client}`, beginTick: open.beginTick, client, forceUnitAccess };
}

function covers(operation: BlockOperation, at: { readonly sector: number }): boolean {
  return at.sector >= operation.firstSector && at.sector < operation.firstSector + operation.values.length;
}

/** The loose writes that a request of the same client ends: those it began after, and that no earlier request has ended. */
function closedBy(
  block: BlockHistory,
  by: { readonly client: string; readonly beginTick: number; readonly endTick: number },
): BlockOperation[] {
  const closed: BlockOperation[] = [];
  for (const { client, sinceTick, operation } of block.loose) {
    if (client !== by.client || sinceTick > by.beginTick || operation.endTick < by.beginTick) continue;
    closed.push(operation);
    // Half a tick later, so that the request which ends it is looked at first.
    if (operation.endTick === Infinity) operation.endTick = by.endTick + 0.5;
  }
  return closed;
}

function described(operation: BlockOperation): string {
  const sectors = `sectors ${operation.firstSector}..${operation.firstSector + operation.values.length - 1}`;
  const interval = `${operation.beginTick}..${operation.endTick}${operation.optional ? ", may not have happened" : ""}`;
  return `${operation.name} (${sectors} = [${operation.values}], ticks ${interval})`;
}

function historyAround(operations: readonly BlockOperation[], failed: BlockOperation): string {
  const before = operations.filter((operation) => operation.beginTick <= failed.endTick);
  return before.slice(-SHOWN_AROUND).map((operation) => `    ${described(operation)}`).join("\n");
}
