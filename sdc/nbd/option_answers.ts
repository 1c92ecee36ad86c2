/**
 * The server's side of option haggling (NBD specification, Fixed newstyle negotiation): one option and the state in,
 * the replies and the next state out.
 *
 *   haggling ── GO, EXPORT_NAME ──► transmission
 *      │  ▲
 *      │  └── every other option, also a refused one
 *      └── ABORT, EXPORT_NAME of an unknown export, an option after fixed newstyle was declined ──► closed
 *
 * @module
 */
import type { BlockDevice } from "@/sdc/block_device.ts";
import { findExport, type NbdExports, transmissionFlags } from "@/sdc/nbd/exports.ts";
import { decodeExportName, decodeInfoQuery, decodeMetaContextQuery } from "@/sdc/nbd/option_data.ts";
import {
  encodeBlockSizeInfo,
  encodeExportInfo,
  encodeExportNameAnswer,
  encodeMessage,
  encodeMetaContext,
  encodeNameInfo,
  encodeOptionReply,
  encodeServer,
} from "@/sdc/nbd/option_frames.ts";
import { BASE_ALLOCATION, BASE_ALLOCATION_ID, INFO, OPTION, OPTION_REPLY } from "@/sdc/nbd/protocol.ts";

/** What was agreed so far. */
export interface HaggleState {
  readonly fixedNewstyle: boolean;
  readonly noZeroes: boolean;
  readonly structuredReplies: boolean;
  /** Name of the export for which `base:allocation` was selected. */
  readonly allocationOf: string | undefined;
}

/** What the transmission works by. */
export interface Agreement {
  readonly device: BlockDevice;
  /** Transmission flags as announced. */
  readonly flags: number;
  readonly structuredReplies: boolean;
  /** BLOCK_STATUS is allowed, with context `base:allocation`. */
  readonly allocationContext: boolean;
}

/** One option with its data. */
export interface Option {
  readonly option: number;
  readonly data: Uint8Array;
}

/** What to send, and how it goes on. */
export type OptionAnswer =
  & { readonly frames: readonly Uint8Array[] }
  & (
    | { readonly kind: "haggle"; readonly state: HaggleState }
    | { readonly kind: "transmit"; readonly agreement: Agreement }
    | { readonly kind: "close"; readonly reason: string }
  );

/** The answer to `option` under `state`. */
export function answerOption(option: Option, context: { state: HaggleState; exports: NbdExports }): OptionAnswer {
  const { state, exports } = context;
  if (option.option === OPTION.exportName) return answerExportName(option, context);
  if (!state.fixedNewstyle) {
    return { kind: "close", frames: [], reason: `option ${option.option} without fixed newstyle` };
  }
  switch (option.option) {
    case OPTION.abort:
      return { kind: "close", frames: [ack(option)], reason: "the client aborted the negotiation" };
    case OPTION.list:
      if (option.data.length > 0) return invalid(option, { state, problem: "LIST carries no data" });
      return replied(state, [
        ...exports.list().map((name) =>
          encodeOptionReply(option.option, { type: OPTION_REPLY.server, data: encodeServer(name) })
        ),
        ack(option),
      ]);
    case OPTION.startTls:
      return refused(option, { state, type: OPTION_REPLY.policy, message: "This server does not offer TLS" });
    case OPTION.info:
    case OPTION.go:
      return answerInfo(option, context);
    case OPTION.structuredReply:
      if (option.data.length > 0) return invalid(option, { state, problem: "STRUCTURED_REPLY carries no data" });
      return replied({ ...state, structuredReplies: true }, [ack(option)]);
    case OPTION.listMetaContext:
    case OPTION.setMetaContext:
      return answerMetaContext(option, context);
    default:
      return refused(option, {
        state,
        type: OPTION_REPLY.unsupported,
        message: `Option ${option.option} is not supported`,
      });
  }
}

/** The refusal of an option whose data is too long to be read. The stream cannot go on behind it. */
export function tooLongAnswer(option: number, byteCount: number): OptionAnswer {
  const message = `Data of option ${option} is ${byteCount} bytes, which is too long`;
  const frame = encodeOptionReply(option, { type: OPTION_REPLY.tooBig, data: encodeMessage(message) });
  return { kind: "close", frames: [frame], reason: message };
}

function answerExportName(
  option: Option,
  { state, exports }: { state: HaggleState; exports: NbdExports },
): OptionAnswer {
  const name = decodeExportName(option.data);
  if (!name.ok) return { kind: "close", frames: [], reason: name.problem };
  const device = findExport(exports, name.value);
  // This option has no way to say no but to hang up.
  if (device === undefined) return { kind: "close", frames: [], reason: `no export ${JSON.stringify(name.value)}` };
  const agreement = agreementOn(device, state);
  const { flags } = agreement;
  return {
    kind: "transmit",
    frames: [encodeExportNameAnswer({ sizeBytes: device.sizeBytes, flags, noZeroes: state.noZeroes })],
    agreement,
  };
}

/** INFO and GO differ in what follows the acknowledgement. */
function answerInfo(option: Option, { state, exports }: { state: HaggleState; exports: NbdExports }): OptionAnswer {
  const query = decodeInfoQuery(option.data);
  if (!query.ok) return invalid(option, { state, problem: query.problem });
  const device = findExport(exports, query.value.exportName);
  if (device === undefined) return unknownExport(option, { state, name: query.value.exportName });
  const agreement = agreementOn(device, state);
  const info = (data: Uint8Array) => encodeOptionReply(option.option, { type: OPTION_REPLY.info, data });
  const frames: Uint8Array[] = [info(encodeExportInfo({ sizeBytes: device.sizeBytes, flags: agreement.flags }))];
  if (query.value.infoTypes.includes(INFO.name)) frames.push(info(encodeNameInfo(device.name)));
  // Always sent: a client that did not ask may ignore it, and one that looks knows the limits.
  frames.push(info(encodeBlockSizeInfo()), ack(option));
  return option.option === OPTION.go ? { kind: "transmit", frames, agreement } : replied(state, frames);
}

function answerMetaContext(
  option: Option,
  { state: stateBefore, exports }: { state: HaggleState; exports: NbdExports },
): OptionAnswer {
  const setting = option.option === OPTION.setMetaContext;
  // A new selection replaces the old one, also when it fails.
  const state = setting ? { ...stateBefore, allocationOf: undefined } : stateBefore;
  if (!state.structuredReplies) return invalid(option, { state, problem: "Structured replies come before contexts" });
  const query = decodeMetaContextQuery(option.data);
  if (!query.ok) return invalid(option, { state, problem: query.problem });
  const device = findExport(exports, query.value.exportName);
  if (device === undefined) return unknownExport(option, { state, name: query.value.exportName });
  const { queries } = query.value;
  // A list may ask for everything, or for all of one namespace; a selection names the context. Unknown ones are ignored.
  const wanted = setting
    ? queries.includes(BASE_ALLOCATION)
    : queries.length === 0 || queries.includes("base:") || queries.includes(BASE_ALLOCATION);
  if (!wanted) return replied(state, [ack(option)]);
  const data = encodeMetaContext(setting ? BASE_ALLOCATION_ID : 0, BASE_ALLOCATION);
  const frames = [encodeOptionReply(option.option, { type: OPTION_REPLY.metaContext, data }), ack(option)];
  return replied(setting ? { ...state, allocationOf: device.name } : state, frames);
}

function agreementOn(device: BlockDevice, state: HaggleState): Agreement {
  return {
    device,
    flags: transmissionFlags(device, state.structuredReplies),
    structuredReplies: state.structuredReplies,
    allocationContext: state.allocationOf === device.name,
  };
}

function ack(option: Option): Uint8Array {
  return encodeOptionReply(option.option, { type: OPTION_REPLY.ack });
}

function replied(state: HaggleState, frames: readonly Uint8Array[]): OptionAnswer {
  return { kind: "haggle", state, frames };
}

function refused(option: Option, refusal: { state: HaggleState; type: number; message: string }): OptionAnswer {
  const data = encodeMessage(refusal.message);
  return replied(refusal.state, [encodeOptionReply(option.option, { type: refusal.type, data })]);
}

function invalid(option: Option, refusal: { state: HaggleState; problem: string }): OptionAnswer {
  return refused(option, { state: refusal.state, type: OPTION_REPLY.invalid, message: refusal.problem });
}

function unknownExport(option: Option, refusal: { state: HaggleState; name: string }): OptionAnswer {
  const message = refusal.name === ""
    ? "There is no default export, since not exactly one volume is mapped"
    : `No volume ${JSON.stringify(refusal.name)} is mapped`;
  return refused(option, { state: refusal.state, type: OPTION_REPLY.unknownExport, message });
}
