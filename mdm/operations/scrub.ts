/**
 * Scrubs on an operator's word: SDSs scrub by themselves once per interval; asked, they begin at once.
 *
 * @module
 */
import type { MdmContext } from "@/mdm/context.ts";
import { requirePool } from "@/mdm/operations/pools.ts";
import { sdsOfPool } from "@/mdm/store/sds.ts";
import { StorageError } from "@/shared/errors.ts";
import type { PoolId } from "@/shared/ids.ts";

/** An SDS is waited for at most this long, in ms. */
const TELL_TIMEOUT_MS = 2_000;

/**
 * Asks every SDS of a pool to read, compare and mend all copies that it leads. Gives the names of those that did not answer: what
 * they lead is scrubbed when it is due.
 *
 * @throws {StorageError} `not_found` for the pool; `unavailable` if no SDS answers.
 */
export async function scrubPool(context: MdmContext, poolId: PoolId): Promise<{ begun: string[]; silent: string[] }> {
  const pool = requirePool(context, poolId);
  const body = { mdmTerm: context.mdmTerm, poolId };
  const begun: string[] = [];
  const silent: string[] = [];
  await Promise.all(
    sdsOfPool(context.db, poolId).map(async (sds) => {
      const answer = await context.outbox.call(sds, { path: "/control/scrub", body, timeoutMs: TELL_TIMEOUT_MS });
      (answer === undefined ? silent : begun).push(sds.name);
    }),
  );
  if (begun.length === 0) {
    throw new StorageError("unavailable", `Cannot scrub pool ${pool.name}: none of its ${silent.length} SDSs answers`);
  }
  return { begun: begun.sort(), silent: silent.sort() };
}
