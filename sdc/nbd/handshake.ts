/**
 * The handshake phase of one connection: hello, client flags, options until one of them starts the transmission. What the
 * server answers is decided in `option_answers.ts`.
 *
 * @module
 */
import {
  type Agreement,
  answerOption,
  type HaggleState,
  type OptionAnswer,
  tooLongAnswer,
} from "@/sdc/nbd/option_answers.ts";
import type { NbdExports } from "@/sdc/nbd/exports.ts";
import { encodeHello, OPTION_HEADER_BYTES } from "@/sdc/nbd/option_frames.ts";
import {
  HANDSHAKE_FLAG,
  HANDSHAKE_FLAGS,
  OPTION_BYTES_MAX,
  OPTION_COUNT_MAX,
  OPTION_MAGIC,
} from "@/sdc/nbd/protocol.ts";
import type { ReceiveBuffer } from "@/sdc/nbd/receive_buffer.ts";
import type { SendQueue } from "@/shared/net/send_queue.ts";

/** How a handshake ended. The replies are in the send queue. */
export type HandshakeOutcome =
  | { readonly kind: "transmit"; readonly agreement: Agreement }
  | { readonly kind: "close"; readonly reason: string };

/** What a handshake works with. */
export interface HandshakeParts {
  readonly receive: ReceiveBuffer;
  readonly queue: SendQueue;
  readonly exports: NbdExports;
}

const PEER_LEFT: HandshakeOutcome = { kind: "close", reason: "the client left during the handshake" };

/** Leads the handshake. @throws {Error} when the connection broke. */
export async function shakeHands({ receive, queue, exports }: HandshakeParts): Promise<HandshakeOutcome> {
  queue.append(encodeHello());
  if (!await receive.need(4)) return PEER_LEFT;
  const clientFlags = receive.view.getUint32(receive.start);
  receive.start += 4;
  if ((clientFlags & ~HANDSHAKE_FLAGS) !== 0) {
    return { kind: "close", reason: `client flags are 0x${clientFlags.toString(16)}` };
  }
  let state: HaggleState = {
    fixedNewstyle: (clientFlags & HANDSHAKE_FLAG.fixedNewstyle) !== 0,
    noZeroes: (clientFlags & HANDSHAKE_FLAG.noZeroes) !== 0,
    structuredReplies: false,
    allocationOf: undefined,
  };
  for (let optionCount = 0; optionCount < OPTION_COUNT_MAX; optionCount++) {
    const answer = await nextAnswer({ receive, exports }, state);
    if (answer === undefined) return PEER_LEFT;
    for (const frame of answer.frames) queue.append(frame);
    if (answer.kind !== "haggle") return answer;
    state = answer.state;
  }
  return { kind: "close", reason: `the client sent ${OPTION_COUNT_MAX} options and none that starts` };
}

/** Receives one option and answers it; undefined if the stream ended. */
async function nextAnswer(
  { receive, exports }: Omit<HandshakeParts, "queue">,
  state: HaggleState,
): Promise<OptionAnswer | undefined> {
  if (!await receive.need(OPTION_HEADER_BYTES)) return undefined;
  if (receive.view.getBigUint64(receive.start) !== OPTION_MAGIC) {
    return { kind: "close", frames: [], reason: "the magic of an option is not IHAVEOPT" };
  }
  const option = receive.view.getUint32(receive.start + 8);
  const byteCount = receive.view.getUint32(receive.start + 12);
  if (byteCount > OPTION_BYTES_MAX) return tooLongAnswer(option, byteCount);
  if (!await receive.need(OPTION_HEADER_BYTES + byteCount)) return undefined;
  const dataStart = receive.start + OPTION_HEADER_BYTES;
  receive.start = dataStart + byteCount;
  const data = receive.bytes.subarray(dataStart, dataStart + byteCount);
  return answerOption({ option, data }, { state, exports });
}
