/**
 * The loop of everybody who listens.
 *
 * @module
 */
import { type Clock, sleep } from "@/shared/clock.ts";
import type { Connection, Listener } from "@/shared/transport.ts";

/** Pause after a listener failed to accept, such as without free file descriptors, in milliseconds. */
export const ACCEPT_RETRY_MS = 1_000;

/** What the loop works with. */
export interface AcceptOptions {
  readonly clock: Clock;
  /** Ends the loop during a pause; closing the listener ends it otherwise. */
  readonly signal: AbortSignal;
  /** Takes each connection and returns at once. Does not throw. */
  onConnection(connection: Connection): void;
  /** Gets what went wrong while accepting; the loop goes on after a pause. */
  onError(error: unknown): void;
}

/** Accepts connections until `listener` is closed. Never rejects. */
export async function acceptConnections(listener: Listener, options: AcceptOptions): Promise<void> {
  while (!options.signal.aborted) {
    let connection: Connection | null;
    try {
      connection = await listener.accept();
    } catch (error) {
      options.onError(error);
      await sleep(options.clock, ACCEPT_RETRY_MS, options.signal);
      continue;
    }
    if (connection === null) return;
    options.onConnection(connection);
  }
}
