/**
 * What a primary holds for one placement group: its targets, its leases, the operations that run, and whether it may serve
 * (replication design, sections 3.3 and 3.4).
 *
 * A target is a member or a joiner to which writes are forwarded. A write is answered when every target that counts has
 * applied it (I5); the group is served while every target that counts grants a lease (I3).
 *
 * @module
 */
import type { PgConfig } from "@/shared/api/pg.ts";
import { assert } from "@/shared/errors.ts";
import type { DeviceId } from "@/shared/ids.ts";
import type { Group } from "@/sds/replication/group.ts";
import type { JoinOut } from "@/sds/replication/join_out.ts";
import type { LinkOut } from "@/sds/replication/link_out.ts";
import type { PrimaryOperation } from "@/sds/replication/primary_operation.ts";

/** A device that gets the group's writes. */
export interface Target {
  readonly group: Group;
  readonly link: LinkOut;
  readonly deviceId: DeviceId;
  /** The join that this target is in; undefined for members. */
  join: JoinOut | undefined;
  /** True while the member has the group open on the link's current session: frames may be sent. */
  open: boolean;
  /** True while pulses extend this target's lease. */
  covered: boolean;
  /** When it began to be covered, monotonic ms: answers to earlier pulses say nothing of it. */
  coveredSinceMs: number;
  /** A `removeSecondary` was asked for under this epoch. */
  removalAskedEpoch: number;
}

/** The primary of one group, from activation to the loss of the role. */
export class PrimaryRole {
  readonly group: Group;
  config: PgConfig;
  /** True once older operations have ended and the epoch is durable. */
  active = false;
  /** Operations from before this role have ended. */
  #olderEnded = false;
  stopped = false;
  /** Set while the group is being handed over: nothing is served. */
  #leaving = false;
  readonly targets: Target[] = [];
  /** Operations that hold or wait for locks under this role. */
  readonly operations = new Set<PrimaryOperation>();
  /** Count of writes under the present epoch; REPL carries it (5.4). */
  writeNumber = 0;
  readonly lastWrite = new Map<number, number>();
  join: JoinOut | undefined;
  /** While set, new writes wait: a join is at its final step (3.8 step 5). */
  #heldWrites: PrimaryOperation[] | undefined;
  #quiet: (() => void) | undefined;

  constructor(group: Group, config: PgConfig) {
    this.group = group;
    this.config = config;
  }

  /**
   * Waits for what this process still runs on the group, makes the epoch durable, then serves. Unverified chunks are accepted
   * when they are first used.
   */
  async activate(): Promise<void> {
    this.#retarget();
    await this.group.idle();
    this.#olderEnded = true;
    await this.#serveWhenStored();
  }

  /** A newer configuration of which this device is still the primary: targets change, pending writes are sent again. */
  continueUnder(config: PgConfig): void {
    this.config = config;
    this.writeNumber = 0;
    this.lastWrite.clear();
    this.active = false;
    this.resume();
    this.#retarget();
    // Own operations, which wait for the new epoch, are not older ones: only the first activation waits for the group.
    if (this.#olderEnded) this.#serveWhenStored();
  }

  /** Stores the epoch before anything is served under it; if a newer one comes meanwhile, that one sees to itself. */
  async #serveWhenStored(): Promise<void> {
    const { config, group } = this;
    const { context, store } = group.device;
    const facts = { pgId: group.pgId, epoch: config.epoch };
    try {
      await store.commitFull();
    } catch (error) {
      return context.log.error("Cannot serve group {pgId}: its epoch cannot be stored: {error}", { ...facts, error });
    }
    if (this.stopped || this.config !== config || !group.mayBeServedUnder(config)) return;
    this.active = true;
    const members = config.members.map((member) => member.deviceId);
    context.log.debug("Serving group {pgId} as primary under epoch {epoch}", { ...facts, members });
    for (const operation of [...this.operations]) operation.settle();
  }

  /** The role is over: what was not started is refused, what runs has an unknown outcome. */
  stop(): void {
    if (this.stopped) return;
    this.stopped = true;
    this.active = false;
    this.join?.abandon("the primary lost its role");
    for (const target of this.targets.splice(0)) target.link.removeTarget(target);
    for (const operation of this.#heldWrites?.splice(0) ?? []) operation.refuse("stale_epoch");
    this.#heldWrites = undefined;
    for (const operation of [...this.operations]) operation.roleEnded();
  }

  /** True if requests may start, and reads be answered, now (3.3). */
  mayServe(): boolean {
    if (!this.active || this.#leaving) return false;
    for (let index = 0; index < this.targets.length; index++) {
      const target = this.targets[index]!;
      if (countsAsMember(target) && !(target.covered && target.link.leaseHolds())) return false;
    }
    return true;
  }

  /** A joiner starts to get writes. */
  addJoiner(join: JoinOut, link: LinkOut): Target {
    const target = newTarget(this.group, { link, deviceId: link.remoteDeviceId, join });
    target.open = true;
    this.targets.push(target);
    link.addTarget(target);
    return target;
  }

  /** A joiner or a removed member gets no more writes; those that waited for it go on without. */
  dropTarget(target: Target): void {
    const index = this.targets.indexOf(target);
    if (index < 0) return;
    this.targets.splice(index, 1);
    target.link.removeTarget(target);
    for (const operation of [...this.operations]) operation.acknowledged(target);
  }

  /**
   * Asks the MDM to go on without a member that does not answer; the group waits until that is recorded. True if it was asked
   * now.
   */
  removeMember(target: Target, reason: string): boolean {
    if (target.join !== undefined) {
      target.join.memberSilent(reason);
      return false;
    }
    if (this.stopped || target.removalAskedEpoch === this.config.epoch) return false;
    const { epoch } = this.config;
    const { device, pgId } = this.group;
    target.removalAskedEpoch = epoch;
    device.context.log.debug("Asking to remove device {deviceId} from group {pgId}: {reason}", {
      pgId,
      epoch,
      deviceId: target.deviceId,
      reason,
    });
    device.changes.ask({ kind: "remove_secondary", pgId, epoch, deviceId: target.deviceId }).then(() => {
      target.removalAskedEpoch = 0;
    });
    return true;
  }

  /** True if the operation was put aside until `releaseWrites`. */
  holdWrite(operation: PrimaryOperation): boolean {
    this.#heldWrites?.push(operation);
    return this.#heldWrites !== undefined;
  }

  get leaving(): boolean {
    return this.#leaving;
  }

  /** Serves nothing from now on; resolves when no write of this role is under way any more, whatever it took. */
  drain(): Promise<void> {
    assert(!this.#leaving && this.join === undefined, "a group is handed over once, and not while a copy joins");
    this.#leaving = true;
    return this.holdWrites();
  }

  /** Serves again: the hand-over was not asked for, or the epoch has moved on. */
  resume(): void {
    if (!this.#leaving) return;
    this.#leaving = false;
    this.releaseWrites();
  }

  /** Holds new writes; resolves when the running ones have ended, or when `releaseWrites` is called first. */
  holdWrites(): Promise<void> {
    assert(this.#heldWrites === undefined, "a group has one join at a time");
    this.#heldWrites = [];
    if (this.operations.size === 0) return Promise.resolve();
    return new Promise((resolve) => this.#quiet = resolve);
  }

  /** Lets new writes start; who waits for the running ones waits no more, since they may never be without one again. */
  releaseWrites(): void {
    const held = this.#heldWrites;
    this.#heldWrites = undefined;
    this.#becomeQuiet();
    for (const operation of held ?? []) operation.start();
  }

  /** An operation ended. */
  operationEnded(operation: PrimaryOperation): void {
    this.operations.delete(operation);
    if (this.operations.size === 0) this.#becomeQuiet();
  }

  #becomeQuiet(): void {
    const quiet = this.#quiet;
    this.#quiet = undefined;
    quiet?.();
  }

  /** Members as listed, joiners as they are: targets that stay keep what they have answered. */
  #retarget(): void {
    const { device } = this.group;
    const wanted = this.config.members.slice(1);
    this.join?.epochChanged(this.config);
    for (const target of [...this.targets]) {
      if (!wanted.some((member) => member.deviceId === target.deviceId)) {
        this.dropTarget(target);
        continue;
      }
      // The member must adopt the new epoch before it takes frames under it.
      target.join = undefined;
      target.open = false;
      target.covered = false;
    }
    for (const member of wanted) {
      if (this.targets.some((target) => target.deviceId === member.deviceId)) continue;
      const target = newTarget(this.group, {
        link: device.linkTo(member.deviceId),
        deviceId: member.deviceId,
        join: undefined,
      });
      this.targets.push(target);
      target.link.addTarget(target);
    }
    for (const target of this.targets) target.link.requestOpen(target);
  }
}

/** True for members, and for a joiner whose `addMember` is outstanding (I8). */
export function countsAsMember(target: Target): boolean {
  if (target.join === undefined) return true;
  return target.join.addMemberOutstanding && target.group.device.context.guards.joinerCounts;
}

/** True if every target that counts has applied the write (I5): each was sent it, and has answered. */
export function isOnAll({ role, answered, group }: PrimaryOperation): boolean {
  if (!group.device.context.guards.commitRule) return true;
  const { targets } = role;
  for (let index = 0; index < targets.length; index++) {
    const target = targets[index]!;
    if (countsAsMember(target) && !answered.includes(target)) return false;
  }
  return true;
}

function newTarget(
  group: Group,
  options: { link: LinkOut; deviceId: DeviceId; join: JoinOut | undefined },
): Target {
  return { group, ...options, open: false, covered: false, coveredSinceMs: 0, removalAskedEpoch: 0 };
}
