/**
 * How a process takes a newer configuration, and how a primary sends its running write to the members under it.
 *
 * @module
 */
import { send } from "@/tests/model/messages.ts";
import {
  changeDevice,
  deviceOf,
  isPrimary,
  type MemberId,
  memberId,
  otherDevices,
  type Record,
  type State,
} from "@/tests/model/state.ts";

/**
 * Device `index` adopts a configuration if its epoch is higher than the one it has. A join ends with the epoch; a primary that
 * stays one sends its running write under the new epoch to members that have not answered; any other drops it.
 */
export function adopt(next: State, index: number, config: Pick<Record, "epoch" | "members">): void {
  const device = next.devices[index]!;
  if (config.epoch <= device.epoch) return;
  const wasPrimary = isPrimary(next, index);
  changeDevice(next, index, {
    epoch: config.epoch,
    members: config.members,
    join: undefined,
    asksTakeOver: false,
    handsOver: false,
  });
  if (device.write === undefined) return;
  if (!wasPrimary || !isPrimary(next, index)) return changeDevice(next, index, { write: undefined });
  const needed = otherDevices(config.members, index);
  changeDevice(next, index, { write: { ...device.write, needed } });
  sendToMembers(next, index, needed & ~device.write.answered);
}

/** Sends the running write of device `index` to the devices of `bits`. */
export function sendToMembers(next: State, index: number, bits: number): void {
  const device = next.devices[index]!;
  const { write, join, epoch, members } = device;
  if (write === undefined) return;
  const common = {
    kind: "replicate",
    from: memberId(index, device.incarnation),
    epoch,
    members,
    writer: write.writer,
    number: write.number,
  } as const;
  for (const to of receivers(members, join?.joiner)) {
    if (deviceOf(to) === index || !(bits & (1 << deviceOf(to)))) continue;
    const isJoin = to === join?.joiner;
    send(next, { ...common, to, session: isJoin ? join.session : device.sessionCount, isJoin });
  }
}

function receivers(members: readonly MemberId[], joiner: MemberId | undefined): readonly MemberId[] {
  return joiner === undefined ? members : [...members, joiner];
}
