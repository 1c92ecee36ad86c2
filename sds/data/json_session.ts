/**
 * One connection that speaks newline JSON (`shared/wire/json_lines.ts`): a line is read, its request served, answered, and then
 * the next. What a peer can make this process hold is bounded: its own line, and all lines together by the port.
 *
 * @module
 */
import { crc32 } from "node:zlib";
import type { Clock } from "@/shared/clock.ts";
import { StorageError } from "@/shared/errors.ts";
import type { Connection } from "@/shared/transport.ts";
import { type JsonAnswer, LINE_BUFFER_BYTES_MIN, LineBuffer, parseJsonLine } from "@/shared/wire/json_lines.ts";

/** Time for a whole line to come, or for an answer to be taken. */
export const JSON_IDLE_MS_MAX = 60_000;

/** What a connection needs. */
export interface JsonSessionOptions {
  readonly clock: Clock;
  /** What was read of the connection already; begins with `{`. */
  readonly firstBytes: Uint8Array;
  /** Asks for room for a line; negative gives back. */
  mayGrow(byBytes: number): boolean;
  /** Serves one request. Does not reject. */
  serve(request: Readonly<Record<string, unknown>>): Promise<JsonAnswer>;
}

/** See the module comment. */
export class JsonSession {
  readonly #connection: Connection;
  readonly #options: JsonSessionOptions;
  readonly #lines: LineBuffer;
  #closed = false;

  constructor(connection: Connection, options: JsonSessionOptions) {
    this.#connection = connection;
    this.#options = options;
    this.#lines = new LineBuffer((byBytes) => options.mayGrow(byBytes));
  }

  /** Serves until the connection ends. Never rejects. */
  async run(): Promise<void> {
    try {
      await this.#serveAll();
    } catch (error) {
      // The peer went away, or its bytes make no lines: only in that case it is still there to hear why.
      if (error instanceof StorageError) await this.#answer(failureOf(error)).catch(() => {});
    } finally {
      this.close();
      this.#lines.release();
    }
  }

  /** Ends the connection; what was started goes on. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#connection.close();
  }

  async #serveAll(): Promise<void> {
    const readBuffer = new Uint8Array(LINE_BUFFER_BYTES_MIN);
    let bytes = this.#options.firstBytes;
    let deadline = this.#deadline();
    try {
      while (!this.#closed) {
        this.#lines.append(bytes);
        for (let line = this.#lines.next(); line !== undefined && !this.#closed; line = this.#lines.next()) {
          deadline.cancel();
          await this.#serveLine(line);
          deadline = this.#deadline();
        }
        const count = await this.#connection.read(readBuffer);
        if (count === null) return;
        bytes = readBuffer.subarray(0, count);
      }
    } finally {
      deadline.cancel();
    }
  }

  #deadline() {
    return this.#options.clock.setTimer(JSON_IDLE_MS_MAX, () => this.close());
  }

  async #serveLine(line: Uint8Array): Promise<void> {
    if (line.length === 0 || (line.length === 1 && line[0] === 0x0d)) return;
    await this.#answer(await this.#options.serve(parseJsonLine(line)));
  }

  async #answer(answer: JsonAnswer): Promise<void> {
    const bytes = new TextEncoder().encode(`${JSON.stringify(answer)}\n`);
    const deadline = this.#deadline();
    try {
      for (let at = 0; at < bytes.length && !this.#closed;) at += await this.#connection.write(bytes.subarray(at));
    } finally {
      deadline.cancel();
    }
  }
}

/** The answer to a request that failed. */
export function failureOf(error: StorageError): JsonAnswer {
  return { ok: false, error: error.message, code: error.code };
}

/** The answer to a read. Borrows `data`. */
export function readAnswer(data: Uint8Array, generation: number): JsonAnswer {
  return {
    ok: true,
    data_b64: Buffer.from(data.buffer, data.byteOffset, data.length).toString("base64"),
    bytes_read: data.length,
    generation,
    checksum: crc32(data).toString(16).padStart(8, "0"),
  };
}
