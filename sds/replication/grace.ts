/**
 * When a secondary asks to take over: its primary was silent for the grace, or is known to have stopped (replication design,
 * section 3.3). Before it asks it closes the group, and from then on no lease is granted.
 *
 * @module
 */
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

  /** Asks for every group whose time has come. Called a few times per second, and not right after a stall. */
  judge(): void {
    if (!this.#mdmIsAlive()) return;
    const nowMs = this.#device.context.clock.monotonicMs();
    const asked = [...this.#device.groups.values()].filter((group) => this.#askFor(group, nowMs));
    if (asked.length === 0) return;
    this.#device.context.log.warn("Asking to take over {count} groups of silent or stopped primaries", {
      count: asked.length,
      pgIds: asked.map((group) => group.pgId),
    });
  }

  #askFor(group: Group, nowMs: number): boolean {
    const { secondary, config } = group;
    if (secondary === undefined || secondary.takeOverPending || config === undefined) return false;
    const primary = config.members[0]!;
    const heardMs = Math.max(secondary.sinceMs, this.#device.linkFrom(primary.deviceId).heardMs(primary.incarnation));
    const { guards, times } = this.#device.context;
    const graceMs = guards.grace ? times.graceMs : times.heartbeatMs;
    if (!secondary.released && nowMs - heardMs < graceMs) return false;
    secondary.session = undefined;
    secondary.takeOverPending = true;
    this.#device.changes.ask({ kind: "take_over", pgId: group.pgId, epoch: config.epoch }).then(() => {
      secondary.takeOverPending = false;
    });
    return true;
  }
}
