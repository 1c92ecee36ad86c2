/**
 * Messages under way. They form a set: any of them may arrive next, late or never, and one that is sent again while it is still
 * under way stays one. What the protocol may assume, the order within a link session, is a rule of the receiver.
 *
 * @module
 */
import type { MemberId, State } from "@/tests/model/state.ts";

/** What a message says; who sends and receives it are processes, named by device and incarnation. */
export type MessageBody =
  /** An SDC's write; `attempt` counts resends. */
  | {
    readonly kind: "write";
    readonly writer: number;
    readonly to: MemberId;
    readonly epoch: number;
    readonly attempt: number;
  }
  /** A primary's write to a member or a joiner. */
  | {
    readonly kind: "replicate";
    readonly from: MemberId;
    readonly to: MemberId;
    readonly epoch: number;
    readonly members: readonly MemberId[];
    readonly writer: number;
    readonly number: number;
    readonly session: number;
    readonly isJoin: boolean;
  }
  /** A member applied a write. */
  | {
    readonly kind: "applied";
    readonly from: MemberId;
    readonly to: MemberId;
    readonly epoch: number;
    readonly writer: number;
  }
  /** The chunk for a joiner. */
  | {
    readonly kind: "copy";
    readonly from: MemberId;
    readonly to: MemberId;
    readonly epoch: number;
    readonly session: number;
    readonly value: number;
  }
  /** A joiner has the chunk. */
  | {
    readonly kind: "copied";
    readonly from: MemberId;
    readonly to: MemberId;
    readonly epoch: number;
    readonly session: number;
  }
  /** Requests to the MDM. */
  | { readonly kind: "take_over"; readonly from: MemberId; readonly epoch: number }
  | {
    readonly kind: "remove_secondary" | "add_member" | "hand_over" | "hand_over_undrained";
    readonly from: MemberId;
    readonly epoch: number;
    readonly target: MemberId;
  };

/** A message with the text that tells it from others. */
export type Message = MessageBody & { readonly text: string };

/** Puts a message on its way, unless an equal one is. */
export function send(state: State, body: MessageBody): void {
  const text = Object.values(body).join(" ");
  if (!state.messages.some((message) => message.text === text)) state.messages.push({ ...body, text });
}

/** Takes a message off its way: it arrived, or was lost. */
export function take(state: State, message: Message): void {
  state.messages = state.messages.filter((other) => other !== message);
}
