/**
 * What users may do: a viewer looks, an operator changes the cluster, an administrator also changes MGMT itself.
 *
 * @module
 */
import type { UserRole } from "@/mgmt/store/users.ts";

const RANKS: Readonly<Record<UserRole, number>> = { viewer: 0, operator: 1, admin: 2 };

/** True if `role` may do what `needed` may. */
export function hasRole(role: UserRole, needed: UserRole): boolean {
  return RANKS[role] >= RANKS[needed];
}
