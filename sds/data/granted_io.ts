/**
 * The owner of operations that a session starts under one grant: answers go to the session, and the grant hears when nothing of
 * an operation runs any more. One object per handle and mapping generation, so that the hot path makes none.
 *
 * @module
 */
import type { ErrorCode } from "@/shared/errors.ts";
import type { Grant } from "@/sds/data/grants.ts";
import type { OperationOwner } from "@/sds/replication/mutation.ts";
import type { PrimaryOperation } from "@/sds/replication/primary_operation.ts";
import type { ReadOwner, ReadResult } from "@/sds/replication/read_operation.ts";

/** Who answers the SDC. */
export interface IoAnswerer {
  /** False once nobody can be answered. */
  readonly alive: boolean;
  mutationDone(operation: PrimaryOperation, code: ErrorCode | undefined): void;
  readDone(requestId: number, result: ReadResult): void;
}

/** See the module comment. */
export class GrantedIo implements OperationOwner, ReadOwner {
  readonly grant: Grant;
  readonly #answerer: IoAnswerer;

  constructor(answerer: IoAnswerer, grant: Grant) {
    this.#answerer = answerer;
    this.grant = grant;
  }

  get alive(): boolean {
    return this.#answerer.alive;
  }

  operationDone(operation: PrimaryOperation, code: ErrorCode | undefined): void {
    this.#answerer.mutationDone(operation, code);
  }

  operationEnded(): void {
    this.grant.end();
  }

  readDone(requestId: number, result: ReadResult): void {
    this.#answerer.readDone(requestId, result);
    this.grant.end();
  }
}
