/**
 * Who may command a node at its management listener: whoever shows the token that the node keeps in its directory (an operator
 * on that host), or signs the request with the key of the node, as the MDM does.
 *
 * @module
 */
import type { MiddlewareHandler } from "hono";
import { equalText } from "@/shared/auth.ts";
import { StorageError } from "@/shared/errors.ts";
import type { ApiInfo } from "@/shared/http/api.ts";
import { NODE_HEADER, requireNode, SIGNATURE_HEADER } from "@/shared/http/node_auth.ts";
import type { ComponentId } from "@/shared/ids.ts";
import { PRIVATE_FILE_MODE } from "@/shared/private_files.ts";

/** File beneath the node's directory, mode 0600, made at its first start. */
export const MANAGEMENT_TOKEN_FILE = "management.token";

/** For OpenAPI documents: the two headers of `node_auth.ts`. */
export const NODE_SECURITY: NonNullable<ApiInfo["security"]> = {
  nodeSignature: {
    type: "apiKey",
    in: "header",
    name: SIGNATURE_HEADER,
    description: `HMAC-SHA256 of the call under the key of the node that ${NODE_HEADER} names`,
  },
};
/** For OpenAPI documents: what {@linkcode requireManager} accepts. */
export const MANAGER_SECURITY: NonNullable<ApiInfo["security"]> = {
  ...NODE_SECURITY,
  managementToken: { type: "http", scheme: "bearer", description: `Content of ${MANAGEMENT_TOKEN_FILE}` },
};

/** Whose commands are obeyed. */
export interface ManagerAccess {
  /** Content of {@linkcode MANAGEMENT_TOKEN_FILE}; undefined: only signed requests are obeyed. */
  readonly managementToken: string | undefined;
  readonly keyOf: (componentId: ComponentId) => string | undefined;
}

/** Lets only those of the module comment through. @throws {StorageError} `unauthorized` */
export function requireManager({ managementToken, keyOf }: ManagerAccess): MiddlewareHandler {
  const signed = requireNode(keyOf);
  return async (c, next) => {
    if (c.req.header(NODE_HEADER) !== undefined) return await signed(c, next);
    const shown = /^Bearer +(\S+)$/i.exec(c.req.header("Authorization") ?? "")?.[1];
    if (shown === undefined || managementToken === undefined || !equalText(shown, managementToken)) {
      throw new StorageError(
        "unauthorized",
        `Cannot ${c.req.method} ${c.req.path}: it needs the header Authorization: Bearer and the token of ${MANAGEMENT_TOKEN_FILE}`,
      );
    }
    await next();
  };
}

/** The token in `path`, made from `fresh` and written for its user only when there is none. */
export function keptToken(path: string, fresh: () => string): string {
  try {
    return Deno.readTextFileSync(path).trim();
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  const token = fresh();
  Deno.writeTextFileSync(path, `${token}\n`, { mode: PRIVATE_FILE_MODE });
  return token;
}
