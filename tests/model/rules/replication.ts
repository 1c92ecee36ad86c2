/**
 * Replication frames and their answers, and the primary's reopening of a link.
 *
 * @module
 */
import { type Message, send, take } from "@/tests/model/messages.ts";
import { adopt, sendToMembers } from "@/tests/model/rules/adoption.ts";
import {
  type AcceptedSession,
  changeDevice,
  deviceOf,
  incarnationOf,
  isPrimary,
  spend,
  type State,
} from "@/tests/model/state.ts";
import { keeps, type Step } from "@/tests/model/step.ts";

type Replicate = Message & { readonly kind: "replicate" };

/** A write arrives at a member or a joiner. */
export function memberApplies(step: Step, message: Replicate): void {
  const { state } = step;
  if (isOvertaking(state, message)) return;
  const index = deviceOf(message.to);
  if (!admits(step, message)) {
    return step.to(`device ${index} refuses ${message.text}`, (next) => take(next, message));
  }
  step.to(`device ${index} applies w${message.writer + 1} of epoch ${message.epoch}`, (next) => {
    take(next, message);
    if (!message.isJoin) {
      adopt(next, index, message);
      const { sender, epoch, session } = acceptedBy(next, message);
      changeDevice(next, index, { accepted: { sender, epoch, session } });
    }
    changeDevice(next, index, { cached: message.writer + 1, intent: true });
    send(next, {
      kind: "applied",
      from: message.to,
      to: message.from,
      epoch: message.epoch,
      writer: message.writer,
    });
  });
}

function admits(step: Step, message: Replicate): boolean {
  const device = step.state.devices[deviceOf(message.to)]!;
  if (!device.isUp || device.incarnation !== incarnationOf(message.to)) return false;
  if (device.epoch > message.epoch && keeps(step, "repl_epoch_check")) return false;
  if (!keeps(step, "link_sessions")) return true;
  const isSameSender = isOfSender(device.accepted, message);
  if (message.isJoin) return isSameSender && device.accepted!.session === message.session;
  return !isSameSender || device.accepted!.session <= message.session;
}

function isOfSender(accepted: AcceptedSession | undefined, message: Replicate): boolean {
  return accepted !== undefined && accepted.sender === message.from && accepted.epoch === message.epoch;
}

/** The session that a member's copy accepts from now on: never an older one than it did. */
function acceptedBy(next: State, message: Replicate): AcceptedSession {
  const { accepted } = next.devices[deviceOf(message.to)]!;
  const session = accepted !== undefined && isOfSender(accepted, message)
    ? Math.max(accepted.session, message.session)
    : message.session;
  return { sender: message.from, epoch: message.epoch, session };
}

/** True if an older write of the same session has not arrived yet. */
function isOvertaking(state: State, message: Replicate): boolean {
  return state.messages.some((other) =>
    other.kind === "replicate" && other.from === message.from && other.to === message.to &&
    other.session === message.session && other.isJoin === message.isJoin && other.number < message.number
  );
}

/** An answer arrives at the primary. */
export function primaryHears(step: Step, message: Message & { readonly kind: "applied" }): void {
  const index = deviceOf(message.to);
  const device = step.state.devices[index]!;
  const { write } = device;
  const counts = isPrimary(step.state, index) && device.incarnation === incarnationOf(message.to) &&
    write?.writer === message.writer && device.epoch >= message.epoch;
  step.to(`device ${index} ${counts ? "counts" : "ignores"} ${message.text}`, (next) => {
    take(next, message);
    if (!counts) return;
    const answered = write.answered | (1 << deviceOf(message.from));
    changeDevice(next, index, { write: { ...write, answered } });
  });
}

/** A primary opens a newer link session and sends again what is unanswered. */
export function primaryReopens(step: Step): void {
  if (step.state.budgets.reopenings === 0) return;
  step.state.devices.forEach((device, index) => {
    const { write } = device;
    if (!isPrimary(step.state, index) || write === undefined || device.members.length === 1) return;
    step.to(`device ${index} reopens its links`, (next) => {
      spend(next, "reopenings");
      changeDevice(next, index, { sessionCount: device.sessionCount + 1 });
      sendToMembers(next, index, write.needed & ~write.answered);
    });
  });
}
