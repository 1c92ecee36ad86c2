/**
 * Keeps the session token of one volume fresh: fetched when the volume is attached, renewed when the MDM said, at once when
 * an SDS refuses it. While the MDM is away the old one goes on serving: SDSs honour it for `mdmOutageGraceMs` (6.3).
 *
 * @module
 */
import type { SdcContext } from "@/sdc/context.ts";
import type { VolumeCalls } from "@/sdc/remote/volume_calls.ts";
import { WantedLoop } from "@/sdc/remote/wanted_loop.ts";
import type { SessionTokenAnswer } from "@/shared/api/sdc.ts";
import type { Timer } from "@/shared/clock.ts";
import { StorageError } from "@/shared/errors.ts";

/** Longest pause between two attempts to get a token, in ms. */
export const TOKEN_PAUSE_MS_MAX = 1_000;

/** What the token is kept for. */
export interface TokenKeeperOwner {
  tokenRenewed(answer: SessionTokenAnswer): void;
  fenced(reason: string): void;
}

/** See the module comment. */
export class TokenKeeper {
  /** The newest token; undefined until the first. */
  text: string | undefined;
  readonly #context: SdcContext;
  readonly #calls: VolumeCalls;
  readonly #owner: TokenKeeperOwner;
  readonly #loop: WantedLoop;
  #timer: Timer | undefined;
  #closed = false;
  #failing = false;

  constructor(context: SdcContext, options: { readonly calls: VolumeCalls; readonly owner: TokenKeeperOwner }) {
    this.#context = context;
    this.#calls = options.calls;
    this.#owner = options.owner;
    const { clock, random } = context;
    this.#loop = new WantedLoop({ clock, random, pauseMsMax: TOKEN_PAUSE_MS_MAX, run: () => this.#renew() });
  }

  /** Asks for a new token. */
  want(): void {
    this.#loop.want();
  }

  close(): void {
    this.#closed = true;
    this.#timer?.cancel();
    this.#loop.close();
  }

  async #renew(): Promise<boolean> {
    this.#timer?.cancel();
    this.#timer = undefined;
    let answer: SessionTokenAnswer;
    try {
      answer = await this.#calls.fetchToken();
    } catch (error) {
      if (!(error instanceof StorageError)) throw error;
      if (error.code === "fenced") {
        this.#owner.fenced(error.message);
        return false;
      }
      if (!this.#failing) this.#context.log.info("Cannot renew the token: {reason}", { reason: error.message });
      this.#failing = true;
      return true;
    }
    if (this.#closed) return false;
    this.#failing = false;
    this.text = answer.token;
    this.#timer = this.#context.clock.setTimer(answer.renewAfterMs, () => this.want());
    this.#owner.tokenRenewed(answer);
    return false;
  }
}
