/**
 * An NBD connection with many requests in flight, whose answers come in any order.
 *
 * @module
 */
import type { NbdClient, RequestFields } from "@/tests/support/nbd_client.ts";

/** Command types. */
export const NBD = { read: 0, write: 1, flush: 3, trim: 4, writeZeroes: 6 } as const;
/** Command flags. */
export const NBD_FLAG = { fua: 1 << 0, noHole: 1 << 1 } as const;

/** The server's answer: an error number, 0 for success, and the bytes of a read. */
export interface NbdAnswer {
  readonly errno: number;
  readonly data: Uint8Array;
}

/** The connection ended before the answer came: whether the request was carried out is unknown. */
export class ConnectionLost extends Error {}

interface Pending {
  readonly readBytes: number;
  readonly answered: (answer: NbdAnswer) => void;
  readonly lost: (error: Error) => void;
}

/** Takes a client that has agreed on simple replies and entered transmission. */
export class NbdPipe {
  readonly #client: NbdClient;
  readonly #pending = new Map<number, Pending>();
  #nextCookie = 1;
  #sending: Promise<void> = Promise.resolve();
  #lost: Error | undefined;
  readonly #reading: Promise<void>;

  constructor(client: NbdClient) {
    this.#client = client;
    this.#reading = this.#readAnswers();
  }

  get isLost(): boolean {
    return this.#lost !== undefined;
  }

  /** Sends a request. Takes `payload`. @throws {ConnectionLost} when the connection ends before the answer. */
  request(fields: RequestFields, payload?: Uint8Array): Promise<NbdAnswer> {
    if (this.#lost) return Promise.reject(this.#lost);
    const cookie = this.#nextCookie++;
    const answer = Promise.withResolvers<NbdAnswer>();
    const readBytes = fields.type === NBD.read ? fields.lengthBytes ?? 0 : 0;
    this.#pending.set(cookie, { readBytes, answered: answer.resolve, lost: answer.reject });
    this.#sending = this.#sending.then(() => this.#client.request({ ...fields, cookie }, payload)).catch((error) =>
      this.#end(error)
    );
    return answer.promise;
  }

  /** Closes the connection; requests in flight are lost. */
  async close(): Promise<void> {
    this.#end(new Error("closed here"));
    await this.#sending;
    await this.#reading;
  }

  async #readAnswers(): Promise<void> {
    try {
      while (true) {
        const header = await this.#client.receive(16);
        const view = new DataView(header.buffer);
        const cookie = Number(view.getBigUint64(8));
        const errno = view.getUint32(4);
        const pending = this.#pending.get(cookie);
        if (view.getUint32(0) !== 0x67446698 || !pending) throw new Error(`An unexpected reply to ${cookie} came`);
        const data = await this.#client.receive(errno === 0 ? pending.readBytes : 0);
        this.#pending.delete(cookie);
        pending.answered({ errno, data });
      }
    } catch (error) {
      this.#end(error);
    }
  }

  #end(cause: unknown): void {
    if (this.#lost) return;
    this.#lost = new ConnectionLost("The NBD connection ended", { cause });
    this.#client.connection.close();
    for (const { lost } of this.#pending.values()) lost(this.#lost);
    this.#pending.clear();
  }
}
