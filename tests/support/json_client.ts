/**
 * A script at the newline-JSON door of an SDS: it sends the bytes that a test says, in the packets that it says.
 *
 * @module
 */
import type { Address, Connection, Transport } from "@/shared/transport.ts";

const READ_BYTES = 64 * 1024;

// deno-lint-ignore no-explicit-any -- a test looks at what it expects
export type JsonLine = any;

/** See the module comment. */
export class JsonClient {
  readonly #connection: Connection;
  #text = "";

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

  async send(...requests: readonly object[]): Promise<void> {
    const text = requests.map((request) => `${JSON.stringify(request)}\n`).join("");
    await this.sendBytes(new TextEncoder().encode(text));
  }

  /** The next answer; undefined when the connection has ended. */
  async receive(): Promise<JsonLine> {
    const buffer = new Uint8Array(READ_BYTES);
    while (!this.#text.includes("\n")) {
      const count = await this.#connection.read(buffer).catch(() => null);
      if (count === null) return undefined;
      this.#text += new TextDecoder().decode(buffer.subarray(0, count));
    }
    const end = this.#text.indexOf("\n");
    const line = this.#text.slice(0, end);
    this.#text = this.#text.slice(end + 1);
    return JSON.parse(line);
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
