/**
 * The state that the model explores: the MDM's record of one placement group, three devices that may hold it, one block in it,
 * two writers, and the messages under way. Time is absent: a lease is held or not, and whatever could happen next may happen.
 *
 * A state is never changed once it was reached. A step works on the {@linkcode copyOf} it, whose nested values are replaced as
 * a whole, so that a copy costs three small objects.
 *
 * @module
 */
import type { Message } from "@/tests/model/messages.ts";
import { INITIAL_REGISTER, type Register } from "@/tests/model/register.ts";

/** Devices in the model, two of which are members at first. */
export const DEVICE_COUNT = 3;
/** Members of a complete group. */
export const COPY_COUNT = 2;
/** Writers, each of which writes once: the first the value 1, the second 2. */
export const WRITER_COUNT = 2;

/** A device under one incarnation, as configurations list it: `device * 8 + incarnation`. */
export type MemberId = number;

/** The {@linkcode MemberId} of `device` (0 to 2) in its `incarnation` (0 to 7). */
export const memberId = (device: number, incarnation: number): MemberId => device * 8 + incarnation;
/** The device of a member. */
export const deviceOf = (member: MemberId): number => member >> 3;
/** The incarnation under which a member is listed. */
export const incarnationOf = (member: MemberId): number => member & 7;

/** A write at its primary, from the lock to the answer. */
export interface RunningWrite {
  readonly writer: number;
  /** Its place in the order of the primary's writes; frames of a session arrive in this order. */
  readonly number: number;
  /** Devices that must answer, as a bitmap. */
  readonly needed: number;
  /** Devices that did, as a bitmap. */
  readonly answered: number;
  /** True once the primary's own copy has it. */
  readonly isApplied: boolean;
}

/** How far a join is at its primary. */
export type JoinPhase = "pending" | "copying" | "copied" | "adding";

/** A join at its primary. */
export interface OutgoingJoin {
  readonly joiner: MemberId;
  readonly session: number;
  readonly phase: JoinPhase;
}

/** Whose frames a device accepts: those of one sender under one epoch, of this session or a newer one. */
export interface AcceptedSession {
  readonly sender: MemberId;
  readonly epoch: number;
  readonly session: number;
}

/** A device with its process. */
export interface Device {
  readonly isUp: boolean;
  readonly incarnation: number;
  /** The newest epoch that the process adopted or stored; -1 before it knows one. */
  readonly epoch: number;
  /** Members under that epoch; empty for a copy that departed or joins. */
  readonly members: readonly MemberId[];
  /** The block's value in the page cache: 0 at first, then 1 or 2. */
  readonly cached: number;
  /** The value that a power loss leaves. */
  readonly stable: number;
  /** The `resync` write intent of the block's region, always durable. */
  readonly intent: boolean;
  readonly write: RunningWrite | undefined;
  readonly join: OutgoingJoin | undefined;
  /** True while a `takeOver` of this process is outstanding: it grants no lease. */
  readonly asksTakeOver: boolean;
  /** True once a `handOver` was asked for: it never serves again under this epoch. */
  readonly handsOver: boolean;
  /** Sessions that this process opened so far, of links and of joins. */
  readonly sessionCount: number;
  /** Writes that this process ordered so far. */
  readonly writeCount: number;
  readonly accepted: AcceptedSession | undefined;
}

/** What the MDM recorded. */
export interface Record {
  readonly epoch: number;
  /** The first is the primary. */
  readonly members: readonly MemberId[];
  /** Per device the last epoch of its departed copy, or undefined without a row. */
  readonly departed: readonly (number | undefined)[];
}

/** A writer: its one request was not sent yet, is unanswered, or was answered. */
export type WriterState = "idle" | "waiting" | "answered";

/** What may still go wrong. */
export interface Budgets {
  readonly crashes: number;
  readonly restarts: number;
  readonly reopenings: number;
  readonly joins: number;
  readonly handOvers: number;
  readonly resends: readonly number[];
}

/** One state of the whole. */
export interface State {
  record: Record;
  devices: Device[];
  /** Leases held, a bit for each ordered pair of devices: see {@linkcode leaseBit}. */
  leases: number;
  messages: Message[];
  writers: WriterState[];
  register: Register;
  /** Values that may be read after a power loss: what the last FLUSH covered and what came later, as a bitmap. */
  survivors: number;
  /** Devices whose cache was lost before it was stable, as a bitmap. */
  discontinuous: number;
  budgets: Budgets;
}

/** The bit of the lease that `member`'s device granted to `primary`'s device. */
export const leaseBit = (primary: number, member: number): number => 1 << (primary * DEVICE_COUNT + member);

/** True if the process of `device` is the primary under the epoch it knows. */
export function isPrimary(state: State, device: number): boolean {
  const { isUp, members, incarnation } = state.devices[device]!;
  return isUp && members[0] === memberId(device, incarnation);
}

/** Members other than `device`, as a bitmap of devices. */
export function otherDevices(members: readonly MemberId[], device: number): number {
  let bits = 0;
  for (const member of members) if (deviceOf(member) !== device) bits |= 1 << deviceOf(member);
  return bits;
}

/** A state that a step may change, by replacing what is in it. */
export function copyOf(state: State): State {
  return {
    ...state,
    devices: [...state.devices],
    messages: [...state.messages],
    writers: [...state.writers],
  };
}

/** Replaces parts of a device. */
export function changeDevice(state: State, device: number, change: Partial<Device>): void {
  state.devices[device] = { ...state.devices[device]!, ...change };
}

/** Counts one use of a budget. */
export function spend(state: State, budget: Exclude<keyof Budgets, "resends">): void {
  state.budgets = { ...state.budgets, [budget]: state.budgets[budget] - 1 };
}

/** A complete group on devices 0 and 1, nothing written. */
export function initialState(budgets: Budgets): State {
  const members = [memberId(0, 0), memberId(1, 0)];
  const blank: Device = {
    isUp: true,
    incarnation: 0,
    epoch: 0,
    members,
    cached: 0,
    stable: 0,
    intent: false,
    write: undefined,
    join: undefined,
    asksTakeOver: false,
    handsOver: false,
    sessionCount: 0,
    writeCount: 0,
    accepted: undefined,
  };
  return {
    record: { epoch: 0, members, departed: [undefined, undefined, undefined] },
    devices: [
      blank,
      { ...blank, accepted: { sender: members[0]!, epoch: 0, session: 0 } },
      { ...blank, members: [] },
    ],
    leases: leaseBit(0, 1),
    messages: [],
    writers: ["idle", "idle"],
    register: INITIAL_REGISTER,
    survivors: 1,
    discontinuous: 0,
    budgets,
  };
}

const PHASES: readonly JoinPhase[] = ["pending", "copying", "copied", "adding"];
const WRITER_STATES: readonly WriterState[] = ["idle", "waiting", "answered"];

/** A text that is equal for two states iff they are the same, whatever the order of their messages. */
export function keyOf(state: State): string {
  const { record, budgets } = state;
  const parts: (number | string)[] = [record.epoch, record.members.join("."), record.departed.join(".")];
  for (const device of state.devices) parts.push(deviceKey(device));
  parts.push(state.leases, state.register.join("."), state.survivors, state.discontinuous);
  for (const writer of state.writers) parts.push(WRITER_STATES.indexOf(writer));
  parts.push(budgets.crashes, budgets.restarts, budgets.reopenings, budgets.joins, budgets.handOvers);
  parts.push(budgets.resends.join("."));
  const texts = state.messages.map((message) => message.text).sort();
  return `${parts.join()}|${texts.join()}`;
}

function deviceKey(device: Device): string {
  const { write, join, accepted } = device;
  const flags = (device.isUp ? 1 : 0) | (device.intent ? 2 : 0) | (device.asksTakeOver ? 4 : 0) |
    (device.handsOver ? 8 : 0);
  const writeKey = write === undefined
    ? ""
    : `${write.writer}.${write.number}.${write.needed}.${write.answered}.${write.isApplied}`;
  const joinKey = join === undefined ? "" : `${join.joiner}.${join.session}.${PHASES.indexOf(join.phase)}`;
  const acceptedKey = accepted === undefined ? "" : `${accepted.sender}.${accepted.epoch}.${accepted.session}`;
  const numbers = [flags, device.incarnation, device.epoch, device.cached, device.stable, device.sessionCount];
  return `${numbers.join(".")}.${device.writeCount};${device.members.join(".")};${writeKey};${joinKey};${acceptedKey}`;
}
