/**
 * A bare NBD client for tests: it sends what the test says, right or wrong, and shows what comes back.
 *
 * @module
 */
import type { Connection } from "@/shared/transport.ts";

/** Big-endian integers and bytes, one after the other: `[width, value]` or the bytes themselves. */
export type Field = readonly [2 | 4 | 8, number | bigint] | Uint8Array | string;

/** Concatenates fields; strings are UTF-8. */
export function packed(...fields: readonly Field[]): Uint8Array<ArrayBuffer> {
  const parts = fields.map((field) => {
    if (typeof field === "string") return new TextEncoder().encode(field);
    if (field instanceof Uint8Array) return field;
    const bytes = new Uint8Array(field[0]);
    const view = new DataView(bytes.buffer);
    if (field[0] === 2) view.setUint16(0, Number(field[1]));
    else if (field[0] === 4) view.setUint32(0, Number(field[1]));
    else view.setBigUint64(0, BigInt(field[1]));
    return bytes;
  });
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let position = 0;
  for (const part of parts) {
    bytes.set(part, position);
    position += part.length;
  }
  return bytes;
}

/** Bytes of an option. */
export function optionBytes(option: number, data: Uint8Array = new Uint8Array(0)): Uint8Array<ArrayBuffer> {
  return packed("IHAVEOPT", [4, option], [4, data.length], data);
}

/** Data of GO and INFO. */
export function infoData(name: string, infoTypes: readonly number[] = []): Uint8Array<ArrayBuffer> {
  const encoded = new TextEncoder().encode(name);
  return packed([4, encoded.length], encoded, [2, infoTypes.length], ...infoTypes.map((type): Field => [2, type]));
}

/** Data of LIST_META_CONTEXT and SET_META_CONTEXT. */
export function contextData(name: string, queries: readonly string[]): Uint8Array<ArrayBuffer> {
  const encoded = new TextEncoder().encode(name);
  return packed(
    [4, encoded.length],
    encoded,
    [4, queries.length],
    ...queries.flatMap((query): Field[] => [[4, query.length], query]),
  );
}

/** A request; what is left out is 0. */
export interface RequestFields {
  readonly type: number;
  readonly flags?: number;
  readonly cookie?: number;
  readonly offsetBytes?: number | bigint;
  readonly lengthBytes?: number;
}

/** Bytes of a request header. */
export function requestBytes(fields: RequestFields): Uint8Array<ArrayBuffer> {
  return packed(
    [4, 0x25609513],
    [2, fields.flags ?? 0],
    [2, fields.type],
    [8, fields.cookie ?? 0],
    [8, fields.offsetBytes ?? 0],
    [4, fields.lengthBytes ?? 0],
  );
}

/** A reply of either form. */
export interface NbdReply {
  readonly structured: boolean;
  readonly cookie: number;
  /** Error number; of a structured reply only in an error chunk. */
  readonly errno: number;
  /** Chunk type; undefined for a simple reply. */
  readonly chunk: number | undefined;
  /** Data of a read; content of a chunk without the offset of a data chunk. */
  readonly data: Uint8Array;
}

/** See the module comment. */
export class NbdClient {
  readonly connection: Connection;

  constructor(connection: Connection) {
    this.connection = connection;
  }

  async send(...parts: readonly Uint8Array[]): Promise<void> {
    let rest: Uint8Array = packed(...parts);
    while (rest.length > 0) rest = rest.subarray(await this.connection.write(rest));
  }

  /** The next `byteCount` bytes. @throws {Error} when the stream ends first. */
  async receive(byteCount: number): Promise<Uint8Array<ArrayBuffer>> {
    const bytes = new Uint8Array(byteCount);
    let filled = 0;
    while (filled < byteCount) {
      const count = await this.connection.read(bytes.subarray(filled));
      if (count === null) throw new Error(`The server closed after ${filled} of ${byteCount} bytes`);
      filled += count;
    }
    return bytes;
  }

  /** True if the server closes without sending another byte. */
  async closedByServer(): Promise<boolean> {
    try {
      return await this.connection.read(new Uint8Array(1)) === null;
    } catch {
      return true;
    }
  }

  /** Takes the hello and sends the client flags. */
  async hello(clientFlags = 3): Promise<void> {
    await this.receive(18);
    await this.send(packed([4, clientFlags]));
  }

  /** Sends an option and collects its replies up to the acknowledgement or the error. */
  async option(option: number, data?: Uint8Array): Promise<{ type: number; data: Uint8Array }[]> {
    await this.send(optionBytes(option, data));
    const replies: { type: number; data: Uint8Array }[] = [];
    while (true) {
      const header = new DataView((await this.receive(20)).buffer);
      const reply = { type: header.getUint32(12), data: await this.receive(header.getUint32(16)) };
      replies.push(reply);
      if (reply.type === 1 || reply.type >= 0x80000000) return replies;
    }
  }

  /** A handshake up to the transmission. */
  async go(name: string, agree: { structured?: boolean; allocation?: boolean } = {}): Promise<void> {
    await this.hello();
    if (agree.structured || agree.allocation) await this.option(8);
    if (agree.allocation) await this.option(10, contextData(name, ["base:allocation"]));
    const replies = await this.option(7, infoData(name));
    if (replies.at(-1)!.type !== 1) throw new Error(`GO was refused with ${replies.at(-1)!.type.toString(16)}`);
  }

  /** Sends a request with `payload` behind it. */
  request(fields: RequestFields, payload: Uint8Array = new Uint8Array(0)): Promise<void> {
    return this.send(requestBytes({ lengthBytes: payload.length, ...fields }), payload);
  }

  /** The next reply; `readBytes` is the length of data behind a simple reply without error. */
  async reply(readBytes = 0): Promise<NbdReply> {
    const magic = new DataView((await this.receive(4)).buffer).getUint32(0);
    if (magic === 0x67446698) {
      const view = new DataView((await this.receive(12)).buffer);
      const errno = view.getUint32(0);
      const data = await this.receive(errno === 0 ? readBytes : 0);
      return { structured: false, cookie: Number(view.getBigUint64(4)), errno, chunk: undefined, data };
    }
    if (magic !== 0x668e33ef) throw new Error(`The magic of a reply is 0x${magic.toString(16)}`);
    const view = new DataView((await this.receive(16)).buffer);
    const chunk = view.getUint16(2);
    const content = await this.receive(view.getUint32(12));
    const errno = chunk === 0x8001 ? new DataView(content.buffer).getUint32(0) : 0;
    const data = chunk === 1 ? content.subarray(8) : content;
    return { structured: true, cookie: Number(view.getBigUint64(4)), errno, chunk, data };
  }
}
