/**
 * The guards of the replication protocol that can be switched off one by one, to show that the checks of the simulator would see
 * it if one were missing (`tests/sim`, `docs/failure_model.md`). Whoever builds an MDM or an SDS may pass other ones; no setting
 * reaches them, and `main.ts` passes none, so that all of them hold.
 *
 * @module
 */

/** Every guard, on. Numbers are those of the replication design. */
export const ALL_GUARDS = Object.freeze({
  /** A request starts, and a read is answered, only while every member grants its lease (3.3, I3, I4). */
  lease: true,
  /** A lease that lapsed does not come back by itself: every group is opened again (3.3). */
  leaseLapse: true,
  /** A secondary takes over only after the grace (3.3). */
  grace: true,
  /** A write is answered when every target that counts has applied it (3.4, I5). */
  commitRule: true,
  /** A read shares its range's lock, so that it never sees a write that is not committed (3.5, I6). */
  readLock: true,
  /** Data of a region is written while its intent is durable (5.4, I7). */
  intentFirst: true,
  /** Intents are cleared at full copies only (5.4). */
  clearAtFullCopies: true,
  /** Intents are cleared while no join runs (5.4). */
  clearWithoutJoin: true,
  /** A member keeps an intent when it applied a newer write than the one that is cleared (5.4). */
  clearNumber: true,
  /** While `addMember` is outstanding the joiner counts as a member (3.8, I8). */
  joinerCounts: true,
  /** A joiner takes part in syncs from `join_final` on (3.8, I8). */
  joinerSyncs: true,
  /** A copy syncs what it received before it becomes a member (3.8, I9). */
  syncBeforeMember: true,
  /** Nothing of an older join is taken: neither sent after its end nor accepted (3.8, I10). */
  joinSessions: true,
  /** Replicated frames are taken under the group's present epoch, while it is open for their sender (3.4). */
  replicationEpoch: true,
  /** An older link session has ended before a newer one is answered (3.3, I10). */
  linkDrain: true,
  /** Requests of clients are taken under the group's present epoch (3.4). */
  clientEpoch: true,
  /** A newer lane of an SDC ends the older one (3.6). */
  lanes: true,
  /** A member that was started again is a member no more (3.1). */
  newStartLeaves: true,
  /** A copy whose join did not end never serves (3.8). */
  completeCopies: true,
  /** Chunks of dirty regions are not trusted after an unclean stop (5.3). */
  unverifiedChunks: true,
  /** A device is clean only after everything is synced (5.5). */
  syncBeforeClean: true,
  /** A flush names the loss generation of the writes it covers (4.3). */
  flushVerifier: true,
  /** A flush syncs the members too (4.2). */
  flushMembers: true,
  /** The MDM changes a configuration only for who knows its epoch (3.2). */
  epochCompare: true,
  /** The MDM activates nobody while a member lives (3.9). */
  activateSilent: true,
  /** A copy that may have lost unflushed writes raises the loss generation (3.9). */
  continuity: true,
  /** The MDM leaves groups alone whose members know a newer epoch than it does (3.2). */
  epochAhead: true,
});

export type GuardName = keyof typeof ALL_GUARDS;

/** Which guards hold. */
export type Guards = Readonly<Record<GuardName, boolean>>;
