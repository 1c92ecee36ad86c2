/**
 * Keeps MGMT known at the MDM: enrols it, beats each {@linkcode BEAT_MS}, and registers again when the MDM forgot it.
 *
 * @module
 */
import { type Clock, every } from "@/shared/clock.ts";
import { StorageError } from "@/shared/errors.ts";
import type { Logger } from "@/shared/log.ts";
import type { MdmClient } from "@/mgmt/mdm_client.ts";

/** Time between two heartbeats; an MDM that is away is asked as often. */
export const BEAT_MS = 10_000;

interface EnrolmentParts {
  readonly mdm: Pick<MdmClient, "register" | "heartbeat">;
  readonly clock: Clock;
  readonly log: Logger;
}

/** The loop that keeps MGMT known. */
export class Enrolment implements AsyncDisposable {
  readonly #parts: EnrolmentParts;
  #registered = false;
  #failing = false;
  #beating: Promise<void> | undefined;
  #timer: { cancel(): void } | undefined;

  constructor(parts: EnrolmentParts) {
    this.#parts = parts;
  }

  /** Tries to register once, then goes on in the background. */
  async start(): Promise<void> {
    await this.beat();
    this.#timer = every(this.#parts.clock, BEAT_MS, () => this.beat());
  }

  /** Registers, or beats when it is registered. Never throws: the next beat tries again. */
  beat(): Promise<void> {
    return this.#beating ??= this.#beatOnce().finally(() => this.#beating = undefined);
  }

  /** Ends the loop and waits for a beat in flight. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#timer?.cancel();
    await this.#beating;
  }

  async #beatOnce(): Promise<void> {
    const { mdm, log } = this.#parts;
    try {
      if (this.#registered) await mdm.heartbeat();
      else {
        await mdm.register();
        this.#registered = true;
        log.info("Registered at the MDM");
      }
      this.#failing = false;
    } catch (error) {
      // Refused means that the MDM is another one than before, or forgot us: only registering helps.
      if (error instanceof StorageError && error.code !== "unavailable") this.#registered = false;
      const reason = error instanceof Error ? error.message : String(error);
      if (!this.#failing) log.warning("The MDM does not take MGMT's registration or heartbeat: {reason}", { reason });
      this.#failing = true;
    }
  }
}
