/**
 * The rules of the protocol that can be left out, to show that each is needed: the explorer must then find a trace that breaks
 * what the system promises.
 *
 * @module
 */

/** Every guard, with the rule it stands for and the section of `docs/replication.md` or the invariant that states it. */
export const GUARDS = {
  lease_before_read: "a primary reads only under an unexpired lease from every other member (I3)",
  grace_before_take_over: "a secondary asks to take over only when it grants no lease any more",
  commit_by_all: "a write is answered when every member applied it (I5)",
  joiner_counts_while_adding: "while addMember is outstanding the joiner counts for commit and lease (I8)",
  read_lock: "a read never overlaps a running write of its block (I6)",
  intent_before_data: "a region's intent is durable before its data is written (I7)",
  restart_leaves_members: "a new incarnation is out of every group with another live member",
  repl_epoch_check: "a member refuses replication frames of an older epoch",
  lanes: "a retry under a newer lane retires what the older one left behind",
  link_sessions: "frames of an older link or join session are refused (I10)",
  clear_after_sync: "resync is cleared only where no write is running or under way (I14)",
  clear_at_full_copies: "resync is cleared only at full copies",
  rows_below_full_copies: "departed rows exist only while members are missing",
  sync_before_add: "a joiner syncs before it becomes a member (I9)",
  continuous_first: "a copy that lost its cache waits for one that did not",
  stops_before_hand_over: "a primary that hands over has stopped serving under its epoch (I4)",
} as const satisfies Record<string, string>;

/** The name of a guard. */
export type Guard = keyof typeof GUARDS;

/** True if `name` names a guard. */
export function isGuard(name: string): name is Guard {
  return Object.hasOwn(GUARDS, name);
}
