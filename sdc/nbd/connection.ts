/**
 * One client of the NBD server, from accept to close.
 *
 *   handshake (limited in time) ──► transmission ──► draining (limited in time) ──► closed
 *
 * Whatever ends it, the requests in flight are finished at the device before `run` resolves; their replies are sent if the
 * client is still there.
 *
 * @module
 */
import type { NbdExports } from "@/sdc/nbd/exports.ts";
import { shakeHands } from "@/sdc/nbd/handshake.ts";
import type { NbdLimits } from "@/sdc/nbd/limits.ts";
import { ReceiveBuffer } from "@/sdc/nbd/receive_buffer.ts";
import { type IoTotals, Transmission } from "@/sdc/nbd/transmission.ts";
import type { BufferPool } from "@/shared/buffers.ts";
import type { Clock } from "@/shared/clock.ts";
import { SendQueue } from "@/shared/net/send_queue.ts";
import type { Connection } from "@/shared/transport.ts";

/** What all connections of a server share. */
export interface ConnectionParts {
  readonly exports: NbdExports;
  readonly clock: Clock;
  readonly buffers: BufferPool;
  readonly limits: NbdLimits;
  readonly totals: IoTotals;
}

/** A connection as the management API shows it. */
export interface NbdConnectionStatus {
  readonly peer: string;
  /** Undefined during the handshake. */
  readonly exportName: string | undefined;
  readonly inFlightCount: number;
}

/** See the module comment. */
export class NbdConnection {
  readonly #connection: Connection;
  readonly #parts: ConnectionParts;
  readonly #queue: SendQueue;
  #exportName: string | undefined;
  #transmission: Transmission | undefined;
  #stopping = false;

  constructor(connection: Connection, parts: ConnectionParts) {
    this.#connection = connection;
    this.#parts = parts;
    this.#queue = new SendQueue(connection, {
      buffers: parts.buffers,
      onError: () => this.#abort(),
      onProgress: () => this.#transmission?.resume(),
    });
  }

  get status(): NbdConnectionStatus {
    return {
      peer: this.#connection.peer,
      exportName: this.#exportName,
      inFlightCount: this.#transmission?.inFlightCount ?? 0,
    };
  }

  /** Serves the client to its end and gives the reason, for the log. Never rejects. */
  async run(): Promise<string> {
    const receive = new ReceiveBuffer(this.#connection, this.#parts.buffers);
    try {
      const reason = await this.#serve(receive);
      await this.#drain();
      return reason;
    } catch (error) {
      return `the connection broke: ${error instanceof Error ? error.message : error}`;
    } finally {
      this.#queue.close();
      this.#connection.close();
      receive.release();
    }
  }

  /** Finishes and answers what is in flight, refuses what comes, then closes. `run` resolves soon after. */
  async stop(): Promise<void> {
    this.#stopping = true;
    const transmission = this.#transmission;
    if (transmission !== undefined) {
      transmission.refuseNew();
      await transmission.idle();
      await this.#drain();
    }
    this.#abort();
  }

  async #serve(receive: ReceiveBuffer): Promise<string> {
    const { exports, clock, limits, buffers, totals } = this.#parts;
    const deadline = clock.setTimer(limits.handshakeMs, () => this.#abort());
    const outcome = await shakeHands({ receive, queue: this.#queue, exports }).finally(() => deadline.cancel());
    if (outcome.kind === "close") return outcome.reason;
    const { agreement } = outcome;
    this.#exportName = agreement.device.name;
    this.#transmission = new Transmission({
      connection: this.#connection,
      receive,
      queue: this.#queue,
      buffers,
      agreement,
      limits,
      totals,
    });
    if (this.#stopping) this.#transmission.refuseNew();
    return await this.#transmission.run();
  }

  /** Lets the last replies leave, for a limited time: the client may not be reading any more. */
  async #drain(): Promise<void> {
    const { clock, limits } = this.#parts;
    await this.#queue.drainedWithin(clock, { limitMs: limits.drainMs, giveUp: () => this.#abort() });
  }

  /** Ends the connection at once: a read or a write in flight rejects. */
  #abort(): void {
    this.#queue.close();
    this.#connection.close();
    this.#transmission?.resume();
  }
}
