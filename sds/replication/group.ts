/**
 * One placement group's copy on one device: the configuration it knows, the role that follows from it, and what this process
 * has running on it (replication design, sections 3.1 to 3.3).
 *
 *   none ── adopt: members[0] ──► primary (activating, then active) ── adopt: not members[0] ──► none, secondary
 *   none ── adopt: members[1..] ──► secondary ── adopt: alone after takeOver ──► primary
 *   none ── joinBegin ──► joining (`joining` is set, the role stays none) ── adopt: members[1..] ──► secondary
 *
 * A configuration is adopted only when its epoch is above every epoch this copy has stored (I1).
 *
 * @module
 */
import type { PgConfig, PgMember } from "@/shared/api/pg.ts";
import { assert } from "@/shared/errors.ts";
import { type PgId, sameIncarnation } from "@/shared/ids.ts";
import type { DevicePg } from "@/sds/device/device_pg.ts";
import type { JoiningCopy } from "@/sds/replication/join_in.ts";
import type { LinkSession } from "@/sds/replication/link_in.ts";
import { PrimaryRole } from "@/sds/replication/primary_role.ts";
import type { ReplicaDevice } from "@/sds/replication/replica_device.ts";

export type GroupRole = "none" | "primary" | "secondary";

/** What a secondary keeps of its primary. */
export interface SecondaryRole {
  /** Link session on which the group is open: the lease is granted and frames are accepted. */
  session: LinkSession | undefined;
  /** When grace begins at the earliest: adoption, or the opening on a session. Monotonic ms. */
  sinceMs: number;
  /** True from closing the group to ask for it until the answer was adopted. */
  takeOverPending: boolean;
  /** The primary said that it has stopped under this epoch, or the MDM that its process is dead: no grace is needed. */
  released: boolean;
}

/** A copy of a placement group. */
export class Group {
  readonly pgId: PgId;
  readonly device: ReplicaDevice;
  storage: DevicePg | undefined;
  config: PgConfig | undefined;
  role: GroupRole = "none";
  primary: PrimaryRole | undefined;
  secondary: SecondaryRole | undefined;
  joining: JoiningCopy | undefined;
  /** Number of the last write applied per region under the current epoch, as member (5.4). */
  readonly appliedWrites = new Map<number, number>();
  /** Row changed since the last answered heartbeat. */
  rowChanged = true;

  #runningCount = 0;
  #idleWaiters: (() => void)[] = [];

  constructor(device: ReplicaDevice, pgId: PgId) {
    this.device = device;
    this.pgId = pgId;
    this.storage = device.store.pg(pgId);
  }

  /** Highest epoch that this copy has stored or adopted. */
  get epoch(): number {
    return Math.max(this.config?.epoch ?? 0, this.storage?.epoch ?? 0);
  }

  /** Operations on the group that this process started and that have not ended, in any role. */
  get runningCount(): number {
    return this.#runningCount;
  }

  beginOperation(): void {
    this.#runningCount++;
  }

  endOperation(): void {
    assert(this.#runningCount > 0, "an operation ends once");
    if (--this.#runningCount > 0) return;
    for (const resolve of this.#idleWaiters.splice(0)) resolve();
  }

  /** Resolves when no operation runs. Whoever waits has made sure that none starts. */
  idle(): Promise<void> {
    if (this.#runningCount === 0) return Promise.resolve();
    return new Promise((resolve) => this.#idleWaiters.push(resolve));
  }

  /** This device's entry in the configuration, under its present incarnation. */
  get ownMember(): PgMember | undefined {
    return this.config?.members.find((member) => isListed(member, this.device));
  }

  /** Adopts a signed configuration if it is newer; true if it was. */
  adopt(config: PgConfig): boolean {
    if (config.epoch <= this.epoch && !this.#isFirstLook(config)) return false;
    const previous = this.config;
    const loss = previous?.lossGeneration ?? 0;
    assert(config.lossGeneration >= loss, `I1: loss generation ${loss} does not become ${config.lossGeneration}`);
    this.config = config;
    const own = this.ownMember;
    if (own !== undefined && !this.#hasUsableRow(config)) {
      this.device.reportMissingRow(this);
      this.#becomeNone();
      return true;
    }
    if (own !== undefined) this.joining = undefined;
    if (previous !== undefined && config.epoch > previous.epoch) this.appliedWrites.clear();
    this.#storeEpoch(config);
    if (own === undefined) this.#becomeNone();
    else if (config.members[0] === own) this.#becomePrimary(config);
    else this.#becomeSecondary();
    return true;
  }

  /** Checks an invariant where nothing can be thrown; false if it is broken, and the group is not served from here any more. */
  holds(condition: boolean, invariant: string): boolean {
    if (!condition) this.device.operationFailed(this, new Error(`Invariant broken: ${invariant}`));
    return condition;
  }

  /** True if this device may begin to serve under `config`, whose epoch has just been stored. */
  mayBeServedUnder(config: PgConfig): boolean {
    const { storage, device } = this;
    const leads = this.config === config && isListed(config.members[0]!, device);
    const complete = storage?.complete === true || !device.context.guards.completeCopies;
    return this.holds(
      leads,
      "I4: who serves is members[0] of the newest configuration it knows, under its own start",
    ) &&
      this.holds(
        storage?.epoch === config.epoch && complete,
        "I1: a group is served under its stored epoch, complete",
      ) &&
      this.holds(device.store.failed === undefined, "I22: a failed device never serves");
  }

  /** Stops whatever role it has, without a new configuration: the device failed or the process stops. */
  stop(): void {
    this.#becomeNone();
    this.joining = undefined;
  }

  /**
   * The MDM lists an epoch that is already in the row, which this process has not seen as a configuration: its own start
   * under which it was activated, or a configuration stored before a restart that lists another start.
   */
  #isFirstLook(config: PgConfig): boolean {
    return this.config === undefined && config.epoch === this.epoch;
  }

  /** An empty copy may start only under a `fresh` configuration; else a missing row means that this copy failed (3.2). */
  #hasUsableRow(config: PgConfig): boolean {
    if (this.storage !== undefined) return this.storage.complete || !this.device.context.guards.completeCopies;
    if (!config.fresh) return false;
    this.storage = this.device.store.createPg(this.pgId, { epoch: config.epoch, complete: true });
    this.rowChanged = true;
    return true;
  }

  #storeEpoch(config: PgConfig): void {
    if (this.storage === undefined || this.storage.epoch >= config.epoch) return;
    this.device.store.storePg(this.storage, { epoch: config.epoch, complete: this.storage.complete });
    this.rowChanged = true;
  }

  #becomeNone(): void {
    this.role = "none";
    this.secondary = undefined;
    this.#endPrimary();
  }

  #becomeSecondary(): void {
    this.#endPrimary();
    this.role = "secondary";
    this.secondary = {
      session: undefined,
      sinceMs: this.device.context.clock.monotonicMs(),
      takeOverPending: false,
      released: false,
    };
  }

  #becomePrimary(config: PgConfig): void {
    this.role = "primary";
    this.secondary = undefined;
    if (this.primary === undefined) {
      this.primary = new PrimaryRole(this, config);
      this.primary.activate();
    } else {
      this.primary.continueUnder(config);
    }
  }

  #endPrimary(): void {
    const primary = this.primary;
    this.primary = undefined;
    primary?.stop();
  }
}

/** True if `member` is `device` under its present start. */
export function isListed(
  member: PgMember,
  device: Pick<ReplicaDevice, "deviceId" | "incarnation" | "context">,
): boolean {
  if (member.deviceId !== device.deviceId) return false;
  return sameIncarnation(member.incarnation, device.incarnation) || !device.context.guards.newStartLeaves;
}
