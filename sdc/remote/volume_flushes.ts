/**
 * The flushes of one volume from its attach on: what comes before the first map waits; the flush list begins with the values
 * kept from the last attach, or at the first one with the current values (replication design, section 4.3).
 *
 * @module
 */
import type { BlockRequest } from "@/sdc/block_device.ts";
import type { SdcContext } from "@/sdc/context.ts";
import { FlushList } from "@/sdc/core/flush_list.ts";
import type { RouteTable } from "@/sdc/core/route_table.ts";
import { type FlushedGeneration, Flusher, type FlusherOwner } from "@/sdc/remote/flusher.ts";
import type { ErrorCode } from "@/shared/errors.ts";

/** What the flushes need of their volume. */
export interface VolumeFlushesOwner extends FlusherOwner {
  /** The lossGeneration by pgId that was kept; empty at the first attach. */
  keptGenerations(): ReadonlyMap<number, number>;
}

/** See the module comment. */
export class VolumeFlushes {
  readonly #context: SdcContext;
  readonly #owner: VolumeFlushesOwner;
  #held: { readonly block: BlockRequest; readonly sinceMs: number }[] = [];
  #open: { readonly list: FlushList; readonly flusher: Flusher } | undefined;

  constructor(context: SdcContext, owner: VolumeFlushesOwner) {
    this.#context = context;
    this.#owner = owner;
  }

  /** True while a flush is not completed. */
  get isBusy(): boolean {
    return this.#held.length > 0 || this.#open?.flusher.isBusy === true;
  }

  /** Groups whose flush waits for a route. */
  get unsentPgIndexes(): readonly number[] {
    return this.#open?.flusher.unsentPgIndexes ?? [];
  }

  /** Routes are known: fills the list with the groups of the volume's chunks and runs what was held. */
  begin(table: RouteTable, chunkCount: number): void {
    const list = new FlushList(table.pgCount);
    const kept = this.#owner.keptGenerations();
    const first: FlushedGeneration[] = [];
    for (const pgIndex of table.pgIndexesOfVolume(chunkCount)) {
      const pgId = table.pgIds[pgIndex]!;
      const lossGeneration = kept.get(pgId) ?? table.lossGenerations[pgIndex]!;
      if (!kept.has(pgId)) first.push({ pgId, lossGeneration });
      list.wrote(pgIndex, lossGeneration);
    }
    if (first.length > 0) this.#owner.keepGenerations(first);
    const flusher = new Flusher(this.#context, { list, owner: this.#owner });
    this.#open = { list, flusher };
    for (const { block } of this.#held.splice(0)) flusher.submit(block);
  }

  /** Takes a flush. */
  submit(block: BlockRequest): void {
    if (this.#open !== undefined) this.#open.flusher.submit(block);
    else this.#held.push({ block, sinceMs: this.#context.clock.monotonicMs() });
  }

  /** A write to the group completed, after `begin`. */
  wrote(pgIndex: number, lossGeneration: number): void {
    this.#open!.list.wrote(pgIndex, lossGeneration); // nothing is sent before there are routes
  }

  routesChanged(pgIndexes: ReadonlySet<number>): void {
    this.#open?.flusher.routesChanged(pgIndexes);
  }

  /** Fails what began before `oldestMs` of the monotonic clock. Its groups stay on the list. */
  giveUp(oldestMs: number): void {
    const overdue = this.#held.filter(({ sinceMs }) => sinceMs <= oldestMs);
    this.#held = this.#held.filter((held) => !overdue.includes(held));
    for (const { block } of overdue) {
      this.#owner.roundFailed("give_up", []);
      block.complete("give_up");
    }
    const { flusher } = this.#open ?? {};
    if (flusher?.startedAtMs !== undefined && flusher.startedAtMs <= oldestMs) flusher.fail("give_up", "round");
  }

  /** Fails everything: the volume stopped. */
  fail(code: ErrorCode): void {
    for (const { block } of this.#held.splice(0)) block.complete(code);
    this.#open?.flusher.fail(code, "all");
  }
}
