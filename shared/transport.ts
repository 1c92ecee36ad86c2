/**
 * Byte streams as a capability. The shapes are those of `Deno.Conn`, so the real transport adds nothing to the hot path
 * but what every connection needs: `setNoDelay(true)`, without which Nagle's algorithm costs a factor of thirty at depth 32.
 *
 * @module
 */

/** Where to listen or connect: a TCP endpoint or the path of a unix socket. */
export type Address =
  | { readonly hostname: string; readonly port: number }
  | { readonly path: string };

/** One open byte stream. After `close()` reads and writes reject. */
export interface Connection {
  /** Reads at least one byte into `into` and gives the count; null at the end of the stream. Borrows `into` until it settles. */
  read(into: Uint8Array): Promise<number | null>;
  /** Writes a prefix of `bytes` and gives its length. Borrows `bytes` until it settles. */
  write(bytes: Uint8Array): Promise<number>;
  /** Closes both directions. Closing twice does nothing. */
  close(): void;
  /** The peer, for logs. */
  readonly peer: string;
}

/** A bound listener. */
export interface Listener {
  /** The next connection, or null once closed. */
  accept(): Promise<Connection | null>;
  close(): void;
  /** The bound port; 0 for a unix socket. */
  readonly port: number;
}

/** Opens and accepts byte streams. */
export interface Transport {
  /** @throws {Error} when the peer refuses or cannot be reached. */
  connect(address: Address): Promise<Connection>;
  /** @throws {Error} when the address is taken or not permitted. */
  listen(address: Address): Listener;
}

/** `host:port` or the path, for messages. */
export function addressText(address: Address): string {
  return "path" in address ? address.path : `${address.hostname}:${address.port}`;
}
