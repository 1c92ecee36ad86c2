/**
 * For each guard an exploration that finds what happens without it. All are small; `deno task model --without=GUARD` explores
 * further.
 *
 * @module
 */
import type { Exploration } from "@/tests/model/explore.ts";
import type { Guard } from "@/tests/model/guards.ts";
import type { Budgets } from "@/tests/model/state.ts";

/** Faults for random walks. */
export const MANY_FAULTS: Budgets = {
  crashes: 3,
  restarts: 3,
  reopenings: 2,
  joins: 3,
  handOvers: 2,
  resends: [2, 2],
};
const NO_FAULTS: Budgets = { crashes: 0, restarts: 0, reopenings: 0, joins: 0, handOvers: 0, resends: [0, 0] };

/** How a guard's absence is found. */
export interface Mutation {
  readonly exploration: Omit<Exploration, "without">;
  /** Random walks; a search without. */
  readonly walkCount?: number;
}

const WALKS: Omit<Exploration, "without"> = { budgets: MANY_FAULTS, epochMax: 6, twoSdcs: false, powerLoss: false };
const ONE_CHANGE: Omit<Exploration, "without"> = { ...WALKS, budgets: NO_FAULTS, epochMax: 1 };

/** One row for each guard. */
export const MUTATIONS: Readonly<Record<Guard, Mutation>> = {
  lease_before_read: { exploration: ONE_CHANGE },
  grace_before_take_over: { exploration: ONE_CHANGE },
  commit_by_all: { exploration: { ...ONE_CHANGE, budgets: { ...NO_FAULTS, crashes: 1 } } },
  joiner_counts_while_adding: { exploration: WALKS, walkCount: 20_000 },
  read_lock: { exploration: { ...ONE_CHANGE, budgets: { ...NO_FAULTS, crashes: 1 } } },
  intent_before_data: { exploration: { ...WALKS, powerLoss: true }, walkCount: 20_000 },
  restart_leaves_members: { exploration: WALKS, walkCount: 20_000 },
  repl_epoch_check: { exploration: WALKS, walkCount: 20_000 },
  lanes: { exploration: WALKS, walkCount: 20_000 },
  link_sessions: { exploration: WALKS, walkCount: 20_000 },
  clear_after_sync: { exploration: WALKS, walkCount: 20_000 },
  clear_at_full_copies: { exploration: WALKS, walkCount: 20_000 },
  rows_below_full_copies: { exploration: WALKS, walkCount: 20_000 },
  sync_before_add: {
    exploration: {
      epochMax: 4,
      twoSdcs: false,
      powerLoss: true,
      budgets: { ...NO_FAULTS, crashes: 2, restarts: 1, joins: 1 },
      prelude: [
        "device 0 asks to remove 1",
        "MDM records remove_secondary",
        "device 0 adopts epoch 1",
        "client sends w1",
        "device 0 starts w1",
        "device 0 applies w1",
        "device 0 answers w1",
        "device 0 begins a join of 2",
        "device 0 copies to 2",
        "device 2 takes copy",
        "device 0 counts copied",
        "device 0 flushes",
        "device 0 asks to add 2",
      ],
    },
  },
  continuous_first: {
    exploration: {
      epochMax: 5,
      twoSdcs: false,
      powerLoss: true,
      budgets: { ...NO_FAULTS, crashes: 2, restarts: 2 },
    },
    walkCount: 20_000,
  },
  stops_before_hand_over: { exploration: WALKS, walkCount: 40_000 },
};
