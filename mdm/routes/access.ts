/**
 * Who may call what: components sign, operators show a token, MGMT acts for operators under its own key.
 *
 * @module
 */
import type { Context, MiddlewareHandler } from "hono";
import type { MdmContext } from "@/mdm/context.ts";
import { componentById, type ComponentType } from "@/mdm/store/components.ts";
import { equalText } from "@/shared/auth.ts";
import { StorageError } from "@/shared/errors.ts";
import { NODE_HEADER, requireNode, verifyRequest } from "@/shared/http/node_auth.ts";
import type { ComponentId } from "@/shared/ids.ts";
import { isLoopback } from "@/shared/settings/checks.ts";

/** Node key of an enrolled component. */
export function nodeKeyOf(context: MdmContext): (componentId: ComponentId) => string | undefined {
  return (componentId) => componentById(context.db, componentId)?.nodeKeyHex;
}

/** Lets only enrolled components of one type through; `signerOf` then says whose call it is. */
export function requireComponentOf(context: MdmContext, type: ComponentType): MiddlewareHandler {
  const guard = requireNode((componentId) => {
    const component = componentById(context.db, componentId);
    return component?.componentType === type ? component.nodeKeyHex : undefined;
  });
  return guard;
}

/**
 * Lets operators through: the bearer token, anybody under `POWERFLEX_AUTH=open`, or MGMT, which signs. A component of another
 * type may read.
 */
export function requireOperator(context: MdmContext): MiddlewareHandler {
  return async (c, next) => {
    if (context.options.auth === "open") requireLocalCaller(c);
    else if (!holdsToken(context, c.req.header("Authorization"))) {
      const url = new URL(c.req.url);
      if (c.req.header(NODE_HEADER) === undefined) {
        throw new StorageError(
          "unauthorized",
          `Cannot ${c.req.method} ${url.pathname}: it needs the header Authorization: Bearer and the token of operator.token`,
        );
      }
      const signer = verifyRequest(c.req.raw.headers, {
        method: c.req.method,
        path: url.pathname + url.search,
        body: await c.req.text(),
        keyOf: nodeKeyOf(context),
      });
      const type = componentById(context.db, signer)?.componentType;
      if (type !== "MGMT" && c.req.method !== "GET") {
        throw new StorageError(
          "forbidden",
          `Cannot ${c.req.method} ${url.pathname}: ${signer} is ${type}, it may only read`,
        );
      }
    }
    await next();
  };
}

/**
 * Without login, whoever reaches loopback may do everything, and a browser reaches it for any page that it shows. So a page of
 * another origin is refused (it sends `Origin`), and so is a page whose name was made to point here (its name is in `Host`).
 * A name without a dot is this network's own: nobody outside can make it point anywhere.
 */
function requireLocalCaller(c: Context): void {
  const url = new URL(c.req.url);
  const attempt = `Cannot ${c.req.method} ${url.pathname} under POWERFLEX_AUTH=open`;
  const host = url.hostname.replace(/^\[|\]$/g, "");
  if (host.includes(".") && !isLoopback(host)) {
    throw new StorageError(
      "forbidden",
      `${attempt}: it was sent to ${host}, it must be sent to 127.0.0.1 or localhost`,
    );
  }
  const origin = c.req.header("Origin");
  if (origin !== undefined && origin !== `${url.protocol}//${url.host}`) {
    throw new StorageError("forbidden", `${attempt}: it comes from a page of ${origin}`);
  }
}

function holdsToken(context: MdmContext, header: string | undefined): boolean {
  const token = bearerToken(header);
  return token !== undefined && equalText(token, context.secrets.operatorToken);
}

/** The token of an `Authorization: Bearer` header. */
export function bearerToken(header: string | undefined): string | undefined {
  return header === undefined ? undefined : /^Bearer +(\S+)$/i.exec(header)?.[1];
}
