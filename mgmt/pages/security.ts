/**
 * What guards every answer and every form.
 *
 * @module
 */
import type { MiddlewareHandler } from "hono";
import { StorageError } from "@/shared/errors.ts";
import { type MgmtParts, Visit } from "@/mgmt/pages/context.ts";

/** Nothing from elsewhere, nothing inline, nobody frames us. */
export const CONTENT_SECURITY_POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self'",
  "connect-src 'self'",
  "form-action 'self'",
  "base-uri 'none'",
  "frame-ancestors 'none'",
].join("; ");

/** Sets the headers that every answer carries; pages are never stored. */
export const securityHeaders: MiddlewareHandler = async (c, next) => {
  await next();
  c.header("Content-Security-Policy", CONTENT_SECURITY_POLICY);
  c.header("X-Content-Type-Options", "nosniff");
  c.header("X-Frame-Options", "DENY");
  c.header("Referrer-Policy", "same-origin");
  c.header("Cross-Origin-Opener-Policy", "same-origin");
  c.header("Cross-Origin-Resource-Policy", "same-origin");
  c.header("Permissions-Policy", "camera=(), microphone=(), geolocation=()");
  if (!c.res.headers.has("Cache-Control")) c.header("Cache-Control", "no-store");
};

/** Lets a form through only if this browser was given it by us: its token fits its cookie, and no other site sent it. */
export function requireFormToken(parts: MgmtParts): MiddlewareHandler {
  return async (c, next) => {
    if (c.req.method === "GET" || c.req.method === "HEAD") return await next();
    const origin = c.req.header("Origin");
    const fromElsewhere = origin !== undefined && origin !== "null" &&
      URL.parse(origin)?.host !== new URL(c.req.url).host;
    const form = fromElsewhere ? {} : await c.req.parseBody();
    if (fromElsewhere || !new Visit(c, parts).formTokenMatches(form["form_token"])) {
      throw new StorageError(
        "forbidden",
        "Cannot accept this form: it is too old or was not made for this browser. Load the page again and repeat",
      );
    }
    return await next();
  };
}
