/**
 * Writers and readers: requests sent, resent, admitted and answered at whichever device believes that it is the primary.
 *
 * @module
 */
import { type Message, send, take } from "@/tests/model/messages.ts";
import { afterResend } from "@/tests/model/register.ts";
import { sendToMembers } from "@/tests/model/rules/adoption.ts";
import {
  changeDevice,
  type Device,
  deviceOf,
  incarnationOf,
  isPrimary,
  leaseBit,
  otherDevices,
  type State,
  WRITER_COUNT,
} from "@/tests/model/state.ts";
import { answerReader, answerWriter, keeps, type Step } from "@/tests/model/step.ts";

/** A writer sends its request, or sends it again, to the primary on record. */
export function writersAsk(step: Step): void {
  const { state } = step;
  for (let writer = 0; writer < WRITER_COUNT; writer++) {
    const mayBegin = writer === 0 || step.twoSdcs || state.writers[0] === "answered";
    if (state.writers[writer] === "idle" && mayBegin) {
      step.to(`client sends w${writer + 1}`, (next) => {
        next.writers[writer] = "waiting";
        next.survivors |= 1 << (writer + 1);
        ask(next, writer, 0);
      });
    }
    const resends = state.budgets.resends[writer]!;
    if (state.writers[writer] === "waiting" && resends > 0) {
      step.to(`client resends w${writer + 1}`, (next) => {
        const left = next.budgets.resends.map((count, index) => index === writer ? count - 1 : count);
        next.budgets = { ...next.budgets, resends: left };
        if (step.twoSdcs) next.register = afterResend(next.register, writer);
        ask(next, writer, resends);
      });
    }
  }
}

function ask(next: State, writer: number, attempt: number): void {
  send(next, { kind: "write", writer, to: next.record.members[0]!, epoch: next.record.epoch, attempt });
}

/** A write request arrives: refused, or started under the chunk lock. */
export function primaryAdmits(step: Step, message: Message & { readonly kind: "write" }): void {
  const { state } = step;
  const { writer, epoch } = message;
  const index = deviceOf(message.to);
  const device = state.devices[index]!;
  const refuse = () => step.to(`device ${index} refuses ${message.text}`, (next) => take(next, message));
  if (!device.isUp || device.incarnation !== incarnationOf(message.to)) return refuse();
  if (device.epoch > epoch) return refuse();
  if (device.epoch < epoch || !isPrimary(state, index) || device.handsOver) return;
  if (device.write?.writer === writer) return refuse();
  if (state.writers[writer] === "answered" && keeps(step, "lanes")) return refuse();
  if (device.write !== undefined || device.join?.phase === "copying") return;
  step.to(`device ${index} starts w${writer + 1} under epoch ${device.epoch}`, (next) => {
    take(next, message);
    const needed = otherDevices(device.members, index) | joinerNeeded(step, device);
    const write = { writer, number: device.writeCount + 1, needed, answered: 0, isApplied: false };
    changeDevice(next, index, { write, writeCount: write.number, intent: true });
    sendToMembers(next, index, needed);
  });
}

/** The bit of a joiner that must have this write: its chunk was copied. */
function joinerNeeded(step: Step, { join }: Device): number {
  if (join === undefined || join.phase === "pending" || join.phase === "copying") return 0;
  if (join.phase === "adding" && !keeps(step, "joiner_counts_while_adding")) return 0;
  return 1 << deviceOf(join.joiner);
}

/** The primary applies its running write, answers one that all have, reads for a client, and flushes. */
export function primaryServes(step: Step): void {
  step.state.devices.forEach((device, index) => {
    if (!isPrimary(step.state, index)) return;
    const { write, epoch } = device;
    if (write !== undefined && !write.isApplied) {
      step.to(`device ${index} applies w${write.writer + 1}`, (next) => {
        changeDevice(next, index, { cached: write.writer + 1, intent: true, write: { ...write, isApplied: true } });
      });
    }
    const isEverywhere = write !== undefined && (write.needed & ~write.answered) === 0;
    if (write?.isApplied && (isEverywhere || !keeps(step, "commit_by_all"))) {
      step.to(`device ${index} answers w${write.writer + 1} under epoch ${epoch}`, (next) => {
        changeDevice(next, index, { write: undefined });
        if (next.writers[write.writer] === "waiting") answerWriter(next, write.writer);
      });
    }
    if (write !== undefined && keeps(step, "read_lock")) return;
    if (!holdsLeases(step, index)) return;
    step.to(`client reads ${device.cached} at device ${index} under epoch ${epoch}`, (next) => {
      answerReader(next, device.cached);
    });
    if (step.powerLoss && write === undefined) primaryFlushes(step, index);
  });
}

function holdsLeases(step: Step, index: number): boolean {
  const { state } = step;
  const device = state.devices[index]!;
  if (device.handsOver && keeps(step, "stops_before_hand_over")) return false;
  if (!keeps(step, "lease_before_read")) return true;
  let grantors = otherDevices(device.members, index);
  if (device.join?.phase === "adding" && keeps(step, "joiner_counts_while_adding")) {
    grantors |= 1 << deviceOf(device.join.joiner);
  }
  return state.devices.every((_, other) => !(grantors & (1 << other)) || (state.leases & leaseBit(index, other)) !== 0);
}

/** A FLUSH at a primary without running writes: every member and an accepted joiner syncs. */
function primaryFlushes(step: Step, index: number): void {
  const { state } = step;
  const device = state.devices[index]!;
  let syncing = otherDevices(device.members, index);
  if (device.join?.phase === "adding") syncing |= 1 << deviceOf(device.join.joiner);
  const answers = state.devices.every((other, number) =>
    !(syncing & (1 << number)) || (other.isUp && other.epoch === device.epoch && !other.asksTakeOver)
  );
  if (!answers) return;
  step.to(`device ${index} flushes under epoch ${device.epoch}`, (next) => {
    next.devices = next.devices.map((other, number) =>
      number === index || syncing & (1 << number) ? { ...other, stable: other.cached } : other
    );
    next.survivors = 1 << device.cached;
    next.writers.forEach((writer, number) => {
      if (writer === "waiting") next.survivors |= 1 << (number + 1);
    });
  });
}
