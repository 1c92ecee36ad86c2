/**
 * Data that a client sends with an option. All integers are big-endian; a `name` is UTF-8 without terminator.
 *
 * | option                            | data                                                                            |
 * | --------------------------------- | ------------------------------------------------------------------------------- |
 * | EXPORT_NAME                       | name (all of it)                                                                |
 * | GO, INFO                          | u32 nameBytes, name, u16 count, count × u16 information type                    |
 * | LIST/SET_META_CONTEXT             | u32 nameBytes, name, u32 count, count × (u32 queryBytes, query)                 |
 * | ABORT, LIST, STARTTLS, STRUCTURED | empty                                                                           |
 *
 * Nothing is allocated for a count that the data does not hold.
 *
 * @module
 */
import { STRING_BYTES_MAX } from "@/sdc/nbd/protocol.ts";

/** What was decoded, or what is wrong with the bytes. */
export type Decoded<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly problem: string };

/** Data of GO and INFO. */
export interface InfoQuery {
  readonly exportName: string;
  /** Information types that the client asks for; unknown ones are ignored. */
  readonly infoTypes: readonly number[];
}

/** Data of LIST_META_CONTEXT and SET_META_CONTEXT. */
export interface MetaContextQuery {
  readonly exportName: string;
  readonly queries: readonly string[];
}

/** Why the bytes cannot be decoded: thrown within this file only. */
class Malformed extends Error {}

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Decodes the data of EXPORT_NAME. */
export function decodeExportName(data: Uint8Array): Decoded<string> {
  return decoded(data, (reader) => reader.text(data.length, "export name"));
}

/** Decodes the data of GO and INFO. */
export function decodeInfoQuery(data: Uint8Array): Decoded<InfoQuery> {
  return decoded(data, (reader) => {
    const exportName = reader.text(reader.uint32("export name length"), "export name");
    const count = reader.uint16("information count");
    const infoTypes: number[] = [];
    for (let index = 0; index < count; index++) infoTypes.push(reader.uint16("information type"));
    return { exportName, infoTypes };
  });
}

/** Decodes the data of LIST_META_CONTEXT and SET_META_CONTEXT. */
export function decodeMetaContextQuery(data: Uint8Array): Decoded<MetaContextQuery> {
  return decoded(data, (reader) => {
    const exportName = reader.text(reader.uint32("export name length"), "export name");
    const count = reader.uint32("query count");
    const queries: string[] = [];
    for (let index = 0; index < count; index++) queries.push(reader.text(reader.uint32("query length"), "query"));
    return { exportName, queries };
  });
}

function decoded<T>(data: Uint8Array, decode: (reader: Reader) => T): Decoded<T> {
  try {
    const reader = new Reader(data);
    const value = decode(reader);
    reader.end();
    return { ok: true, value };
  } catch (error) {
    if (error instanceof Malformed) return { ok: false, problem: error.message };
    throw error;
  }
}

/** Reads fields in order and says which one does not fit. */
class Reader {
  readonly #data: Uint8Array;
  readonly #view: DataView;
  #position = 0;

  constructor(data: Uint8Array) {
    this.#data = data;
    this.#view = new DataView(data.buffer, data.byteOffset, data.length);
  }

  uint16(field: string): number {
    return this.#view.getUint16(this.#advance(2, field));
  }

  uint32(field: string): number {
    return this.#view.getUint32(this.#advance(4, field));
  }

  text(byteCount: number, field: string): string {
    if (byteCount > STRING_BYTES_MAX) {
      throw new Malformed(`${field} is ${byteCount} bytes, at most ${STRING_BYTES_MAX} are allowed`);
    }
    const start = this.#advance(byteCount, field);
    try {
      return utf8.decode(this.#data.subarray(start, start + byteCount));
    } catch {
      throw new Malformed(`${field} is not UTF-8`);
    }
  }

  end(): void {
    const restBytes = this.#data.length - this.#position;
    if (restBytes > 0) throw new Malformed(`${restBytes} bytes follow the last field`);
  }

  #advance(byteCount: number, field: string): number {
    const start = this.#position;
    if (start + byteCount > this.#data.length) throw new Malformed(`${field} ends behind the data`);
    this.#position = start + byteCount;
    return start;
  }
}
