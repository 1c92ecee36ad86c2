/**
 * What a mutation at the primary is asked to do, and by whom.
 *
 * @module
 */
import type { ErrorCode } from "@/shared/errors.ts";
import type { NodeId, VtreeId } from "@/shared/ids.ts";
import { FRAME_FLAGS } from "@/shared/wire/header.ts";
import type { PrimaryOperation } from "@/sds/replication/primary_operation.ts";

/** Who asked: an SDC session, or the SDS itself. */
export interface OperationOwner {
  /** False when nobody waits any more: an operation that has not started then ends without effect (3.6). */
  readonly alive: boolean;
  /** Called once, also when nobody waits any more. `code` is undefined on success. */
  operationDone(operation: PrimaryOperation, code: ErrorCode | undefined): void;
  /** Called once, when nothing of the operation runs on this device any more: with the answer, or after it when the role ended. */
  operationEnded(): void;
}

/** What a mutation is, apart from its data. */
export interface MutationFields {
  /** `FRAME_KINDS.replicate`, `replicate_trim` or `replicate_zeroes`. */
  readonly kind: number;
  readonly flags: number;
  readonly requestId: number;
  readonly vtreeId: VtreeId;
  readonly nodeId: NodeId;
  readonly chunkIndex: number;
  readonly region: number;
  readonly offsetBytes: number;
  readonly lengthBytes: number;
  readonly opSession: number;
  readonly opSeq: number;
  readonly traceId: number;
}

/** True if the answer to a mutation promises stable storage: FUA, or a pool whose writes are all synced. */
export function promisesSync(flags: number, config: { readonly syncWrites: boolean } | undefined): boolean {
  return (flags & FRAME_FLAGS.fua) !== 0 || config?.syncWrites === true;
}
