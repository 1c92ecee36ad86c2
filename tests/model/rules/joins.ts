/**
 * Joins: a device without a place in the group becomes a member, by delta or in full.
 *
 * @module
 */
import { type Message, send, take } from "@/tests/model/messages.ts";
import {
  changeDevice,
  COPY_COUNT,
  type Device,
  deviceOf,
  incarnationOf,
  isPrimary,
  memberId,
  spend,
  type State,
} from "@/tests/model/state.ts";
import { keeps, type Step, Violation } from "@/tests/model/step.ts";

/** A primary below full copies begins a join, copies, gives up, or asks for the member. */
export function primaryJoins(step: Step): void {
  step.state.devices.forEach((device, index) => {
    if (!isPrimary(step.state, index)) return;
    if (device.join === undefined) return begins(step, index);
    const { join } = device;
    if (join.phase === "pending" && device.write === undefined) {
      step.to(`device ${index} copies to ${deviceOf(join.joiner)}`, (next) => {
        changeDevice(next, index, { join: { ...join, phase: "copying" } });
        send(next, {
          kind: "copy",
          from: memberId(index, device.incarnation),
          to: join.joiner,
          epoch: device.epoch,
          session: join.session,
          value: device.cached,
        });
      });
    }
    if (join.phase !== "adding") {
      step.to(`device ${index} drops its join`, (next) => {
        const { write } = device;
        const needed = (write?.needed ?? 0) & ~(1 << deviceOf(join.joiner));
        changeDevice(next, index, { join: undefined, write: write && { ...write, needed } });
      });
    }
    if (join.phase === "copied") asksToAdd(step, index);
  });
}

function begins(step: Step, index: number): void {
  const { state } = step;
  const device = state.devices[index]!;
  const isBelowFull = device.members.length < COPY_COUNT;
  if (!isBelowFull || state.budgets.joins === 0 || device.epoch >= step.epochMax || device.handsOver) return;
  state.devices.forEach((joiner, other) => {
    if (other === index || !joiner.isUp || joiner.epoch > device.epoch) return;
    if (device.members.includes(memberId(other, joiner.incarnation))) return;
    step.to(`device ${index} begins a join of ${other}`, (next) => {
      spend(next, "joins");
      const session = device.sessionCount + 1;
      const sender = memberId(index, device.incarnation);
      changeDevice(next, other, {
        epoch: device.epoch,
        members: [],
        write: undefined,
        join: undefined,
        asksTakeOver: false,
        accepted: { sender, epoch: device.epoch, session },
      });
      const phase = isEqualByDelta(next, device, other) ? "copied" : "pending";
      const join = { joiner: memberId(other, joiner.incarnation), session, phase } as const;
      changeDevice(next, index, { sessionCount: session, join });
    });
  });
}

/**
 * True if a delta join has nothing to copy: a departed row, and no intent on either side.
 *
 * @throws {Violation} if the copies differ all the same.
 */
function isEqualByDelta(next: State, primary: Device, other: number): boolean {
  const joiner = next.devices[other]!;
  if (next.record.departed[other] === undefined) return false;
  if (primary.intent || joiner.intent || primary.write !== undefined) return false;
  if (joiner.cached !== primary.cached) {
    throw new Violation(`a delta join skips a block that is ${joiner.cached} and should be ${primary.cached}`);
  }
  next.discontinuous &= ~(1 << other);
  return true;
}

/** `joinFinal` and `addMember`: no write runs that the joiner does not get; it syncs, then the MDM is asked. */
function asksToAdd(step: Step, index: number): void {
  const device = step.state.devices[index]!;
  const { write, join } = device;
  if (join === undefined) return;
  const other = deviceOf(join.joiner);
  const joiner = step.state.devices[other]!;
  const sender = memberId(index, device.incarnation);
  const isJoining = joiner.isUp && joiner.incarnation === incarnationOf(join.joiner) &&
    joiner.accepted?.sender === sender && joiner.accepted.session === join.session;
  const isWriteShared = write === undefined || (write.needed & (1 << other)) !== 0;
  if (!isJoining || !isWriteShared) return;
  step.to(`device ${index} asks to add ${other}`, (next) => {
    changeDevice(next, index, { join: { ...join, phase: "adding" } });
    if (keeps(step, "sync_before_add")) changeDevice(next, other, { stable: joiner.cached });
    send(next, { kind: "add_member", from: sender, epoch: device.epoch, target: join.joiner });
  });
}

/** The chunk arrives at the joiner. */
export function joinerCopies(step: Step, message: Message & { readonly kind: "copy" }): void {
  const index = deviceOf(message.to);
  const joiner = step.state.devices[index]!;
  const { accepted } = joiner;
  const isCurrent = accepted?.sender === message.from && accepted.epoch === message.epoch &&
    accepted.session === message.session;
  const isAccepted = joiner.isUp && joiner.incarnation === incarnationOf(message.to) &&
    joiner.epoch <= message.epoch && (isCurrent || !keeps(step, "link_sessions"));
  step.to(`device ${index} ${isAccepted ? "takes" : "refuses"} ${message.text}`, (next) => {
    take(next, message);
    if (!isAccepted) return;
    next.discontinuous &= ~(1 << index);
    changeDevice(next, index, { cached: message.value, intent: true });
    const { from, to, epoch, session } = message;
    send(next, { kind: "copied", from: to, to: from, epoch, session });
  });
}

/** The joiner's answer arrives at the primary. */
export function primaryCopied(step: Step, message: Message & { readonly kind: "copied" }): void {
  const index = deviceOf(message.to);
  const device = step.state.devices[index]!;
  const { join } = device;
  const counts = device.isUp && device.incarnation === incarnationOf(message.to) && device.epoch === message.epoch &&
    join?.session === message.session && join.phase === "copying";
  step.to(`device ${index} ${counts ? "counts" : "ignores"} ${message.text}`, (next) => {
    take(next, message);
    if (counts) changeDevice(next, index, { join: { ...join, phase: "copied" } });
  });
}
