/**
 * Limits of the NBD server. A client that reaches one of a connection is not read from until there is room: TCP holds it
 * back. Nothing that a client promises is allocated beyond them.
 *
 * @module
 */
import { BLOCK_SIZE } from "@/sdc/nbd/protocol.ts";
import { assert } from "@/shared/errors.ts";

/** See {@linkcode NBD_LIMITS}. */
export interface NbdLimits {
  /** Connections at a time, over all listeners; one more is closed at once. */
  readonly connectionsMax: number;
  /** Requests of one connection between its header and its reply. */
  readonly requestsInFlightMax: number;
  /** Payload of one connection in requests in flight and in replies that wait to be sent, in bytes. */
  readonly bytesInFlightMax: number;
  /** From accept to the start of the transmission, in milliseconds. */
  readonly handshakeMs: number;
  /** For the last replies to leave before a connection is closed, in milliseconds. */
  readonly drainMs: number;
}

/** The defaults. */
export const NBD_LIMITS: NbdLimits = {
  connectionsMax: 64,
  requestsInFlightMax: 256,
  bytesInFlightMax: 64 * 1024 * 1024,
  handshakeMs: 30_000,
  drainMs: 5_000,
};

assert(
  NBD_LIMITS.bytesInFlightMax >= BLOCK_SIZE.maxBytes,
  "a connection carries at least one request of the largest size",
);
