/**
 * Heartbeats of a link and the lease that their answers extend (replication design, section 3.3). A lease runs from the time
 * at which the answered pulse was *sent*, and ends when either the monotonic or the wall clock has advanced by `leaseMs`: the
 * wall clock notices a suspended host.
 *
 * A lease that lapsed does not come back: the member's grace may have passed meanwhile, so every group has to be opened again,
 * by a request that was sent after the lapse was noticed.
 *
 * @module
 */
import { every, sleep, type Timer } from "@/shared/clock.ts";
import type { FrameChannel, FrameHandler } from "@/shared/net/frame_channel.ts";
import { pulseAnswerSchema } from "@/shared/wire/control.ts";
import type { LinkOut } from "@/sds/replication/link_out.ts";

/** Pause between two attempts to connect. */
const RECONNECT_MS = 100;

/** The pulse connection of one link. */
export class LinkPulse implements FrameHandler {
  readonly #link: LinkOut;
  #channel: FrameChannel | undefined;
  #running = false;
  #wanted = false;
  #timer: Timer | undefined;
  #sequence = 0;
  /** Send times of unanswered pulses, by number: monotonic and wall. */
  readonly #sent = new Map<number, { readonly monotonicMs: number; readonly wallMs: number }>();
  #leaseFromMonotonicMs = -Infinity;
  #leaseFromWallMs = -Infinity;
  #lapseCount = 0;
  /** When the last answer came, or the pulse was started. */
  #heardMs = 0;
  /** When the present connection was opened. */
  #openedMs = 0;
  #ended = (): void => {};

  constructor(link: LinkOut) {
    this.#link = link;
  }

  start(): void {
    this.#wanted = true;
    if (this.#running) return;
    this.#heardMs = this.#link.device.context.clock.monotonicMs();
    this.#run();
  }

  stop(): void {
    this.#wanted = false;
    this.#timer?.cancel();
    this.#channel?.close("the pulse stops");
  }

  /** Gives up a connection that may be half open, once it had as long to answer; the next one follows by itself. */
  reconnectIfSilent(nowMs: number, silentMsMax: number): void {
    if (nowMs - this.#openedMs > silentMsMax) this.#channel?.close("no heartbeat was answered");
  }

  leaseHolds(): boolean {
    const { clock, times } = this.#link.device.context;
    const monotonicMs = clock.monotonicMs() - this.#leaseFromMonotonicMs;
    const wallMs = clock.wallMs() - this.#leaseFromWallMs;
    return monotonicMs < times.leaseMs && wallMs < times.leaseMs && wallMs > -times.leaseMs;
  }

  /** How often an answer came when no lease held: what was opened before the last time counts for nothing. */
  get lapseCount(): number {
    return this.#lapseCount;
  }

  /** How long the member has been silent; 0 while nobody asks it. */
  silentMs(nowMs: number): number {
    return this.#running ? nowMs - this.#heardMs : 0;
  }

  onFrame(): void {}

  onMessage(message: { readonly kind?: unknown }): void {
    const answer = pulseAnswerSchema.parse(message);
    const sent = this.#sent.get(answer.requestId);
    if (sent === undefined) return;
    for (const sequence of this.#sent.keys()) if (sequence <= answer.requestId) this.#sent.delete(sequence);
    this.#heardMs = this.#link.device.context.clock.monotonicMs();
    if (!this.leaseHolds() && this.#link.device.context.guards.leaseLapse) {
      this.#lapseCount++;
      for (const target of this.#link.targets) this.#link.notCovered(target);
    }
    this.#leaseFromMonotonicMs = Math.max(this.#leaseFromMonotonicMs, sent.monotonicMs);
    this.#leaseFromWallMs = sent.wallMs;
    if (answer.notCovered.length === 0) return;
    const notCovered = new Set(answer.notCovered);
    for (const target of this.#link.targets) if (notCovered.has(target.group.pgId)) this.#link.notCovered(target);
  }

  onBatchEnd(): void {}

  onClosed(): void {
    this.#channel = undefined;
    this.#ended();
  }

  async #run(): Promise<void> {
    this.#running = true;
    const { clock, times } = this.#link.device.context;
    while (this.#wanted) {
      try {
        const channel = await this.#link.device.dialPeer("pulse", {
          deviceId: this.#link.remoteDeviceId,
          signal: this.#link.stopSignal,
        });
        await this.#beat(channel, times.heartbeatMs);
      } catch {
        // The link's own loop tells why a peer cannot be reached; `silentMs` counts the silence.
      }
      if (this.#wanted) await sleep(clock, RECONNECT_MS, this.#link.stopSignal);
    }
    this.#sent.clear();
    this.#running = false;
    if (this.#wanted) this.start();
  }

  /** Sends pulses until the connection ends. */
  async #beat(channel: FrameChannel, intervalMs: number): Promise<void> {
    if (channel.closed) return;
    // Answers of an earlier connection never come.
    this.#sent.clear();
    const ended = Promise.withResolvers<void>();
    this.#channel = channel;
    this.#openedMs = this.#link.device.context.clock.monotonicMs();
    this.#ended = ended.resolve;
    channel.handle(this);
    this.#send(channel);
    this.#timer = every(this.#link.device.context.clock, intervalMs, () => this.#send(channel));
    await ended.promise;
    this.#timer.cancel();
  }

  #send(channel: FrameChannel): void {
    const { clock } = this.#link.device.context;
    const requestId = ++this.#sequence;
    this.#sent.set(requestId, { monotonicMs: clock.monotonicMs(), wallMs: clock.wallMs() });
    channel.sendJson({ kind: "pulse", requestId, linkSession: 0 });
  }
}
