/**
 * FLUSH of one volume (replication design, section 4.3), in rounds: one round at a time for all flushes that came before it
 * began, one frame per SDS that lists the groups with unflushed writes. A round goes on through failover like any IO; it
 * fails with `flush_lost` when a group lost unflushed writes since they were acknowledged, once.
 *
 * @module
 */
import type { BlockRequest } from "@/sdc/block_device.ts";
import type { SdcContext } from "@/sdc/context.ts";
import type { FlushList, FlushTarget } from "@/sdc/core/flush_list.ts";
import type { RouteTable } from "@/sdc/core/route_table.ts";
import { afterRefusal, backoffMs } from "@/sdc/core/retry.ts";
import { FlushExchange } from "@/sdc/remote/flush_exchange.ts";
import type { VolumeAtSds } from "@/sdc/remote/volume_at_sds.ts";
import type { Timer } from "@/shared/clock.ts";
import type { ErrorCode } from "@/shared/errors.ts";

/** The lossGeneration that a group had at a flush that was answered. */
export interface FlushedGeneration {
  readonly pgId: number;
  readonly lossGeneration: number;
}

/** What flushes need of their volume. */
export interface FlusherOwner {
  table(): RouteTable;
  targetOf(pgIndex: number): VolumeAtSds | undefined;
  wantMap(): void;
  wantToken(): void;
  fenced(): void;
  /** These groups answered a flush with these values, which are kept for the next attach. */
  keepGenerations(generations: readonly FlushedGeneration[]): void;
  /** A round fails; `lostPgIds` are the groups that lost unflushed writes. */
  roundFailed(code: ErrorCode, lostPgIds: readonly number[]): void;
}

/** One round. */
interface Round {
  readonly requests: readonly BlockRequest[];
  readonly startedAtMs: number;
  /** Groups without an answer that counts. */
  readonly open: Map<number, FlushTarget>;
  /** Of those, the ones that no frame in flight lists. */
  readonly unsent: Set<number>;
  readonly exchanges: Set<FlushExchange>;
  readonly lostPgIds: number[];
  readonly answered: FlushedGeneration[];
  error: ErrorCode | undefined;
  attempt: number;
}

/** See the module comment. */
export class Flusher {
  readonly #context: SdcContext;
  readonly #list: FlushList;
  readonly #owner: FlusherOwner;
  #waiting: BlockRequest[] = [];
  #round: Round | undefined;
  #retry: Timer | undefined;

  constructor(context: SdcContext, options: { readonly list: FlushList; readonly owner: FlusherOwner }) {
    this.#context = context;
    this.#list = options.list;
    this.#owner = options.owner;
  }

  /** True while a flush is not completed. */
  get isBusy(): boolean {
    return this.#round !== undefined;
  }

  /** Groups whose flush waits for a route. */
  get unsentPgIndexes(): readonly number[] {
    return this.#round === undefined ? [] : [...this.#round.unsent];
  }

  /** Since when the running round runs, by the monotonic clock. */
  get startedAtMs(): number | undefined {
    return this.#round?.startedAtMs;
  }

  /** Takes a flush. */
  submit(request: BlockRequest): void {
    this.#waiting.push(request);
    if (this.#round === undefined) this.#begin();
  }

  /** Routes of these groups changed: those in flight at another SDS than their primary's are sent again. */
  routesChanged(pgIndexes: ReadonlySet<number>): void {
    const round = this.#round;
    if (round === undefined) return;
    for (const exchange of [...round.exchanges]) {
      const moved = exchange.targets.some(({ pgIndex }) =>
        pgIndexes.has(pgIndex) && this.#owner.targetOf(pgIndex) !== exchange.at
      );
      if (moved) this.#takeBack(round, exchange);
    }
    this.#send();
  }

  /** Ends the running round, and with `code` "stop" also what waits, with an error. Its groups stay on the list. */
  fail(code: ErrorCode, scope: "round" | "all"): void {
    this.#retry?.cancel();
    this.#retry = undefined;
    const round = this.#round;
    const waiting = scope === "all" ? this.#waiting.splice(0) : [];
    if (round !== undefined) {
      for (const exchange of [...round.exchanges]) this.#takeBack(round, exchange);
      round.error ??= code;
      this.#finish(round);
    }
    for (const request of waiting) request.complete(code);
  }

  #begin(): void {
    const open = new Map(this.#list.beginRound().map((target) => [target.pgIndex, target]));
    this.#round = {
      requests: this.#waiting.splice(0),
      startedAtMs: this.#context.clock.monotonicMs(),
      open,
      unsent: new Set(open.keys()),
      exchanges: new Set(),
      lostPgIds: [],
      answered: [],
      error: undefined,
      attempt: 0,
    };
    if (open.size === 0) this.#finish(this.#round);
    else this.#send();
  }

  /** Sends what is unsent: one frame per SDS. */
  #send(): void {
    const round = this.#round;
    if (round === undefined || round.unsent.size === 0) return;
    const bySds = Map.groupBy(round.unsent, (pgIndex) => this.#owner.targetOf(pgIndex));
    for (const [at, pgIndexes] of bySds) {
      if (at === undefined) {
        this.#owner.wantMap();
        this.#retryLater(round);
        continue;
      }
      const targets = pgIndexes.map((pgIndex) => round.open.get(pgIndex)!);
      for (const pgIndex of pgIndexes) round.unsent.delete(pgIndex);
      const exchange: FlushExchange = new FlushExchange(at, {
        targets,
        timeoutMs: this.#context.times.flushTimeoutMs + this.#context.times.graceMs,
        table: () => this.#owner.table(),
        answered: (pgIndex, code, lossGeneration) => this.#pgAnswered(round, { pgIndex, code, lossGeneration }),
        ended: (code) => this.#exchangeEnded(round, exchange, code),
        late: () => this.#owner.wantMap(),
      });
      round.exchanges.add(exchange);
      at.submit(exchange);
    }
  }

  #pgAnswered(round: Round, answer: { pgIndex: number; code: ErrorCode | undefined; lossGeneration: number }): void {
    const { pgIndex, code, lossGeneration } = answer;
    if (!round.open.has(pgIndex) || this.#round !== round) return;
    if (code === undefined || code === "flush_lost") {
      const pgId = this.#owner.table().pgIds[pgIndex]!;
      if (code === "flush_lost") {
        round.lostPgIds.push(pgId);
        round.error ??= code;
      }
      round.answered.push({ pgId, lossGeneration });
      this.#list.settled(pgIndex);
      round.open.delete(pgIndex);
      return;
    }
    this.#pgRefused(round, pgIndex, code);
  }

  #pgRefused(round: Round, pgIndex: number, code: ErrorCode): void {
    const decision = afterRefusal(code, round.attempt, 0);
    if (decision.kind === "stop") return this.#owner.fenced();
    if (decision.kind === "fail") {
      round.error ??= code;
      round.open.delete(pgIndex);
      return;
    }
    round.unsent.add(pgIndex);
    if (decision.needs === "token") this.#owner.wantToken();
    else this.#owner.wantMap();
  }

  /** All groups of a frame were answered, or none: `code` then says why. */
  #exchangeEnded(round: Round, exchange: FlushExchange, code: ErrorCode | "lost" | undefined): void {
    if (this.#round !== round || !round.exchanges.delete(exchange)) return;
    for (const { pgIndex } of exchange.targets) {
      if (!round.open.has(pgIndex) || round.unsent.has(pgIndex)) continue;
      if (code === undefined || code === "lost") round.unsent.add(pgIndex);
      else this.#pgRefused(round, pgIndex, code);
      if (this.#round !== round) return;
    }
    if (round.open.size === 0) return this.#finish(round);
    if (round.unsent.size === 0) return;
    if (code === "lost") this.#owner.wantMap();
    this.#retryLater(round);
  }

  #takeBack(round: Round, exchange: FlushExchange): void {
    round.exchanges.delete(exchange);
    exchange.cancel();
    for (const { pgIndex } of exchange.targets) if (round.open.has(pgIndex)) round.unsent.add(pgIndex);
  }

  #retryLater(round: Round): void {
    if (this.#retry !== undefined) return;
    const { clock, random } = this.#context;
    this.#retry = clock.setTimer(backoffMs(round.attempt++, random.fraction()), () => {
      this.#retry = undefined;
      this.#send();
    });
  }

  #finish(round: Round): void {
    this.#retry?.cancel();
    this.#retry = undefined;
    this.#round = undefined;
    this.#list.endRound();
    if (round.answered.length > 0) this.#owner.keepGenerations(round.answered);
    if (round.error !== undefined) this.#owner.roundFailed(round.error, round.lostPgIds);
    for (const request of round.requests) request.complete(round.error);
    if (this.#waiting.length > 0 && this.#round === undefined) this.#begin();
  }
}
