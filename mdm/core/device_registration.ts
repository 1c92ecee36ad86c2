/**
 * Whether a start of a device is accepted (replication design, section 3.1): start counters only grow, one process per device,
 * another host needs an operator's word.
 *
 * @module
 */
import { type Incarnation, sameIncarnation } from "@/shared/ids.ts";

/** What identifies one start of a device and where it runs. */
export interface DeviceStart {
  readonly incarnation: Incarnation;
  readonly bootId: string;
  readonly hostId: string;
  /** Inode of the superblock: a copied directory has another. */
  readonly inode: number;
}

/** What the MDM recorded of a device. */
export interface KnownStart extends DeviceStart {
  /**
   * Host and inode have been the same since the start with this counter: the lock of a newer start proves that those from here
   * on are dead.
   */
  readonly lockSinceCounter: number;
  /** Host that an operator confirmed. */
  readonly confirmedHostId: string | null;
}

export type RegistrationDecision =
  | { readonly kind: "accepted"; readonly restarted: boolean; readonly lockSinceCounter: number }
  | { readonly kind: "refused"; readonly reason: "old_incarnation" | "second_live_registration" | "foreign_host" };

/**
 * Decides about `offered`; `known` is undefined for a device that never registered.
 *
 * @param options.silentMs time since the recorded start was heard, or since the MDM started if it was not heard since.
 * @param options.memberHeardMs a start heard within this time lives.
 */
export function registrationOf(
  offered: DeviceStart,
  options: { known: KnownStart | undefined; silentMs: number; memberHeardMs: number },
): RegistrationDecision {
  const { known } = options;
  const counter = offered.incarnation.counter;
  if (known === undefined) return { kind: "accepted", restarted: true, lockSinceCounter: counter };
  if (sameIncarnation(offered.incarnation, known.incarnation)) {
    return { kind: "accepted", restarted: false, lockSinceCounter: known.lockSinceCounter };
  }
  if (counter <= known.incarnation.counter) return { kind: "refused", reason: "old_incarnation" };
  const sameHost = offered.hostId === known.hostId;
  const confirmed = offered.hostId === known.confirmedHostId;
  if (!sameHost && !confirmed) return { kind: "refused", reason: "foreign_host" };
  const sameLock = sameHost && offered.inode === known.inode;
  if (!sameLock && options.silentMs < options.memberHeardMs) {
    return { kind: "refused", reason: "second_live_registration" };
  }
  // An operator who confirms another host says that the processes on the old one are gone.
  const proven = sameLock || (!sameHost && confirmed);
  return { kind: "accepted", restarted: true, lockSinceCounter: proven ? known.lockSinceCounter : counter };
}

/** True if the lock under which the newest start runs proves that the process behind `listed` is dead. */
export function lockProvesDeath(lockSinceCounter: number, listed: Incarnation): boolean {
  return listed.counter >= lockSinceCounter;
}
