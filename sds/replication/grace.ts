/**
 * When a secondary asks to take over: its primary was silent for the grace, or is known to have stopped (replication design,
 * section 3.3). Before it asks it closes the group, and from then on no lease is granted.
 *
 * @module
 */
import { type DeviceId, type Incarnation, sameIncarnation } from "@/shared/ids.ts";
import type { Group } from "@/sds/replication/group.ts";
import type { ReplicaDevice } from "@/sds/replication/replica_device.ts";

/** Judges the primaries of one device's groups. */
export class Grace {
  readonly #device: ReplicaDevice;
  readonly #mdmIsAlive: () => boolean;

  /** @param options.mdmIsAlive a takeover is only asked for then: the group stays closed until the outcome is known. */
  constructor(device: ReplicaDevice, options: { mdmIsAlive: () => boolean }) {
    this.#device = device;
    this.#mdmIsAlive = options.mdmIsAlive;
  }

  /** The process behind a primary is gone: its groups need no grace. */
  peerDead(dead: { readonly deviceId: DeviceId; readonly incarnation: Incarnation }): void {
    const released: Group[] = [];
    for (const group of this.#device.groups.values()) {
      const primary = group.config?.members[0];
      if (group.secondary === undefined || primary?.deviceId !== dead.deviceId) continue;
      if (!sameIncarnation(primary.incarnation, dead.incarnation)) continue;
      group.secondary.released = true;
      released.push(group);
    }
    // No others: this process may have stood still just now, and not have read what their primaries sent.
    this.judge(released);
  }

  /**
   * Asks for those of `groups` whose time has come; gives how long to wait for the next one, Infinity if there is none. All are
   * judged at each beat, and not right after a stall.
   */
  judge(groups: Iterable<Group>): number {
    if (!this.#mdmIsAlive()) return Infinity;
    const nowMs = this.#device.context.clock.monotonicMs();
    let nextMs = Infinity;
    const asked: Group[] = [];
    for (const group of groups) {
      const waitMs = this.#waitMs(group, nowMs);
      if (waitMs > 0) nextMs = Math.min(nextMs, waitMs);
      else {
        this.#askFor(group);
        asked.push(group);
      }
    }
    if (asked.length === 0) return nextMs;
    this.#device.context.log.warn("Asking to take over {count} groups of silent or stopped primaries", {
      count: asked.length,
      pgIds: asked.map((group) => group.pgId),
    });
    return nextMs;
  }

  /** How long a takeover has to wait, 0 or less if it has not; Infinity where there is none to ask for. */
  #waitMs(group: Group, nowMs: number): number {
    const { secondary, config } = group;
    if (secondary === undefined || secondary.takeOverPending || config === undefined) return Infinity;
    if (secondary.released) return 0;
    const primary = config.members[0]!;
    const heardMs = Math.max(secondary.sinceMs, this.#device.linkFrom(primary.deviceId).heardMs(primary.incarnation));
    const { guards, times } = this.#device.context;
    return heardMs + (guards.grace ? times.graceMs : times.heartbeatMs) - nowMs;
  }

  #askFor(group: Group): void {
    const secondary = group.secondary!;
    secondary.session = undefined;
    secondary.takeOverPending = true;
    this.#device.changes.ask({ kind: "take_over", pgId: group.pgId, epoch: group.config!.epoch }).then(() => {
      secondary.takeOverPending = false;
    });
  }
}
