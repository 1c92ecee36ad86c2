/**
 * Calls that the MDM makes: `/control/*` of SDSs and SDCs, signed with the node key of the process that is called. Nothing about
 * correctness rests on their arrival: notices only save waiting for the next heartbeat.
 *
 * @module
 */
import type { Log } from "@/mdm/context.ts";
import { signRequest } from "@/shared/http/node_auth.ts";
import type { HttpAnswer, HttpSend } from "@/shared/http_client.ts";
import type { ComponentId } from "@/shared/ids.ts";

/** A process that can be called. */
export interface CallTarget {
  readonly componentId: ComponentId;
  readonly address: string;
  readonly controlPort: number | null;
  readonly nodeKeyHex: string;
}

/** A notice waits at most this long for its answer, in ms. */
const NOTICE_TIMEOUT_MS = 2_000;

/** A call of a control listener. */
export interface ControlCall {
  readonly path: string;
  readonly body: unknown;
  readonly timeoutMs: number;
}

/** One process's notices: one is under way at a time, any number behind it are one. */
interface NoticeState {
  again: boolean;
}

export class Outbox {
  readonly #send: HttpSend;
  readonly #mdmTerm: number;
  readonly #log: Log;
  readonly #notices = new Map<ComponentId, NoticeState>();
  readonly #running = new Set<Promise<unknown>>();
  #closed = false;

  constructor(options: { send: HttpSend; mdmTerm: number; log: Log }) {
    this.#send = options.send;
    this.#mdmTerm = options.mdmTerm;
    this.#log = options.log;
  }

  /** Asks the process to beat now; does not wait. */
  notice(target: CallTarget): void {
    if (this.#closed) return;
    const state = this.#notices.get(target.componentId);
    if (state !== undefined) {
      state.again = true;
      return;
    }
    const fresh: NoticeState = { again: false };
    this.#notices.set(target.componentId, fresh);
    this.#track(this.#noticeUntilQuiet(target, fresh));
  }

  /** Sends in the background; a failure is logged and otherwise forgotten. */
  post(target: CallTarget, call: { path: string; body: unknown; timeoutMs?: number }): void {
    if (!this.#closed) this.#track(this.call(target, { timeoutMs: NOTICE_TIMEOUT_MS, ...call }));
  }

  /** As `post`, and waits for the answer, for what should be so when an operator's call is answered. */
  async tell(target: CallTarget, call: { path: string; body: unknown }): Promise<void> {
    if (this.#closed) return;
    const work = this.call(target, { timeoutMs: NOTICE_TIMEOUT_MS, ...call });
    this.#track(work);
    await work;
  }

  /** The answer, or undefined if the process did not answer with success. */
  async call(target: CallTarget, call: ControlCall): Promise<HttpAnswer | undefined> {
    const { componentId } = target;
    const answer = await this.ask(target, call);
    if (answer === undefined || answer.status < 300) return answer;
    this.#log.warning("{componentId} answered {path} with {status}: {body}", {
      componentId,
      path: call.path,
      status: answer.status,
      body: answer.body.slice(0, 500),
    });
    return undefined;
  }

  /** The answer, a refusal too, or undefined if there was none. */
  async ask(target: CallTarget, call: ControlCall): Promise<HttpAnswer | undefined> {
    if (target.controlPort === null || this.#closed) return undefined;
    const body = JSON.stringify(call.body);
    const { componentId, nodeKeyHex } = target;
    const host = target.address.includes(":") ? `[${target.address}]` : target.address;
    try {
      return await this.#send({
        method: "POST",
        url: `http://${host}:${target.controlPort}${call.path}`,
        headers: {
          "Content-Type": "application/json",
          ...signRequest({ method: "POST", path: call.path, body, nodeKeyHex, componentId }),
        },
        body,
        timeoutMs: call.timeoutMs,
      });
    } catch (error) {
      this.#log.debug("{componentId} did not answer {path}: {error}", {
        componentId,
        path: call.path,
        error: String(error),
      });
      return undefined;
    }
  }

  /** Sends nothing more and waits for what is under way. */
  async close(): Promise<void> {
    this.#closed = true;
    await Promise.all(this.#running);
  }

  async #noticeUntilQuiet(target: CallTarget, state: NoticeState): Promise<void> {
    do {
      state.again = false;
      await this.call(target, {
        path: "/control/notice",
        body: { mdmTerm: this.#mdmTerm },
        timeoutMs: NOTICE_TIMEOUT_MS,
      });
    } while (state.again && !this.#closed);
    this.#notices.delete(target.componentId);
  }

  #track(work: Promise<unknown>): void {
    this.#running.add(work);
    work.finally(() => this.#running.delete(work));
  }
}
