/**
 * How components prove who they are to each other over HTTP: an HMAC-SHA256 with the node key that the caller got when it
 * enrolled, over `method`, a line end, path with query, a line end, and the SHA-256 of the body in hexadecimal.
 *
 * | header | value |
 * | --- | --- |
 * | `X-PowerFlex-Node` | component id of the node whose key signs, such as `sds-1` |
 * | `X-PowerFlex-Signature` | 64 hexadecimal digits |
 *
 * A recorded request can be sent again, and that is harmless: every guarded call carries epochs, incarnations or sequence
 * numbers under which a repetition changes nothing (replication design, section 3.2).
 *
 * @module
 */
import { createHash, createHmac } from "node:crypto";
import type { Context, MiddlewareHandler } from "hono";
import { equalText } from "@/shared/auth.ts";
import { StorageError } from "@/shared/errors.ts";
import { asComponentId, type ComponentId } from "@/shared/ids.ts";

/** Header that names the node. */
export const NODE_HEADER = "X-PowerFlex-Node";
/** Header that proves it. */
export const SIGNATURE_HEADER = "X-PowerFlex-Signature";

/** What the signature covers. */
export interface SignedRequest {
  readonly method: string;
  /** From the first slash on, with the query. */
  readonly path: string;
  /** The body as sent; empty without one. */
  readonly body: string;
}

/** Headers to add to a request. */
export function signRequest(
  request: SignedRequest & { readonly nodeKeyHex: string; readonly componentId: string },
): Record<string, string> {
  return {
    [NODE_HEADER]: request.componentId,
    [SIGNATURE_HEADER]: signatureOf(request, request.nodeKeyHex),
  };
}

/**
 * Who sent the request. `keyOf` gives the node key of a component, or undefined for one that is not enrolled.
 *
 * @throws {StorageError} `unauthorized` when a header is missing, the node is unknown, or the signature does not match.
 */
export function verifyRequest(
  headers: Headers,
  request: SignedRequest & { readonly keyOf: (componentId: ComponentId) => string | undefined },
): ComponentId {
  const node = headers.get(NODE_HEADER);
  const signature = headers.get(SIGNATURE_HEADER);
  const attempt = `Cannot accept ${request.method} ${request.path}`;
  if (!node || !signature) {
    throw new StorageError("unauthorized", `${attempt}: it must carry ${NODE_HEADER} and ${SIGNATURE_HEADER}`);
  }
  const componentId = asComponentId(node);
  const nodeKeyHex = request.keyOf(componentId);
  // An unknown node is measured against a key too, so that the time taken does not tell who is enrolled.
  const expected = signatureOf(request, nodeKeyHex ?? "00".repeat(32));
  if (!equalText(expected, signature) || nodeKeyHex === undefined) {
    throw new StorageError("unauthorized", `${attempt}: the signature is not that of an enrolled node ${node}`);
  }
  return componentId;
}

/** Lets only signed requests through; `signerOf(c)` then says whose. */
export function requireNode(keyOf: (componentId: ComponentId) => string | undefined): MiddlewareHandler {
  return async (c, next) => {
    const url = new URL(c.req.url);
    const request = { method: c.req.method, path: url.pathname + url.search, body: await c.req.text() };
    c.set(SIGNER, verifyRequest(c.req.raw.headers, { ...request, keyOf }));
    await next();
  };
}

const SIGNER = "powerflexSigner";

/** Who signed a request that `requireNode` let through. */
export function signerOf(c: Context): ComponentId {
  const signer: unknown = c.get(SIGNER);
  if (typeof signer !== "string") {
    throw new StorageError("unauthorized", "Cannot tell the caller: the route is not guarded");
  }
  return asComponentId(signer);
}

function signatureOf(request: SignedRequest, nodeKeyHex: string): string {
  const bodyHash = createHash("sha256").update(request.body).digest("hex");
  return createHmac("sha256", Buffer.from(nodeKeyHex, "hex"))
    .update(`${request.method.toUpperCase()}\n${request.path}\n${bodyHash}`).digest("hex");
}
