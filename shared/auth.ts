/**
 * Keys and tokens (replication design, section 6). Nothing here holds a secret; whoever calls brings the key.
 *
 * | key | held by | proves |
 * | --- | --- | --- |
 * | cluster key | MDM only | derives the keys below |
 * | node key | MDM and one component | that component's calls; made at enrolment |
 * | ticket key | one SDC session and one SDS | an SDC's data connection: HMAC of the SDS's node key over the session |
 * | link key | one ordered pair of SDSs | a replication link: HMAC of the accepting SDS's node key over the caller |
 * | token keys | MDM and every SDS, by `keyId` | IO tokens |
 * | config key | MDM and every SDS | configurations of placement groups |
 *
 * Ticket and link keys are derived, so the accepting SDS computes them from its node key and what the caller says it is:
 * no table, nothing to expire, as with the tickets of Kerberos.
 *
 * @module
 */
import { createHmac, timingSafeEqual } from "node:crypto";
import { z } from "zod";
import { hmacHex, idSchema } from "@/shared/api/pg.ts";
import { accessModeSchema } from "@/shared/api/sdc.ts";
import type { TokenKey } from "@/shared/api/sds.ts";
import type { ErrorCode } from "@/shared/errors.ts";
import type { NodeId, SdcId, SdcSession, SdsId, VolumeId, VtreeId } from "@/shared/ids.ts";

/** Key with which the session of an SDC opens data connections to the SDS that holds `sdsNodeKeyHex`. */
export function ticketKeyHex(sdsNodeKeyHex: string, client: { sdcId: SdcId; sdcSession: SdcSession }): string {
  return hmacHex(sdsNodeKeyHex, `sdc-ticket|${client.sdcId}|${client.sdcSession}`);
}

/** Key with which SDS `from` opens links to the SDS that holds `toNodeKeyHex`. */
export function linkKeyHex(toNodeKeyHex: string, from: SdsId): string {
  return hmacHex(toNodeKeyHex, `sds-link|${from}`);
}

export const sessionTokenSchema = z.object({
  id: z.string().uuid(),
  kind: z.literal("session"),
  keyId: z.number().int().nonnegative(),
  volumeId: idSchema<VolumeId>(),
  vtreeId: idSchema<VtreeId>(),
  nodeId: idSchema<NodeId>(),
  mode: accessModeSchema,
  sizeBytes: z.number().int().nonnegative(),
  sdcId: idSchema<SdcId>(),
  sdcSession: idSchema<SdcSession>(),
  mappingGeneration: z.number().int().nonnegative(),
  /** MDM time (6.3), in ms. */
  issuedAtMs: z.number(),
  expiresAtMs: z.number(),
});
/** Permission of one SDC session to use one volume, for 60 s, renewed. */
export type SessionToken = Readonly<z.output<typeof sessionTokenSchema>>;

const TOKEN_PREFIX = "pf1";
/** Longest token text that is looked at. */
export const TOKEN_TEXT_MAX = 4096;

/** `pf1.<base64url of the JSON>.<64 hex digits>`; the signature covers everything before its dot. */
export function signToken(token: SessionToken, key: TokenKey): string {
  const body = `${TOKEN_PREFIX}.${Buffer.from(JSON.stringify(token)).toString("base64url")}`;
  return `${body}.${hmacHex(key.keyHex, body)}`;
}

/** The id that a token of {@linkcode signToken} names, unchecked; undefined for text that is none. For logs and answers. */
export function tokenIdOf(text: string): string | undefined {
  try {
    const payload: unknown = JSON.parse(Buffer.from(text.split(".")[1] ?? "", "base64url").toString("utf8"));
    return sessionTokenSchema.shape.id.parse((payload as { id?: unknown } | null)?.id); // its type is what is parsed
  } catch {
    return undefined;
  }
}

/** The token, or why it is none. Says nothing of time, session or revocation: the caller checks those. */
export type OpenedToken =
  | { readonly kind: "ok"; readonly token: SessionToken }
  | { readonly kind: "refused"; readonly code: ErrorCode; readonly reason: string };

/** Checks form and signature of `text` against the keys that are valid now. */
export function openToken(text: string, keys: ReadonlyMap<number, TokenKey>): OpenedToken {
  const parts = text.length <= TOKEN_TEXT_MAX ? text.split(".") : [];
  if (parts.length !== 3 || parts[0] !== TOKEN_PREFIX) {
    return { kind: "refused", code: "token_malformed", reason: "the token is not pf1.<payload>.<signature>" };
  }
  const [prefix, payload, signature] = parts as [string, string, string];
  let json: unknown;
  try {
    json = JSON.parse(Buffer.from(payload, "base64url").toString("utf8"));
  } catch {
    return {
      kind: "refused",
      code: "token_signature",
      reason: "the token's payload is not JSON, so it was not signed",
    };
  }
  const parsed = sessionTokenSchema.safeParse(json);
  if (!parsed.success) {
    return { kind: "refused", code: "token_signature", reason: "the token's payload is not one that is ever signed" };
  }
  const key = keys.get(parsed.data.keyId);
  if (!key) return { kind: "refused", code: "token_signature", reason: `no key ${parsed.data.keyId} is valid` };
  if (!equalText(hmacHex(key.keyHex, `${prefix}.${payload}`), signature)) {
    return { kind: "refused", code: "token_signature", reason: "the token's signature does not match" };
  }
  return { kind: "ok", token: parsed.data };
}

/** Who proves what when a data connection opens (6.1): both sides show that they hold the key, over both nonces. */
export interface HandshakeFacts {
  readonly clientNonceHex: string;
  readonly serverNonceHex: string;
  /** `sdc`, `link` or `pulse`. */
  readonly role: string;
  /** Who the client says it is, every field of its HELLO that matters, in one line. */
  readonly client: string;
  readonly serverSdsId: SdsId;
}

/** The proof that `side` shows, 64 hexadecimal digits. */
export function handshakeProof(keyHex: string, side: "client" | "server", facts: HandshakeFacts): string {
  const { clientNonceHex, serverNonceHex, role, client, serverSdsId } = facts;
  return createHmac("sha256", Buffer.from(keyHex, "hex"))
    .update(`${side}|${clientNonceHex}|${serverNonceHex}|${role}|${client}|${serverSdsId}`).digest("hex");
}

/** Compares secrets in constant time (for equal lengths). */
export function equalText(a: string, b: string): boolean {
  const left = Buffer.from(a);
  const right = Buffer.from(b);
  return left.length === right.length && timingSafeEqual(left, right);
}
