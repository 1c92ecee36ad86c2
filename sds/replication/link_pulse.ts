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
import { sleep } from "@/shared/clock.ts";
import { StorageError } from "@/shared/errors.ts";
import type { PgId } from "@/shared/ids.ts";
import type { Frame, FrameChannel, FrameHandler } from "@/shared/net/frame_channel.ts";
import { FRAME_KINDS, HEADER_FIELDS, NOT_COVERED_BYTES } from "@/shared/wire/header.ts";
import type { LinkOut } from "@/sds/replication/link_out.ts";

/** Pause between two attempts to connect. */
const RECONNECT_MS = 100;

/** The pulse connection of one link. */
export class LinkPulse implements FrameHandler {
  readonly #link: LinkOut;
  #channel: FrameChannel | undefined;
  #running = false;
  #wanted = false;
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

  /** Sends a pulse, at each beat of the process. */
  beat(): void {
    if (this.#channel !== undefined) this.#send(this.#channel);
  }

  onFrame(frame: Frame): void {
    const { header, headerAt, view, payloadAt, payloadBytes } = frame;
    if (header.getUint8(headerAt) !== FRAME_KINDS.pulse_answer) throw notAnswer();
    const requestId = header.getUint32(headerAt + HEADER_FIELDS.requestId[0]);
    const sent = this.#sent.get(requestId);
    if (sent === undefined) return;
    for (const sequence of this.#sent.keys()) if (sequence <= requestId) this.#sent.delete(sequence);
    this.#heardMs = this.#link.device.context.clock.monotonicMs();
    if (!this.leaseHolds() && this.#link.device.context.guards.leaseLapse) {
      this.#lapseCount++;
      for (const target of this.#link.targets) this.#link.notCovered(target, Infinity);
    }
    this.#leaseFromMonotonicMs = Math.max(this.#leaseFromMonotonicMs, sent.monotonicMs);
    this.#leaseFromWallMs = sent.wallMs;
    if (payloadBytes === 0) return;
    const notCovered = new Set<PgId>();
    for (let at = payloadAt; at + NOT_COVERED_BYTES <= payloadAt + payloadBytes; at += NOT_COVERED_BYTES) {
      notCovered.add(view.getUint32(at) as PgId); // the member names groups by their ids
    }
    for (const target of this.#link.targets) {
      if (notCovered.has(target.group.pgId)) this.#link.notCovered(target, sent.monotonicMs);
    }
  }

  onMessage(): void {
    throw notAnswer();
  }

  onBatchEnd(): void {}

  onClosed(): void {
    this.#channel = undefined;
    this.#ended();
  }

  async #run(): Promise<void> {
    this.#running = true;
    const { clock } = this.#link.device.context;
    while (this.#wanted) {
      try {
        const channel = await this.#link.device.dialPeer("pulse", {
          deviceId: this.#link.remoteDeviceId,
          signal: this.#link.stopSignal,
        });
        await this.#untilEnd(channel);
      } catch {
        // The link's own loop tells why a peer cannot be reached; `silentMs` counts the silence.
      }
      if (this.#wanted) await sleep(clock, RECONNECT_MS, this.#link.stopSignal);
    }
    this.#sent.clear();
    this.#running = false;
    if (this.#wanted) this.start();
  }

  /** Pulses go over this connection until it ends, the first at once. */
  async #untilEnd(channel: FrameChannel): Promise<void> {
    if (channel.closed) return;
    // Answers of an earlier connection never come.
    this.#sent.clear();
    const ended = Promise.withResolvers<void>();
    this.#channel = channel;
    this.#openedMs = this.#link.device.context.clock.monotonicMs();
    this.#ended = ended.resolve;
    channel.handle(this);
    this.#send(channel);
    await ended.promise;
  }

  #send(channel: FrameChannel): void {
    const { clock } = this.#link.device.context;
    const requestId = ++this.#sequence;
    this.#sent.set(requestId, { monotonicMs: clock.monotonicMs(), wallMs: clock.wallMs() });
    channel.beginFrame(FRAME_KINDS.pulse, { requestId, payloadBytes: 0 });
  }
}

function notAnswer(): StorageError {
  return new StorageError("bad_request", "Cannot take anything but answers to pulses on a pulse connection");
}
