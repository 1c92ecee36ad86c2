/**
 * A look at the first bytes of a connection, by which the data port tells newline JSON from frames.
 *
 * @module
 */
import type { Clock } from "@/shared/clock.ts";
import type { Connection } from "@/shared/transport.ts";

/** Bytes that the look reads at most: a hello fits. */
const FIRST_BYTES_MAX = 4096;

/** What came first, at least one byte; undefined if nothing came in time or the peer is gone, and the connection is closed. */
export async function firstBytesOf(
  connection: Connection,
  options: { readonly clock: Clock; readonly waitMs: number },
): Promise<Uint8Array | undefined> {
  const late = options.clock.setTimer(options.waitMs, () => connection.close());
  const bytes = new Uint8Array(FIRST_BYTES_MAX);
  let count: number | null = null;
  try {
    count = await connection.read(bytes);
  } catch {
    // The peer is gone, or the time is over.
  }
  late.cancel();
  if (count !== null) return bytes.subarray(0, count);
  connection.close();
  return undefined;
}

/** `connection` as it was before `firstBytes` were read. */
export function withFirstBytes(connection: Connection, firstBytes: Uint8Array): Connection {
  let rest = firstBytes;
  return {
    peer: connection.peer,
    write: (bytes) => connection.write(bytes),
    close: () => connection.close(),
    read(into) {
      if (rest.length === 0) return connection.read(into);
      const count = Math.min(rest.length, into.length);
      into.set(rest.subarray(0, count));
      rest = rest.subarray(count);
      return Promise.resolve(count);
    },
  };
}
