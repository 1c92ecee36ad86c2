/**
 * One volume at one SDS: the handle that its token opened on the present connection, and the requests that wait for the
 * handle or for a free slot, in order.
 *
 *   no handle ──(lane and token)──► opening ──(volume_opened)──► handle ──(lane closed, renewal refused)──► no handle
 *
 * @module
 */
import { afterRefusal, backoffMs } from "@/sdc/core/retry.ts";
import type { Exchange } from "@/sdc/remote/exchange.ts";
import type { Lane } from "@/sdc/remote/lane.ts";
import type { SdsPeer } from "@/sdc/remote/sds_peer.ts";
import type { Clock, Timer } from "@/shared/clock.ts";
import { type ErrorCode, StorageError } from "@/shared/errors.ts";
import type { Random } from "@/shared/random.ts";
import type { SessionAnswer } from "@/shared/wire/control.ts";

/** What a volume at an SDS asks of its volume. */
export interface VolumeAtSdsOwner {
  readonly clock: Clock;
  readonly random: Random;
  /** The newest token; undefined while there is none. */
  token(): string | undefined;
  /** A new token is needed; `tokenRenewed` is called when it is there. */
  wantToken(): void;
  /** The route to this SDS is in doubt. */
  wantMap(): void;
  /** Requests that waited for a valid token here may go. */
  handleOpened(target: VolumeAtSds): void;
  /** The SDS says that this session or mapping is gone. */
  fenced(): void;
}

/** See the module comment. */
export class VolumeAtSds {
  readonly peer: SdsPeer;
  readonly #owner: VolumeAtSdsOwner;
  #handle: number | undefined;
  #opening = false;
  #retry: Timer | undefined;
  #attempt = 0;
  #waiting: Exchange[] = [];
  /** Index in `#waiting` of the first that waits; what stands before it has gone. */
  #first = 0;
  #closed = false;

  constructor(peer: SdsPeer, owner: VolumeAtSdsOwner) {
    this.peer = peer;
    this.#owner = owner;
    peer.attach(this);
  }

  get waitingCount(): number {
    return this.#waiting.length - this.#first;
  }

  /** The handle on the open connection, if there is one. */
  get handle(): number | undefined {
    return this.#handle;
  }

  /** Sends `exchange` now if it may go, else it waits its turn. */
  submit(exchange: Exchange): void {
    const lane = this.peer.lane;
    if (lane !== undefined && this.#handle !== undefined && this.waitingCount === 0 && lane.freeSlots > 0) {
      return exchange.transmit(lane, this.#handle);
    }
    this.#waiting.push(exchange);
    this.#progress();
  }

  /** Sends what waits, as far as slots allow. */
  pump(): void {
    const lane = this.peer.lane;
    if (lane === undefined || this.#handle === undefined || this.waitingCount === 0) return;
    while (this.#first < this.#waiting.length && lane.freeSlots > 0 && !lane.closed) {
      const exchange = this.#waiting[this.#first++]!;
      if (exchange.wanted) exchange.transmit(lane, this.#handle);
    }
    if (this.#first === this.#waiting.length) this.#waiting.length = this.#first = 0;
    else if (this.#first >= 1024) this.#waiting = this.#waiting.splice(this.#first), this.#first = 0;
  }

  /** Takes back all that waits, for another SDS perhaps. */
  takeWaiting(): readonly Exchange[] {
    const waiting = this.#waiting.slice(this.#first).filter((exchange) => exchange.wanted);
    this.#waiting = [];
    this.#first = 0;
    return waiting;
  }

  laneOpened(lane: Lane): void {
    this.#attempt = 0;
    if (!this.#closed) void this.#open(lane);
  }

  laneClosed(): void {
    this.#handle = undefined;
    this.#owner.wantMap();
  }

  peerUnreachable(fenced: boolean): void {
    if (fenced) this.#owner.fenced();
    else this.#owner.wantMap();
  }

  /** A newer token is there. */
  tokenRenewed(): void {
    const lane = this.peer.lane;
    if (lane === undefined || this.#closed) return this.#progress();
    if (this.#handle === undefined) void this.#open(lane);
    else void this.#renew(lane, this.#handle);
  }

  /** Lets the SDS forget the handle. What waits is the caller's, see `takeWaiting`. */
  close(): void {
    this.#closed = true;
    this.#retry?.cancel();
    this.peer.detach(this);
    const lane = this.peer.lane;
    if (lane !== undefined && this.#handle !== undefined) {
      lane.request({ kind: "close_volume", handle: this.#handle }).catch(() => {});
    }
    this.#handle = undefined;
  }

  #progress(): void {
    if (this.#closed || this.waitingCount === 0 || this.#handle !== undefined) return;
    const lane = this.peer.lane;
    if (lane === undefined) this.peer.wake();
    else if (this.#retry === undefined) void this.#open(lane);
  }

  async #open(lane: Lane): Promise<void> {
    if (this.#opening || this.#handle !== undefined) return;
    const token = this.#owner.token();
    if (token === undefined) return this.#owner.wantToken();
    this.#opening = true;
    const answer = await outcomeOf(lane.request({ kind: "open_volume", token }));
    this.#opening = false;
    if (this.#closed) return;
    if (this.peer.lane !== lane) return this.#progress();
    if (typeof answer === "string") return this.#refused(answer, lane);
    if (answer.kind !== "volume_opened") return lane.close(`it answers open_volume with ${answer.kind}`);
    this.#handle = answer.handle;
    this.#attempt = 0;
    this.#owner.handleOpened(this);
    this.pump();
  }

  async #renew(lane: Lane, handle: number): Promise<void> {
    const token = this.#owner.token();
    if (token === undefined) return;
    const answer = await outcomeOf(lane.request({ kind: "renew_token", handle, token }));
    if (this.#closed || this.peer.lane !== lane) return;
    if (typeof answer !== "string") return this.#owner.handleOpened(this);
    if (answer === "fenced") return this.#owner.fenced();
    if (this.#handle === handle) this.#handle = undefined;
    void this.#open(lane);
  }

  /** Whatever the reason, the MDM has the last word: a new token is asked for, and only its refusal ends the volume. */
  #refused(code: ErrorCode, lane: Lane): void {
    if (afterRefusal(code, 0, 0).kind === "stop") return this.#owner.fenced();
    if (code !== "unavailable") this.#owner.wantToken();
    this.#owner.wantMap();
    const { clock, random } = this.#owner;
    this.#retry?.cancel();
    this.#retry = clock.setTimer(backoffMs(this.#attempt++, random.fraction()), () => {
      this.#retry = undefined;
      if (this.peer.lane === lane) void this.#open(lane);
      else this.#progress();
    });
  }
}

/** The answer, or the code of the refusal. */
async function outcomeOf(request: Promise<SessionAnswer>): Promise<SessionAnswer | ErrorCode> {
  try {
    return await request;
  } catch (error) {
    return error instanceof StorageError ? error.code : "unavailable";
  }
}
