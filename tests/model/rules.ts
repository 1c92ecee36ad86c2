/**
 * All that can happen next, and what of a state no longer matters.
 *
 * @module
 */
import { primaryAdmits, primaryServes, writersAsk } from "@/tests/model/rules/clients.ts";
import { devicesConfigure, mdmDecides } from "@/tests/model/rules/configuration.ts";
import { devicesFail } from "@/tests/model/rules/faults.ts";
import { joinerCopies, primaryCopied, primaryJoins } from "@/tests/model/rules/joins.ts";
import { memberApplies, primaryHears, primaryReopens } from "@/tests/model/rules/replication.ts";
import type { Message } from "@/tests/model/messages.ts";
import type { Guard } from "@/tests/model/guards.ts";
import { DEVICE_COUNT, deviceOf, incarnationOf, isPrimary, leaseBit, type State } from "@/tests/model/state.ts";
import type { Step } from "@/tests/model/step.ts";

/** The rules, each of which offers the steps it allows. */
export const RULES: readonly ((step: Step) => void)[] = [
  writersAsk,
  messagesArrive,
  primaryServes,
  primaryReopens,
  primaryJoins,
  devicesConfigure,
  devicesFail,
];

function messagesArrive(step: Step): void {
  for (const message of step.state.messages) arrives(step, message);
}

function arrives(step: Step, message: Message): void {
  switch (message.kind) {
    case "write":
      return primaryAdmits(step, message);
    case "replicate":
      return memberApplies(step, message);
    case "applied":
      return primaryHears(step, message);
    case "copy":
      return joinerCopies(step, message);
    case "copied":
      return primaryCopied(step, message);
    default:
      return mdmDecides(step, message);
  }
}

/** Guards without which frames of the past matter, so that none may be forgotten. */
const GUARDS_ON_LATE_FRAMES = ["repl_epoch_check", "lanes", "link_sessions"] as const;

/** Forgets messages that their receiver refuses for ever, and leases of those who are no primaries: fewer states, same futures. */
export function forgetPast(state: State, without: ReadonlySet<Guard>): void {
  for (let index = 0; index < DEVICE_COUNT; index++) {
    if (isPrimary(state, index)) continue;
    for (let other = 0; other < DEVICE_COUNT; other++) state.leases &= ~leaseBit(index, other);
  }
  if (GUARDS_ON_LATE_FRAMES.some((guard) => without.has(guard))) return;
  state.messages = state.messages.filter((message) => mayMatter(state, message));
}

function mayMatter(state: State, message: Message): boolean {
  if (!("to" in message)) return message.epoch === state.record.epoch;
  const index = deviceOf(message.to);
  const receiver = state.devices[index]!;
  if (!receiver.isUp || receiver.incarnation !== incarnationOf(message.to)) return false;
  const { accepted, write, join } = receiver;
  switch (message.kind) {
    case "write":
      return receiver.epoch <= message.epoch && state.writers[message.writer] === "waiting";
    case "replicate":
    case "copy": {
      if (receiver.epoch > message.epoch) return false;
      const isSame = accepted?.sender === message.from && accepted.epoch === message.epoch;
      const isExact = isSame && accepted.session === message.session;
      if (message.kind === "copy" || message.isJoin) return isExact;
      return !isSame || accepted.session <= message.session;
    }
    case "applied":
      return isPrimary(state, index) && write?.writer === message.writer && receiver.epoch >= message.epoch &&
        !(write.answered & (1 << deviceOf(message.from)));
    case "copied":
      return receiver.epoch === message.epoch && join?.session === message.session && join.phase === "copying";
  }
}
