/**
 * Configuration changes: who asks, what the MDM records, how leases and intents follow.
 *
 * @module
 */
import { type Message, send, take } from "@/tests/model/messages.ts";
import { adopt } from "@/tests/model/rules/adoption.ts";
import { afterLoss, afterRead } from "@/tests/model/register.ts";
import {
  changeDevice,
  COPY_COUNT,
  type Device,
  DEVICE_COUNT,
  deviceOf,
  incarnationOf,
  isPrimary,
  leaseBit,
  type MemberId,
  memberId,
  otherDevices,
  spend,
  type State,
} from "@/tests/model/state.ts";
import { keeps, type Step, Violation } from "@/tests/model/step.ts";

type ConfigRequest = Message & {
  readonly kind: "take_over" | "remove_secondary" | "add_member" | "hand_over" | "hand_over_undrained";
};

/** A request reaches the MDM, which compares its epoch and its asker, records the change or refuses. */
export function mdmDecides(step: Step, message: ConfigRequest): void {
  const { record } = step.state;
  const members = membersAfter(record.members, message);
  if (record.epoch !== message.epoch || members === undefined) {
    return step.to(`MDM refuses ${message.text}`, (next) => take(next, message));
  }
  step.to(`MDM records ${message.text}`, (next) => {
    take(next, message);
    recordMembers(next, members, keeps(step, "rows_below_full_copies"));
  });
}

function membersAfter(members: readonly MemberId[], message: ConfigRequest): readonly MemberId[] | undefined {
  const isPrimaryAsking = members[0] === message.from;
  switch (message.kind) {
    case "take_over":
      return !isPrimaryAsking && members.includes(message.from) ? [message.from] : undefined;
    case "remove_secondary":
      if (!isPrimaryAsking || !members.includes(message.target)) return undefined;
      return members.filter((member) => member !== message.target);
    case "add_member":
      return isPrimaryAsking ? [...members, message.target] : undefined;
    case "hand_over":
    case "hand_over_undrained": {
      if (!isPrimaryAsking || !members.includes(message.target)) return undefined;
      const stays = (member: MemberId) => message.kind === "hand_over" || member !== message.from;
      return [message.target, ...members.filter((member) => member !== message.target && stays(member))];
    }
  }
}

/** Commits the next epoch: who left gets a departed row, who is in loses it, full copies delete all. */
export function recordMembers(next: State, members: readonly MemberId[], deletesRows: boolean): void {
  const { record } = next;
  const departed = record.departed.map((row, device) => {
    if (members.some((member) => deviceOf(member) === device)) return undefined;
    return record.members.some((member) => deviceOf(member) === device) ? record.epoch : row;
  });
  const isFull = members.length >= COPY_COUNT;
  next.record = {
    epoch: record.epoch + 1,
    members,
    departed: isFull && deletesRows ? departed.map(() => undefined) : departed,
  };
}

/** Devices learn the newest configuration, ask for changes, grant leases and lose them. */
export function devicesConfigure(step: Step): void {
  const { state } = step;
  state.devices.forEach((device, index) => {
    if (!device.isUp) return;
    if (state.record.epoch > device.epoch) {
      step.to(`device ${index} adopts epoch ${state.record.epoch}`, (next) => adopt(next, index, next.record));
    }
    if (isPrimary(state, index)) {
      primaryAsks(step, index);
      leasesFor(step, index);
    } else secondaryAsks(step, index);
    restartedActivates(step, index);
  });
}

function primaryAsks(step: Step, index: number): void {
  const { state } = step;
  const device = state.devices[index]!;
  const { epoch, incarnation, members } = device;
  const isCurrent = state.record.epoch === epoch && epoch < step.epochMax;
  if (!isCurrent) return;
  const from = memberId(index, incarnation);
  for (const target of members.slice(1)) {
    step.to(`device ${index} asks to remove ${deviceOf(target)}`, (next) => {
      send(next, { kind: "remove_secondary", from, epoch, target });
    });
    if (device.join !== undefined || device.handsOver || state.budgets.handOvers === 0) continue;
    const kinds = device.write === undefined
      ? ["hand_over", "hand_over_undrained"] as const
      : ["hand_over_undrained"] as const;
    for (const kind of kinds) {
      step.to(`device ${index} asks for ${kind} to ${deviceOf(target)}`, (next) => {
        spend(next, "handOvers");
        changeDevice(next, index, { handsOver: true });
        send(next, { kind, from, epoch, target });
      });
    }
  }
  if ((device.join?.phase === "adding" || device.handsOver) && state.record.members[0] === from) {
    step.to(`MDM bumps the epoch for device ${index}`, (next) => {
      next.record = { ...next.record, epoch: next.record.epoch + 1 };
    });
  }
  primaryClearsIntents(step, index);
}

/** A member, or a joiner whose addMember is outstanding, grants the primary a lease; leases end at any time. */
function leasesFor(step: Step, index: number): void {
  const { state } = step;
  const device = state.devices[index]!;
  const joiner = device.join?.phase === "adding" ? device.join.joiner : undefined;
  for (let other = 0; other < DEVICE_COUNT; other++) {
    const bit = leaseBit(index, other);
    if (state.leases & bit) {
      step.to(`the lease of device ${index} from ${other} ends`, (next) => {
        next.leases &= ~bit;
      });
      continue;
    }
    const isMember = (otherDevices(device.members, index) & (1 << other)) !== 0;
    const isJoiner = joiner !== undefined && deviceOf(joiner) === other;
    if ((isMember || isJoiner) && grants(state, { grantor: other, primary: index })) {
      step.to(`device ${other} grants ${index} a lease`, (next) => {
        next.leases |= bit;
      });
    }
  }
}

function grants(state: State, { grantor, primary }: { grantor: number; primary: number }): boolean {
  const member = state.devices[grantor]!;
  const { incarnation, epoch, join } = state.devices[primary]!;
  const asker = memberId(primary, incarnation);
  if (!member.isUp || member.asksTakeOver) return false;
  if (member.members.length > 0) {
    return member.members[0] === asker && member.members.includes(memberId(grantor, member.incarnation));
  }
  const { accepted } = member;
  return join !== undefined && accepted?.sender === asker && accepted.session === join.session &&
    member.epoch === epoch;
}

function secondaryAsks(step: Step, index: number): void {
  const { state } = step;
  const device = state.devices[index]!;
  const from = memberId(index, device.incarnation);
  if (!device.members.includes(from) || device.asksTakeOver) return;
  if (state.record.epoch !== device.epoch || device.epoch >= step.epochMax) return;
  const grantsLease = (state.leases & leaseBit(deviceOf(device.members[0]!), index)) !== 0;
  if (grantsLease && keeps(step, "grace_before_take_over")) return;
  step.to(`device ${index} asks to take over epoch ${device.epoch}`, (next) => {
    changeDevice(next, index, { asksTakeOver: true });
    send(next, { kind: "take_over", from, epoch: device.epoch });
  });
}

/** All members stopped: the MDM activates one that came back, alone. */
function restartedActivates(step: Step, index: number): void {
  const { state } = step;
  const { record } = state;
  const device = state.devices[index]!;
  const listed = record.members.find((member) => deviceOf(member) === index);
  if (listed === undefined || incarnationOf(listed) === device.incarnation || record.epoch >= step.epochMax) return;
  const renewed = memberId(index, device.incarnation);
  if (!keeps(step, "restart_leaves_members")) {
    step.to(`MDM lists device ${index} under its new incarnation`, (next) => {
      const members = next.record.members.map((member) => member === listed ? renewed : member);
      next.record = { ...next.record, members };
    });
  }
  if (!mayActivate(step, index)) return;
  const isLossy = (state.discontinuous & (1 << index)) !== 0;
  step.to(`MDM activates device ${index}${isLossy ? ", announcing a loss" : ""}`, (next) => {
    if (isLossy) announceLoss(next, index, record.members);
    recordMembers(next, [renewed], keeps(step, "rows_below_full_copies"));
  });
}

function mayActivate(step: Step, index: number): boolean {
  const { record, leases, discontinuous } = step.state;
  const isLossy = (discontinuous & (1 << index)) !== 0;
  return record.members.every((member) => {
    const other = deviceOf(member);
    if (other === index) return true;
    if (leases & leaseBit(other, index)) return false;
    const isContinuous = !(discontinuous & (1 << other));
    return !(isLossy && isContinuous && keeps(step, "continuous_first"));
  });
}

/**
 * The client is told that unflushed writes are lost.
 *
 * @throws {Violation} if they need not be: a FLUSH covered them, or another member of the group kept them.
 */
function announceLoss(next: State, index: number, members: readonly MemberId[]): void {
  const { cached } = next.devices[index]!;
  next.discontinuous &= ~(1 << index);
  const kept = members.map(deviceOf).filter((other) => other !== index && !(next.discontinuous & (1 << other)));
  const isAcknowledged = afterRead(next.register, cached, next.writers).length === 0;
  if (isAcknowledged && kept.length > 0) throw new Violation(`${cached} is older than what device ${kept[0]} kept`);
  next.register = afterLoss(cached, next.writers);
  if (!(next.survivors & (1 << cached))) throw new Violation(`${cached} is older than what a FLUSH covered`);
}

/** The primary syncs all members and clears the intents of a region without running writes. */
function primaryClearsIntents(step: Step, index: number): void {
  const { state } = step;
  const device = state.devices[index]!;
  if (!keeps(step, "clear_at_full_copies") && device.intent && device.write === undefined) {
    step.to(`device ${index} clears its intent below full copies`, (next) => {
      changeDevice(next, index, { intent: false });
    });
  }
  if (device.members.length < COPY_COUNT || device.join !== undefined || !membersAnswer(state, index)) return;
  if (keeps(step, "clear_after_sync") && (device.write !== undefined || isWriteUnderWay(state, device))) return;
  const clear = (next: State, alsoMembers: boolean) => {
    for (const member of device.members) {
      const other = deviceOf(member);
      const intent = next.devices[other]!.intent && other !== index && !alsoMembers;
      changeDevice(next, other, { stable: next.devices[other]!.cached, intent });
    }
  };
  step.to(`device ${index} clears its own intent`, (next) => clear(next, false));
  step.to(`device ${index} and its members clear intents`, (next) => clear(next, true));
}

function membersAnswer(state: State, index: number): boolean {
  const device = state.devices[index]!;
  return device.members.slice(1).every((member) => {
    const other = state.devices[deviceOf(member)]!;
    return other.isUp && other.epoch === device.epoch && other.incarnation === incarnationOf(member) &&
      (state.leases & leaseBit(index, deviceOf(member))) !== 0;
  });
}

/** True if a frame for a member may still be applied by it. */
function isWriteUnderWay(state: State, device: Device): boolean {
  return state.messages.some((message) =>
    message.kind === "replicate" && message.epoch === device.epoch && device.members.includes(message.to) &&
    message.session >= (state.devices[deviceOf(message.to)]!.accepted?.session ?? 0)
  );
}
