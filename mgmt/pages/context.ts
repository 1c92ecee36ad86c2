/**
 * What the routes share: the parts of MGMT, cookies, and who makes a request.
 *
 * @module
 */
import type { Context } from "hono";
import { deleteCookie, getCookie, setCookie } from "hono/cookie";
import { StorageError } from "@/shared/errors.ts";
import type { Clock } from "@/shared/clock.ts";
import { remoteAddressOf } from "@/shared/http/serve.ts";
import type { Logger } from "@/shared/log.ts";
import type { SessionService, SignedIn } from "@/mgmt/auth/session_service.ts";
import { type Origin, SESSION_AGE_MS } from "@/mgmt/auth/session_service.ts";
import type { SignIn } from "@/mgmt/auth/sign_in.ts";
import type { AlertEngine } from "@/mgmt/alert_engine.ts";
import { DONE_SENTENCES, isDoneWord } from "@/mgmt/changes/change.ts";
import { hasRole } from "@/mgmt/core/roles.ts";
import type { Housekeeping } from "@/mgmt/housekeeping.ts";
import type { MdmClient } from "@/mgmt/mdm_client.ts";
import type { UserRole } from "@/mgmt/store/users.ts";
import type { MgmtMetrics } from "@/mgmt/metrics.ts";
import type { Poller } from "@/mgmt/poller.ts";
import type { MgmtStore } from "@/mgmt/store/store.ts";
import type { FrameFacts, Page, Theme } from "@/mgmt/views/page.ts";
import { renderPage } from "@/mgmt/views/frame.tsx";

/** What the routes work with. */
export interface MgmtParts {
  readonly store: MgmtStore;
  readonly sessions: SessionService;
  readonly signIn: SignIn;
  readonly poller: Poller;
  readonly alerts: AlertEngine;
  readonly housekeeping: Housekeeping;
  readonly mdm: Pick<MdmClient, "operate">;
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: MgmtMetrics;
  /** `open` shows health and alerts without login. */
  readonly auth: "token" | "open";
  /** Part of the cookies' names, for cookies do not tell ports apart. */
  readonly guiPort: number;
}

const THEMES: readonly Theme[] = ["auto", "light", "dark"];
const THEME_COOKIE = "pf_theme";
const YEAR_S = 365 * 86_400;

/** Cookies, origin and frame of one request. */
export class Visit {
  readonly #c: Context;
  readonly #parts: MgmtParts;

  constructor(c: Context, parts: MgmtParts) {
    this.#c = c;
    this.#parts = parts;
  }

  get #sessionCookie(): string {
    return `pf_session_${this.#parts.guiPort}`;
  }

  get #visitorCookie(): string {
    return `pf_visitor_${this.#parts.guiPort}`;
  }

  /** Where the request comes from. */
  origin(): Origin {
    return { address: remoteAddressOf(this.#c), agent: this.#c.req.header("User-Agent") ?? "" };
  }

  /** Who makes the request; `touch` as in {@linkcode SessionService.find}. */
  signedIn(options: { readonly touch: boolean } = { touch: true }): SignedIn | undefined {
    return this.#parts.sessions.find(getCookie(this.#c, this.#sessionCookie), options);
  }

  /** Gives the browser its session. */
  setSession(id: string): void {
    deleteCookie(this.#c, this.#visitorCookie, { path: "/" });
    setCookie(this.#c, this.#sessionCookie, id, { ...STRICT, maxAge: SESSION_AGE_MS / 1000 });
  }

  /** Takes the session away from the browser. */
  clearSession(): void {
    deleteCookie(this.#c, this.#sessionCookie, { path: "/" });
  }

  /** Token for forms: of the session, or of a visitor who gets a cookie for it. */
  formToken(): string {
    const { sessions } = this.#parts;
    const signedIn = this.signedIn({ touch: false });
    if (signedIn) return signedIn.formToken;
    const known = getCookie(this.#c, this.#visitorCookie);
    const id = known ?? sessions.newVisitorId();
    if (known === undefined) setCookie(this.#c, this.#visitorCookie, id, STRICT);
    return sessions.formToken(id);
  }

  /** True if `token` came from a form that this browser was given. */
  formTokenMatches(token: unknown): boolean {
    const { sessions } = this.#parts;
    return this.signedIn({ touch: false })
      ? sessions.formTokenMatches(getCookie(this.#c, this.#sessionCookie), token)
      : sessions.formTokenMatches(getCookie(this.#c, this.#visitorCookie), token);
  }

  theme(): Theme {
    const kept = getCookie(this.#c, THEME_COOKIE);
    return THEMES.find((theme) => theme === kept) ?? "auto";
  }

  setTheme(theme: unknown): void {
    const known = THEMES.find((candidate) => candidate === theme);
    if (known) setCookie(this.#c, THEME_COOKIE, known, { ...STRICT, maxAge: YEAR_S });
  }

  /** The answer that shows `page` in its frame. */
  show(page: Page): Response {
    const done = this.#c.req.query("done") ?? "";
    const facts: FrameFacts = {
      view: this.#parts.poller.view(),
      signedIn: this.signedIn({ touch: false }),
      theme: this.theme(),
      path: new URL(this.#c.req.url).pathname + new URL(this.#c.req.url).search,
      done: isDoneWord(done) ? DONE_SENTENCES[done] : undefined,
      formToken: this.formToken(),
    };
    return this.#c.html(renderPage(page, facts), (page.status ?? 200) as 200) as Response; // Hono's type lists the statuses it knows
  }
}

const STRICT = { path: "/", httpOnly: true, sameSite: "Strict" } as const;

/** `next` if it is a path of ours, else the overview: a sign-in never leads elsewhere. */
export function localPath(next: unknown): string {
  return typeof next === "string" && /^\/(?![/\\])[\w\-./?=&%]*$/.test(next) ? next : "/";
}

/** Who makes the request, if their role is `role` or a higher one. @throws {StorageError} `unauthorized`, `forbidden`. */
export function requireRole(c: Context, parts: MgmtParts, role: UserRole): SignedIn {
  const signedIn = new Visit(c, parts).signedIn();
  const attempt = `Cannot ${c.req.method} ${c.req.path}`;
  if (!signedIn) throw new StorageError("unauthorized", `${attempt}: nobody is signed in`);
  if (!hasRole(signedIn.user.role, role)) {
    throw new StorageError("forbidden", `${attempt}: ${signedIn.user.name} is ${signedIn.user.role}, it needs ${role}`);
  }
  return signedIn;
}

/** True for browsers: they are shown pages, others get JSON. */
export function wantsPage(c: Context): boolean {
  return (c.req.header("Accept") ?? "").includes("text/html");
}
