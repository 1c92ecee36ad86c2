/**
 * One client of the device port, from accept to close. Its messages are answered in order, one at a time; it may send the
 * next ones ahead. What is in flight when it leaves is finished.
 *
 * @module
 */
import { MessageReader } from "@/sdc/device_server/message_reader.ts";
import { decodeMessage, DEVICE_LINE_BYTES_MAX, type Framing, type MessageId } from "@/sdc/device_server/messages.ts";
import { type AnswerFields, DeviceSession, type DeviceVolumes } from "@/sdc/device_server/session.ts";
import type { BufferPool } from "@/shared/buffers.ts";
import type { Clock } from "@/shared/clock.ts";
import { type ErrorCode, StorageError } from "@/shared/errors.ts";
import { SendQueue } from "@/shared/net/send_queue.ts";
import type { Connection } from "@/shared/transport.ts";
import { encodeDeviceFrame } from "@/shared/wire/device.ts";

/** Limits of the device port. */
export interface DeviceLimits {
  /** Connections at a time; one more is closed at once. */
  readonly connectionsMax: number;
  /** A connection on which nothing arrives for so long while it is waited for is closed, in milliseconds. */
  readonly idleMs: number;
  /** With more than this to send, the next message waits until the client has read, in bytes. */
  readonly queuedBytesMax: number;
  /** For answers to be read by the client before it is given up, in milliseconds. */
  readonly drainMs: number;
}

/** The defaults. */
export const DEVICE_LIMITS: DeviceLimits = {
  connectionsMax: 2_048,
  idleMs: 60_000,
  queuedBytesMax: 1024 * 1024,
  drainMs: 60_000,
};

/** What all connections of a server share. */
export interface DeviceConnectionParts {
  readonly volumes: DeviceVolumes;
  readonly clock: Clock;
  readonly buffers: BufferPool;
  readonly limits: DeviceLimits;
}

/** See the module comment. */
export class DeviceConnection {
  readonly #connection: Connection;
  readonly #parts: DeviceConnectionParts;
  readonly #queue: SendQueue;
  #framing: Framing = "json";
  #stopping = false;
  #waiting = false;

  constructor(connection: Connection, parts: DeviceConnectionParts) {
    this.#connection = connection;
    this.#parts = parts;
    this.#queue = new SendQueue(connection, { buffers: parts.buffers, onError: () => this.#abort() });
  }

  /** Serves the client to its end and gives the reason, for the log. Never rejects. */
  async run(): Promise<string> {
    const reader = new MessageReader({
      buffers: this.#parts.buffers,
      lineBytesMax: DEVICE_LINE_BYTES_MAX,
      read: (into) => this.#read(into),
    });
    try {
      const reason = await this.#serve(reader);
      await this.#drain();
      return reason;
    } catch (error) {
      return `the connection broke: ${error instanceof Error ? error.message : error}`;
    } finally {
      this.#abort();
      reader.release();
    }
  }

  /** Ends the connection after the message that is being carried out is answered. `run` resolves soon after. */
  stop(): void {
    this.#stopping = true;
    if (this.#waiting) this.#abort();
  }

  async #serve(reader: MessageReader): Promise<string> {
    const session = new DeviceSession(this.#parts.volumes);
    while (!this.#stopping) {
      const message = this.#framing === "json" ? await reader.nextLine() : await reader.nextFrame();
      if (message.kind === "end") return "the client left";
      if (message.kind === "too_long") {
        this.#refuse(undefined, { code: "too_large", message: `A line has at most ${DEVICE_LINE_BYTES_MAX} bytes` });
        return "the client sent a line that is too long";
      }
      if (message.kind === "broken") {
        this.#refuse(undefined, { code: "bad_request", message: message.problem });
        return `the client sent no frame: ${message.problem}`;
      }
      if (message.kind === "line" && message.text.trim() === "") continue;
      const payload = message.kind === "frame" ? message.payload : undefined;
      if (await this.#answer(session, { text: message.text, payload }) === "disconnect") {
        return "the client disconnected";
      }
      if (this.#queue.queuedBytes > this.#parts.limits.queuedBytesMax) await this.#drain();
      if (this.#queue.closed) return "the client does not read its answers";
    }
    return "the server stops";
  }

  /** Carries out one message and queues its answer; gives the kind of the command. */
  async #answer(
    session: DeviceSession,
    { text, payload }: { readonly text: string; readonly payload: Uint8Array | undefined },
  ): Promise<string | undefined> {
    const message = decodeMessage(text, payload);
    if (!message.ok) {
      this.#refuse(message.id, { code: message.code, message: message.problem });
      return undefined;
    }
    const { id, command } = message;
    try {
      const { fields, data } = await session.perform(command);
      this.#send(id, { ok: true, ...fields }, data);
      if (command.kind === "connect") this.#framing = command.framing ?? this.#framing;
    } catch (error) {
      if (error instanceof StorageError) this.#refuse(id, error);
      else this.#refuse(id, { code: "internal", message: "The message could not be carried out" });
    }
    return command.kind;
  }

  #refuse(id: MessageId, error: { readonly code: ErrorCode; readonly message: string }): void {
    this.#send(id, { ok: false, error: error.message, code: error.code });
  }

  #send(id: MessageId, fields: AnswerFields, data?: Uint8Array): void {
    const answer = id === undefined ? fields : { ...fields, id };
    if (this.#framing === "binary") {
      this.#queue.append(encodeDeviceFrame(answer, data?.length ?? 0));
      if (data !== undefined && data.length > 0) this.#queue.append(data);
      return;
    }
    const line = data === undefined ? answer : { ok: true, data_b64: data.toBase64(), ...answer };
    this.#queue.append(new TextEncoder().encode(JSON.stringify(line) + "\n"));
  }

  async #read(into: Uint8Array): Promise<number | null> {
    const deadline = this.#parts.clock.setTimer(this.#parts.limits.idleMs, () => this.#abort());
    this.#waiting = true;
    try {
      return await this.#connection.read(into);
    } finally {
      this.#waiting = false;
      deadline.cancel();
    }
  }

  async #drain(): Promise<void> {
    const { clock, limits } = this.#parts;
    await this.#queue.drainedWithin(clock, { limitMs: limits.drainMs, giveUp: () => this.#abort() });
  }

  #abort(): void {
    this.#queue.close();
    this.#connection.close();
  }
}
