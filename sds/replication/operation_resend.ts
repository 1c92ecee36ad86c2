/**
 * The data of an operation for a frame that is sent late, after the receive buffer was let go: it is read back from this device.
 * The operation's lock keeps everybody else off these blocks, so nothing has to be held in memory until the last member answered.
 *
 * @module
 */
import { FRAME_KINDS } from "@/shared/wire/header.ts";
import type { PrimaryOperation } from "@/sds/replication/primary_operation.ts";

/** Exactly one is called, or neither if the data cannot be read: the frame stays unanswered, and the target is removed in time. */
export interface Resend {
  /** With the data, borrowed during the call; without any for removals. */
  send(bytes: Uint8Array, at: number): void;
  /** The operation is over. */
  ended(): void;
}

/** Calls back with the data, at once when it is at hand. */
export function withData(operation: PrimaryOperation, resend: Resend): void {
  const { data, generation } = operation;
  if (operation.kind !== FRAME_KINDS.replicate || data.present) return resend.send(data.bytes, data.at);
  const { store, context } = operation.group.device;
  const chunk = operation.storedChunk();
  if (chunk === undefined) return;
  const { offsetBytes, lengthBytes } = operation;
  const buffer = context.buffers.take(lengthBytes);
  store.readBlocks(chunk, { offsetBytes, lengthBytes, into: buffer, intoOffset: 0 }, (error) => {
    if (operation.ended || operation.generation !== generation) resend.ended();
    else if (error === undefined) resend.send(buffer, 0);
    context.buffers.give(buffer);
  });
}
