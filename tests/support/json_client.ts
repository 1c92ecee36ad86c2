/**
 * A script at the newline-JSON door of an SDS: it sends the bytes that a test says, in the packets that it says.
 *
 * @module
 */
import type { Address, Connection, Transport } from "@/shared/transport.ts";

const READ_BYTES = 256 * 1024;
const LINE_FEED = 0x0a;

// deno-lint-ignore no-explicit-any -- a test looks at what it expects
export type JsonLine = any;

/** See the module comment. */
export class JsonClient {
  readonly #connection: Connection;
  #received: Uint8Array = new Uint8Array(0);

  private constructor(connection: Connection) {
    this.#connection = connection;
  }

  static async connect(transport: Transport, address: Address): Promise<JsonClient> {
    return new JsonClient(await transport.connect(address));
  }

  /** Sends bytes as they are. @throws {Error} when the peer has gone. */
  async sendBytes(bytes: Uint8Array): Promise<void> {
    for (let at = 0; at < bytes.length;) at += await this.#connection.write(bytes.subarray(at));
  }

  sendText(text: string): Promise<void> {
    return this.sendBytes(new TextEncoder().encode(text));
  }

  send(...requests: readonly object[]): Promise<void> {
    return this.sendText(requests.map((request) => `${JSON.stringify(request)}\n`).join(""));
  }

  /** The next answer; undefined when the connection has ended. */
  async receive(): Promise<JsonLine> {
    let end = this.#received.indexOf(LINE_FEED);
    while (end < 0) {
      if (!await this.#read()) return undefined;
      end = this.#received.indexOf(LINE_FEED);
    }
    return JSON.parse(new TextDecoder().decode(this.#take(end + 1)));
  }

  /** The next `byteCount` bytes; undefined when the connection ends before. */
  async receiveBytes(byteCount: number): Promise<Uint8Array | undefined> {
    while (this.#received.length < byteCount) if (!await this.#read()) return undefined;
    return this.#take(byteCount);
  }

  async #read(): Promise<boolean> {
    const buffer = new Uint8Array(READ_BYTES);
    const count = await this.#connection.read(buffer).catch(() => null);
    if (count === null) return false;
    const received = new Uint8Array(this.#received.length + count);
    received.set(this.#received);
    received.set(buffer.subarray(0, count), this.#received.length);
    this.#received = received;
    return true;
  }

  #take(byteCount: number): Uint8Array {
    const taken = this.#received.subarray(0, byteCount);
    this.#received = this.#received.subarray(byteCount);
    return taken;
  }

  /** Sends one request and gives its answer. */
  async ask(request: object): Promise<JsonLine> {
    await this.send(request);
    return await this.receive();
  }

  close(): void {
    this.#connection.close();
  }
}
