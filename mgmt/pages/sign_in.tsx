/**
 * `/sign-in`, `/sign-out`, `/password`, `/account`, `/audit`, `/theme`: who one is, and what one may change about it.
 *
 * @module
 */
import { type Context, Hono } from "hono";
import { StorageError } from "@/shared/errors.ts";
import { FIRST_USER } from "@/mgmt/auth/first_start.ts";
import type { SignedIn } from "@/mgmt/auth/session_service.ts";
import { localPath, type MgmtParts, Visit } from "@/mgmt/pages/context.ts";
import { accountPage, auditPage, FirstPasswordForm, SignInForm } from "@/mgmt/views/account.tsx";
import { renderPlain } from "@/mgmt/views/frame.tsx";

/** Rows of the audit log that its page shows. */
const AUDIT_ROWS_SHOWN = 200;

interface FormFacts {
  readonly next: string;
  readonly name: string;
  readonly problem: string | undefined;
}

/** `/sign-in`, for those who are not signed in. */
export function signInRoutes(parts: MgmtParts): Hono {
  const routes = new Hono();
  const showForm = (c: Context, facts: FormFacts & { readonly status: 200 | 401 | 429 }) => {
    const visit = new Visit(c, parts);
    const formToken = visit.formToken();
    const firstTime = parts.store.users.withOneTimePassword().length > 0;
    const name = facts.name === "" && firstTime ? FIRST_USER : facts.name;
    const form = <SignInForm {...facts} name={name} formToken={formToken} firstTime={firstTime} />;
    return c.html(renderPlain({ title: "Sign in", theme: visit.theme() }, form), facts.status);
  };
  routes.get("/sign-in", (c) => {
    const next = localPath(c.req.query("next"));
    if (new Visit(c, parts).signedIn()) return c.redirect(next, 303);
    return showForm(c, { next, name: "", problem: undefined, status: 200 });
  });
  routes.post("/sign-in", async (c) => {
    const visit = new Visit(c, parts);
    const form = await c.req.parseBody();
    const name = textOf(form["name"]);
    const next = localPath(form["next"]);
    const outcome = await parts.signIn.signIn({ name, password: textOf(form["password"]) }, visit.origin());
    parts.metrics.signIns.inc({ result: outcome.kind });
    if (outcome.kind === "refused") {
      if (outcome.retryAfterMs > 0) c.header("Retry-After", String(Math.ceil(outcome.retryAfterMs / 1000)));
      return showForm(c, { next, name, problem: outcome.reason, status: outcome.retryAfterMs > 0 ? 429 : 401 });
    }
    visit.setSession(outcome.sessionId);
    return c.redirect(outcome.user.mustChangePassword ? "/password" : next, 303);
  });
  routes.post("/theme", async (c) => {
    const form = await c.req.parseBody();
    new Visit(c, parts).setTheme(form["theme"]);
    return c.redirect(localPath(form["back"]), 303);
  });
  return routes;
}

/** What those who are signed in may do about themselves. */
export function accountRoutes(parts: MgmtParts): Hono {
  const routes = new Hono();
  const showAccount = (c: Context, signedIn: SignedIn, facts: { problem: string | undefined; changed: boolean }) =>
    new Visit(c, parts).show(
      accountPage(signedIn, { ...facts, sessions: parts.store.sessions.ofUser(signedIn.user.id) }),
    );
  const showFirstPassword = (c: Context, signedIn: SignedIn, problem: string | undefined) => {
    const form = <FirstPasswordForm formToken={signedIn.formToken} userName={signedIn.user.name} problem={problem} />;
    const title = "Choose your password";
    return c.html(renderPlain({ title, theme: new Visit(c, parts).theme() }, form), problem === undefined ? 200 : 422);
  };
  routes.get("/password", (c) => {
    const signedIn = requireSignedIn(c, parts);
    return signedIn.user.mustChangePassword ? showFirstPassword(c, signedIn, undefined) : c.redirect("/account", 303);
  });
  routes.post("/password", async (c) => {
    const visit = new Visit(c, parts);
    const signedIn = requireSignedIn(c, parts);
    const form = await c.req.parseBody();
    const passwords = {
      current: textOf(form["current"]),
      next: textOf(form["password"]),
      repeated: textOf(form["repeated"]),
    };
    const outcome = await parts.signIn.changePassword(signedIn, passwords, visit.origin());
    const first = signedIn.user.mustChangePassword;
    if (outcome.kind === "refused") {
      return first
        ? showFirstPassword(c, signedIn, outcome.reason)
        : showAccount(c, signedIn, { problem: outcome.reason, changed: false });
    }
    visit.setSession(outcome.sessionId);
    return c.redirect(first ? "/" : "/account?changed=1", 303);
  });
  routes.get(
    "/account",
    (c) => showAccount(c, requireSignedIn(c, parts), { problem: undefined, changed: c.req.query("changed") === "1" }),
  );
  routes.post("/account/end-other-sessions", (c) => {
    parts.signIn.endOtherSessions(requireSignedIn(c, parts), new Visit(c, parts).origin());
    return c.redirect("/account", 303);
  });
  routes.post("/sign-out", (c) => {
    const visit = new Visit(c, parts);
    parts.signIn.signOut(requireSignedIn(c, parts), visit.origin());
    visit.clearSession();
    return c.redirect("/sign-in", 303);
  });
  routes.get("/audit", (c) => {
    if (requireSignedIn(c, parts).user.role !== "admin") {
      throw new StorageError("forbidden", "Cannot show the audit log: only administrators may read it");
    }
    return new Visit(c, parts).show(auditPage(parts.store.audit.newest(AUDIT_ROWS_SHOWN)));
  });
  return routes;
}

function requireSignedIn(c: Context, parts: MgmtParts): SignedIn {
  const signedIn = new Visit(c, parts).signedIn();
  if (!signedIn) throw new StorageError("unauthorized", "Cannot go on: nobody is signed in");
  return signedIn;
}

function textOf(value: unknown): string {
  return typeof value === "string" ? value : "";
}
