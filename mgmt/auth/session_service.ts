/**
 * Sessions: opened by a sign-in, found by their cookie, ended by sign-out, by idleness or by age.
 *
 * The cookie holds a random 256-bit id. The database holds HMAC-SHA256 of it under the secret key, so that neither a copy of
 * the database nor a guess opens a session. A form's token is another HMAC of the same id: it needs no storage, and another
 * site can neither read nor make it.
 *
 * @module
 */
import { createHmac } from "node:crypto";
import { equalText } from "@/shared/auth.ts";
import type { Clock } from "@/shared/clock.ts";
import type { Random } from "@/shared/random.ts";
import type { SessionRow, Sessions } from "@/mgmt/store/sessions.ts";
import type { User, Users } from "@/mgmt/store/users.ts";

/** A session ends when it was not used for this time: 4 hours. An open page that updates itself is no use. */
export const SESSION_IDLE_MS = 4 * 3_600_000;
/** A session ends at this age: 7 days. */
export const SESSION_AGE_MS = 7 * 86_400_000;
/** Uses closer together than this are written once. */
const USE_NOTED_EVERY_MS = 30_000;
const SESSION_ID_BYTES = 32;
const AGENT_LENGTH_MAX = 200;
const SESSION_ID_PATTERN = /^[A-Za-z0-9_-]{43}$/;

/** Who makes a request. */
export interface SignedIn {
  readonly user: User;
  readonly session: SessionRow;
  /** Token that this session's forms carry. */
  readonly formToken: string;
}

/** Where a request comes from. */
export interface Origin {
  readonly address: string;
  readonly agent: string;
}

interface SessionParts {
  readonly users: Users;
  readonly sessions: Sessions;
  readonly clock: Clock;
  readonly random: Random;
  readonly secretKey: string;
}

/** Opens, finds and ends sessions. */
export class SessionService {
  readonly #parts: SessionParts;

  constructor(parts: SessionParts) {
    this.#parts = parts;
  }

  /** Opens a session; gives the id for the cookie. */
  open(user: User, origin: Origin): string {
    const { sessions, clock, random } = this.#parts;
    const id = random.bytes(SESSION_ID_BYTES).toBase64({ alphabet: "base64url", omitPadding: true });
    const nowMs = clock.wallMs();
    sessions.removeExpired({ createdMs: nowMs - SESSION_AGE_MS, usedMs: nowMs - SESSION_IDLE_MS });
    sessions.add({
      idHash: this.#hash("session", id),
      userId: user.id,
      address: origin.address,
      agent: origin.agent.slice(0, AGENT_LENGTH_MAX),
      createdAtMs: nowMs,
      lastUsedAtMs: nowMs,
    });
    return id;
  }

  /**
   * Who holds the cookie `id`; undefined when nobody does any more. `touch` says that a person did something: it puts the
   * idle end off.
   */
  find(id: string | undefined, options: { readonly touch: boolean }): SignedIn | undefined {
    if (id === undefined || !SESSION_ID_PATTERN.test(id)) return undefined;
    const { users, sessions, clock } = this.#parts;
    const session = sessions.find(this.#hash("session", id));
    if (!session) return undefined;
    const nowMs = clock.wallMs();
    if (nowMs - session.lastUsedAtMs >= SESSION_IDLE_MS || nowMs - session.createdAtMs >= SESSION_AGE_MS) {
      sessions.end(session.idHash);
      return undefined;
    }
    const user = users.byId(session.userId);
    if (!user?.isActive) return undefined;
    if (options.touch && nowMs - session.lastUsedAtMs >= USE_NOTED_EVERY_MS) sessions.noteUse(session.idHash, nowMs);
    return { user, session, formToken: this.formToken(id) };
  }

  /** Token for forms of the browser that holds the cookie `id`. */
  formToken(id: string): string {
    return this.#hash("form", id);
  }

  /** True if `token` came from a form of the browser that holds the cookie `id`. */
  formTokenMatches(id: string | undefined, token: unknown): boolean {
    return id !== undefined && typeof token === "string" && equalText(this.formToken(id), token);
  }

  /** A new id for a browser that is not signed in: its sign-in form needs a token too. */
  newVisitorId(): string {
    return this.#parts.random.bytes(SESSION_ID_BYTES).toBase64({ alphabet: "base64url", omitPadding: true });
  }

  #hash(purpose: "session" | "form", id: string): string {
    return createHmac("sha256", this.#parts.secretKey).update(`${purpose}|${id}`).digest("hex");
  }
}
