/**
 * Signing in and changing the password: who may, how often one may try, and what is written down about it.
 *
 * @module
 */
import type { Clock } from "@/shared/clock.ts";
import { afterFailure, lockedForMs } from "@/mgmt/core/lockout.ts";
import { formatDuration } from "@/mgmt/core/format.ts";
import { type PasswordHasher, passwordProblem } from "@/mgmt/auth/passwords.ts";
import type { Origin, SessionService, SignedIn } from "@/mgmt/auth/session_service.ts";
import type { AuditAction } from "@/mgmt/store/audit_log.ts";
import type { MgmtStore } from "@/mgmt/store/store.ts";
import type { User } from "@/mgmt/store/users.ts";

/** Sign-ins that one address may try per {@linkcode ADDRESS_WINDOW_MS}, whichever the user. */
export const ATTEMPTS_PER_ADDRESS_MAX = 30;
/** Time over which they are counted. */
export const ADDRESS_WINDOW_MS = 60_000;
/** Addresses that are remembered; the oldest give way. */
const ADDRESSES_MAX = 10_000;
const NAME_LENGTH_MAX = 64;

/** What came of a sign-in. */
export type SignInOutcome =
  | { readonly kind: "signed_in"; readonly sessionId: string; readonly user: User }
  | { readonly kind: "refused"; readonly reason: string; readonly retryAfterMs: number };

/** What came of a change of password. */
export type PasswordOutcome =
  | { readonly kind: "changed"; readonly sessionId: string }
  | { readonly kind: "refused"; readonly reason: string };

interface SignInParts {
  readonly store: MgmtStore;
  readonly sessions: SessionService;
  readonly hasher: PasswordHasher;
  readonly clock: Clock;
  /** Called when nobody uses the one-time password any more. */
  readonly onOneTimePasswordReplaced: () => void;
}

/** Signs people in and out. */
export class SignIn {
  readonly #parts: SignInParts;
  readonly #attempts = new Map<string, number[]>();

  constructor(parts: SignInParts) {
    this.#parts = parts;
  }

  /** Checks name and password. @throws {StorageError} too_busy. */
  async signIn(credentials: { name: string; password: string }, origin: Origin): Promise<SignInOutcome> {
    const { store, hasher, sessions, clock } = this.#parts;
    const name = credentials.name.trim().slice(0, NAME_LENGTH_MAX);
    const addressLockMs = this.#addressLockMs(origin.address);
    if (addressLockMs > 0) {
      return this.#refused(name, origin, { why: "too many tries from this address", lockMs: addressLockMs });
    }
    const user = store.users.byName(name);
    const lockMs = user ? lockedForMs(user.failures, clock.wallMs()) : 0;
    if (lockMs > 0) return this.#refused(name, origin, { why: "locked after wrong passwords", lockMs });
    const matches = await hasher.matches(credentials.password, user?.isActive ? user.passwordHash : undefined);
    const nowMs = clock.wallMs();
    if (!user || !matches) {
      // Read again: other tries may have failed while the hash was computed.
      const current = user && store.users.byId(user.id);
      if (current) store.users.noteFailures(current.id, afterFailure(current.failures, nowMs));
      return this.#refused(name, origin, { why: "wrong name or password", lockMs: 0 });
    }
    store.users.noteLogin(user.id, nowMs);
    this.audit(user.name, "user_login", { origin });
    return { kind: "signed_in", sessionId: sessions.open(user, origin), user };
  }

  /** Ends the session. */
  signOut({ user, session }: SignedIn, origin: Origin): void {
    this.#parts.store.sessions.end(session.idHash);
    this.audit(user.name, "user_logout", { origin });
  }

  /** Ends the user's other sessions. */
  endOtherSessions({ user, session }: SignedIn, origin: Origin): void {
    this.#parts.store.sessions.endOthers(user.id, session.idHash);
    this.audit(user.name, "sessions_ended", { origin });
  }

  /**
   * Replaces the password and every session of the user by a new one. `current` is not asked of those who just signed in with
   * the one-time password. @throws {StorageError} too_busy.
   */
  async changePassword(
    signedIn: SignedIn,
    passwords: { readonly current: string; readonly next: string; readonly repeated: string },
    origin: Origin,
  ): Promise<PasswordOutcome> {
    const { store, hasher, sessions } = this.#parts;
    const { user } = signedIn;
    const refused = (reason: string): PasswordOutcome => ({ kind: "refused", reason });
    if (passwords.next !== passwords.repeated) return refused("The two new passwords differ.");
    const problem = passwordProblem(passwords.next, user.name);
    if (problem !== undefined) return refused(problem);
    if (!user.mustChangePassword && !await hasher.matches(passwords.current, user.passwordHash)) {
      this.audit(user.name, "password_changed", { origin, refusedBecause: "wrong current password" });
      return refused("The current password is not right.");
    }
    if (await hasher.matches(passwords.next, user.passwordHash)) {
      return refused("It is the password that you have now.");
    }
    const hash = await hasher.hash(passwords.next);
    store.users.setPassword(user.id, { hash, mustChange: false });
    const sessionId = sessions.open(user, origin);
    const kept = sessions.find(sessionId, { touch: false });
    if (kept) store.sessions.endOthers(user.id, kept.session.idHash);
    this.audit(user.name, "password_changed", { origin });
    if (store.users.withOneTimePassword().length === 0) this.#parts.onOneTimePasswordReplaced();
    return { kind: "changed", sessionId };
  }

  /** Writes a row of the audit log. */
  audit(
    userName: string,
    action: AuditAction,
    facts: {
      readonly origin: Origin;
      readonly refusedBecause?: string;
      readonly detail?: string;
      readonly isRefused?: boolean;
    },
  ): void {
    this.#parts.store.audit.add({
      atMs: this.#parts.clock.wallMs(),
      userName,
      action,
      address: facts.origin.address,
      result: facts.isRefused || facts.refusedBecause !== undefined ? "refused" : "ok",
      detail: facts.refusedBecause ?? facts.detail ?? "",
    });
  }

  #refused(name: string, origin: Origin, facts: { why: string; lockMs: number }): SignInOutcome {
    this.audit(name, "user_login", { origin, refusedBecause: facts.why });
    const reason = facts.lockMs > 0
      ? `Too many failed tries. Wait ${formatDuration(facts.lockMs + 999)}, then try again.`
      : "The name or the password is not right.";
    return { kind: "refused", reason, retryAfterMs: facts.lockMs };
  }

  /** Counts a try of `address`; gives how long it must wait, 0 when it need not. */
  #addressLockMs(address: string): number {
    const nowMs = this.#parts.clock.monotonicMs();
    const recent = (this.#attempts.get(address) ?? []).filter((atMs) => nowMs - atMs < ADDRESS_WINDOW_MS);
    const waitMs = recent.length < ATTEMPTS_PER_ADDRESS_MAX ? 0 : recent[0]! + ADDRESS_WINDOW_MS - nowMs;
    if (waitMs === 0) recent.push(nowMs);
    this.#attempts.delete(address); // moves the address to the end: the map is ordered by the last try
    this.#attempts.set(address, recent);
    for (const oldest of this.#attempts.keys()) {
      if (this.#attempts.size <= ADDRESSES_MAX) break;
      this.#attempts.delete(oldest);
    }
    return waitMs;
  }
}
