/**
 * The life of a single-use token (replication design, section 6.2).
 *
 *   ISSUED ── an SDS or a client acknowledges ──► CONSUMED
 *   ISSUED ── its time is over ──► EXPIRED ── a late acknowledgement ──► CONSUMED
 *   ISSUED ── an operator takes it back ──► REVOKED
 *
 * These states tell what is known here. What an SDS accepts rests on the token itself, on what the SDS remembers of its use, and
 * on the list of revoked tokens in each heartbeat answer.
 *
 * @module
 */
import type { MdmContext } from "@/mdm/context.ts";
import { type IoPlan, type IoRequest, planIo } from "@/mdm/operations/io_plans.ts";
import { signingKey } from "@/mdm/secrets.ts";
import {
  insertIoAck,
  insertIoToken,
  type IoAckRow,
  ioAcksOf,
  ioTokenById,
  type IoTokenRow,
  markIoTokensExpired,
  purgeIoTokens,
  revokedIoTokens,
  setIoTokenConsumed,
  setIoTokenRevoked,
} from "@/mdm/store/io_tokens.ts";
import { sdsById, sdsOfPool } from "@/mdm/store/sds.ts";
import { volumeById } from "@/mdm/store/volumes.ts";
import type { IssuedToken } from "@/shared/api/io_plan.ts";
import type { ConsumedToken, RevokedToken } from "@/shared/api/sds.ts";
import { StorageError } from "@/shared/errors.ts";
import type { SdsId } from "@/shared/ids.ts";
import { ioTokenSignature } from "@/shared/io_token.ts";
import { randomUuid } from "@/shared/random.ts";

/** Tokens that are revoked and not expired at once: heartbeat answers carry them. */
export const REVOKED_TOKENS_MAX = 1_000;
/** Acknowledgements that one token may get. */
export const ACKS_PER_TOKEN_MAX = 100;
/** Tokens are kept so long after they expired, in ms, */
export const TOKENS_KEPT_MS = 7 * 24 * 3_600_000;
/** and no more than so many, unless they have not expired; */
export const TOKENS_KEPT_MAX = 100_000;
/** deleted so many at a time. */
const PURGE_BATCH = 1_000;

/**
 * Issues a token for one read or write. A plan that the caller brings must be the present one.
 *
 * @throws {StorageError} as `planIo`, and `conflict` for a plan that is no longer right.
 */
export function authorizeIo(
  context: MdmContext,
  request: IoRequest & { readonly ttlMs: number; readonly planGeneration: string | undefined },
): IssuedToken {
  const plan = planIo(context, request);
  if (request.planGeneration !== undefined && request.planGeneration !== plan.json.plan_generation) {
    throw new StorageError("conflict", `Cannot authorize the ${request.operation}: its plan is not the present one`);
  }
  const { token, row } = newToken(context, { request, plan });
  insertIoToken(context.db, row);
  return token;
}

function newToken(
  context: MdmContext,
  options: { request: IoRequest & { readonly ttlMs: number }; plan: IoPlan },
): { token: IssuedToken; row: Omit<IoTokenRow, "consumedAtMs" | "status"> } {
  const { request, plan } = options;
  const { volume, mapping } = plan;
  const issuedAtMs = context.time.nowMs();
  const expiresAtMs = issuedAtMs + request.ttlMs;
  const key = signingKey(context.db, issuedAtMs);
  const tokenId = randomUuid(context.random);
  const unsigned = {
    kind: "single_use",
    token_id: tokenId,
    key_id: key.keyId,
    volume_id: volume.volumeId,
    vtree_id: volume.vtreeId,
    node_id: volume.nodeId,
    sdc_id: request.sdcId,
    mapping_generation: mapping.mappingGeneration,
    operation: request.operation,
    offset_bytes: request.offsetBytes,
    length_bytes: request.lengthBytes,
    issued_at: isoOf(issuedAtMs),
    issued_at_ms: issuedAtMs,
    expires_at: isoOf(expiresAtMs),
    expires_at_ms: expiresAtMs,
    io_plan: plan.json,
    status: "ISSUED" as const,
  };
  const signature = ioTokenSignature(unsigned, key);
  const { volumeId, sdcId, operation, offsetBytes, lengthBytes } = request;
  const ioPlanJson = JSON.stringify(plan.json);
  return {
    token: { ...unsigned, signature },
    row: {
      tokenId,
      volumeId,
      sdcId,
      operation,
      offsetBytes,
      lengthBytes,
      issuedAtMs,
      expiresAtMs,
      signature,
      ioPlanJson,
    },
  };
}

/** A time as the API tells it. */
export function isoOf(atMs: number): string {
  return new Date(atMs).toISOString();
}

/** @throws {StorageError} `not_found` */
export function requireIoToken(context: MdmContext, tokenId: string): IoTokenRow {
  const token = ioTokenById(context.db, tokenId);
  if (token === undefined) throw new StorageError("not_found", `Cannot find token ${tokenId}`);
  const expired = token.status === "ISSUED" && token.expiresAtMs <= context.time.nowMs();
  return expired ? { ...token, status: "EXPIRED" } : token;
}

/**
 * Records what a client says of a use; gives the acknowledgement's id.
 *
 * @throws {StorageError} `not_found` for token or SDS, `rule_broken` for more than {@linkcode ACKS_PER_TOKEN_MAX}.
 */
export function acknowledgeIo(context: MdmContext, ack: Omit<IoAckRow, "ackId" | "atMs">): string {
  requireIoToken(context, ack.tokenId);
  // The caller's number: an id is looked up, nothing else is done with it.
  if (sdsById(context.db, ack.sdsId as SdsId) === undefined) {
    throw new StorageError("not_found", `Cannot acknowledge token ${ack.tokenId}: there is no SDS ${ack.sdsId}`);
  }
  if (ioAcksOf(context.db, ack.tokenId).length >= ACKS_PER_TOKEN_MAX) {
    throw new StorageError(
      "rule_broken",
      `Cannot acknowledge token ${ack.tokenId} more than ${ACKS_PER_TOKEN_MAX} times`,
    );
  }
  const ackId = randomUuid(context.random);
  const atMs = context.time.nowMs();
  context.db.transaction(() => {
    insertIoAck(context.db, { ...ack, ackId, atMs });
    setIoTokenConsumed(context.db, ack.tokenId, atMs);
  });
  return ackId;
}

/** Takes the uses that an SDS's heartbeat lists; a repeated one changes nothing. */
export function noteConsumedTokens(
  context: MdmContext,
  report: { readonly sdsId: SdsId; readonly address: string; readonly uses: readonly ConsumedToken[] },
): void {
  if (report.uses.length === 0) return;
  const atMs = context.time.nowMs();
  context.db.transaction(() => {
    for (const use of report.uses) {
      if (ioTokenById(context.db, use.tokenId) === undefined) continue;
      const added = insertIoAck(context.db, {
        ackId: `${use.tokenId}/${use.chunkId}`,
        tokenId: use.tokenId,
        sdsId: report.sdsId,
        success: use.success ? 1 : 0,
        bytesProcessed: use.bytesProcessed,
        errorMessage: use.errorMessage === "" ? null : use.errorMessage,
        durationMs: use.durationMs,
        replicaId: null,
        sdsAddress: report.address,
        metadataJson: JSON.stringify({ chunk_id: use.chunkId }),
        atMs,
      });
      if (added) setIoTokenConsumed(context.db, use.tokenId, atMs);
    }
  });
}

/**
 * Takes a token back. When this returns that is durable, and every SDS of the volume's pool that answered refuses the token. An SDS
 * that cannot be reached hears of it with its next heartbeat, and honours the token at most until it expires.
 *
 * @throws {StorageError} `not_found`; `conflict` for a token that was used or has expired; `too_busy` when too many are revoked.
 */
export async function revokeIoToken(context: MdmContext, tokenId: string): Promise<void> {
  const token = requireIoToken(context, tokenId);
  if (token.status === "REVOKED") return;
  if (token.status !== "ISSUED") {
    throw new StorageError("conflict", `Cannot revoke token ${tokenId}: it is ${token.status}`);
  }
  if (revokedIoTokens(context.db, context.time.nowMs()).length >= REVOKED_TOKENS_MAX) {
    throw new StorageError(
      "too_busy",
      `Cannot revoke token ${tokenId}: ${REVOKED_TOKENS_MAX} revoked ones have not expired`,
    );
  }
  setIoTokenRevoked(context.db, tokenId);
  context.log.info("Token {tokenId} of volume {volumeId} was revoked", { tokenId, volumeId: token.volumeId });
  const volume = volumeById(context.db, token.volumeId);
  if (volume === undefined) return;
  const body = { mdmTerm: context.mdmTerm, tokens: [{ tokenId, expiresAtMs: token.expiresAtMs }] };
  const path = "/control/revoke_tokens";
  await Promise.all(sdsOfPool(context.db, volume.poolId).map((sds) => context.outbox.tell(sds, { path, body })));
}

/** For a heartbeat answer. */
export function revokedTokensNow(context: MdmContext): RevokedToken[] {
  return revokedIoTokens(context.db, context.time.nowMs());
}

/** Marks tokens whose time is over; how many. */
export function expireIoTokens(context: MdmContext): number {
  return markIoTokensExpired(context.db, context.time.nowMs());
}

/** Forgets old tokens, a batch per call. */
export function forgetOldIoTokens(context: MdmContext): number {
  const nowMs = context.time.nowMs();
  return purgeIoTokens(context.db, {
    nowMs,
    beforeMs: nowMs - TOKENS_KEPT_MS,
    keepCount: TOKENS_KEPT_MAX,
    limit: PURGE_BATCH,
  });
}
