/**
 * MGMT as an HTTP application: everything it needs comes as parameters, so a test builds the same one.
 *
 * @module
 */
import { type Context, Hono } from "hono";
import { StorageError } from "@/shared/errors.ts";
import { installCommonRoutes } from "@/shared/http/app.ts";
import { problemHandler } from "@/shared/http/problem.ts";
import { ASSETS } from "@/mgmt/assets.ts";
import { clusterFigures } from "@/mgmt/core/lists.ts";
import { alertRoutes } from "@/mgmt/pages/alerts.ts";
import { changeRoutes } from "@/mgmt/pages/changes.ts";
import { clusterPage } from "@/mgmt/pages/cluster_page.ts";
import { type MgmtParts, Visit, wantsPage } from "@/mgmt/pages/context.ts";
import { documentRoutes } from "@/mgmt/pages/document.ts";
import { errorPage } from "@/mgmt/pages/error_page.tsx";
import { healthRoutes, requireSnapshot } from "@/mgmt/pages/health.ts";
import { figureRoutes } from "@/mgmt/pages/figures.ts";
import { settingsRoutes } from "@/mgmt/pages/settings.ts";
import { isOpen, liveRoutes } from "@/mgmt/pages/live.ts";
import { requireFormToken, securityHeaders } from "@/mgmt/pages/security.ts";
import { accountRoutes, signInRoutes } from "@/mgmt/pages/sign_in.tsx";

/** Largest form, in bytes. */
export const FORM_BYTES_MAX = 64 * 1024;
const IMMUTABLE = "public, max-age=31536000, immutable";

/** The application. */
export function createApp(parts: MgmtParts): Hono {
  const { log, metrics } = parts;
  const app = new Hono({ strict: false });
  app.use(securityHeaders);
  installCommonRoutes(app, {
    log,
    notReady: () => parts.store.users.count() === 0 ? "the first user is being made" : undefined,
    bodyBytesMax: FORM_BYTES_MAX,
    metrics: metrics.registry,
    metricsOtherwise: async (c) => {
      const answer = turnedAway(c, parts);
      if (answer) return answer;
      await parts.poller.refresh();
      const view = parts.poller.view();
      if (wantsPage(c)) return new Visit(c, parts).show(clusterPage("/metrics", view)!);
      return c.json(clusterFigures(requireSnapshot(parts).overview, view.rates));
    },
  });
  const asProblem = problemHandler(log);
  app.onError(async (error, c) => {
    const problem = await asProblem(error, c);
    return wantsPage(c) ? errorPage(c, parts, problem) : problem;
  });
  app.get("/assets/:name", serveAsset);
  app.route("/", documentRoutes());
  app.use(requireFormToken(parts));
  app.route("/", signInRoutes(parts));
  app.use(async (c, next) => {
    const answer = turnedAway(c, parts);
    if (answer) return answer;
    if (c.req.method === "GET") await parts.poller.refresh();
    return await next();
  });
  app.route("/", figureRoutes(parts));
  app.route("/", healthRoutes(parts));
  app.route("/", alertRoutes(parts));
  app.route("/", liveRoutes(parts));
  app.route("/", accountRoutes(parts));
  app.route("/", changeRoutes(parts));
  app.route("/", settingsRoutes(parts));
  return app;
}

/** The answer to those who may not go on: browsers are led to the sign-in or the password. Undefined for those who may. */
function turnedAway(c: Context, parts: MgmtParts): Response | undefined {
  const { pathname, search } = new URL(c.req.url);
  // The stream of events decides by the page that it is for, and no stream puts the end of a session off.
  if (isOpen(pathname, parts) || pathname === "/events") return undefined;
  const signedIn = new Visit(c, parts).signedIn();
  if (signedIn && (!signedIn.user.mustChangePassword || MAY_WITH_ONE_TIME_PASSWORD.has(pathname))) return undefined;
  if (!wantsPage(c)) throw refusal(signedIn !== undefined);
  if (signedIn) return c.redirect("/password", 303);
  const next = c.req.method === "GET" ? `?next=${encodeURIComponent(pathname + search)}` : "";
  return c.redirect(`/sign-in${next}`, 303);
}

const MAY_WITH_ONE_TIME_PASSWORD: ReadonlySet<string> = new Set(["/password", "/sign-out"]);

function refusal(mustChangePassword: boolean): StorageError {
  return mustChangePassword
    ? new StorageError("forbidden", "Cannot show this: the one-time password must be replaced first")
    : new StorageError("unauthorized", "Cannot show this: nobody is signed in");
}

function serveAsset(c: Context): Response {
  const file = ASSETS.get(c.req.path);
  if (!file) throw new StorageError("not_found", `There is no file ${c.req.path}`);
  c.header("Cache-Control", IMMUTABLE);
  c.header("ETag", file.etag);
  if (c.req.header("If-None-Match") === file.etag) return c.body(null, 304);
  return c.body(file.text, 200, { "Content-Type": file.contentType });
}
