/**
 * Plans and single-use tokens: `/vol/{id}/io/plan/*`, `/io`, and the older names under `/vol/{id}/io` and `/token`.
 *
 * @module
 */
import { type Context, Hono } from "hono";
import { z } from "zod";
import type { MdmContext } from "@/mdm/context.ts";
import { planIo } from "@/mdm/operations/io_plans.ts";
import {
  acknowledgeIo,
  authorizeIo,
  expireIoTokens,
  isoOf,
  requireIoToken,
  revokeIoToken,
} from "@/mdm/operations/io_tokens.ts";
import { sdcIdField, volumeIdField } from "@/mdm/routes/fields.ts";
import { type IoAckRow, ioAcksOf, ioAckTotals, ioTokenCounts, type IoTokenRow } from "@/mdm/store/io_tokens.ts";
import { tokenKeys } from "@/mdm/store/token_keys.ts";
import { parseBody, parseParams } from "@/shared/http/body.ts";
import { openIoToken } from "@/shared/io_token.ts";

/** Longest life of a token that may be asked for, in seconds. */
export const TOKEN_TTL_SECONDS_MAX = 300;

const bytes = z.number().int().max(Number.MAX_SAFE_INTEGER);
const range = { sdc_id: sdcIdField, offset_bytes: bytes.min(0), length_bytes: bytes.min(1) };
const planSchema = z.object(range);
const authorizeFields = {
  ...range,
  operation: z.string().transform((text) => text.toLowerCase()).pipe(z.enum(["read", "write"])),
  /** What `/io/plan` answered; the present one when absent. */
  io_plan: z.object({ plan_generation: z.string() }).nullish(),
  ttl_seconds: z.number().int().min(1).max(TOKEN_TTL_SECONDS_MAX).optional(),
};
const authorizeSchema = z.object({ volume_id: volumeIdField, ...authorizeFields });
const authorizeOfVolumeSchema = z.object(authorizeFields);
const text = z.string().max(1024);
const ackSchema = z.object({
  token_id: z.string().uuid(),
  sds_id: z.number().int().positive(),
  success: z.boolean(),
  bytes_processed: bytes.min(0).default(0),
  error_message: text.nullish(),
  execution_duration_ms: z.number().nonnegative().nullish(),
  replica_id: z.number().int().nonnegative().nullish(),
  sds_address: text.nullish(),
  metadata: z.object({
    chunk_id: z.number().int().nonnegative().nullish(),
    checksum: text.nullish(),
    generation: z.number().int().nonnegative().nullish(),
  }).nullish(),
});
const idParams = z.object({ id: volumeIdField });
const tokenParams = z.object({ id: z.string().uuid() });

/** Below `/vol`. */
export function volumeIoRoutes(context: MdmContext): Hono {
  const routes = new Hono();
  for (const operation of ["read", "write"] as const) {
    routes.post(`/:id/io/plan/${operation}`, async (c) => {
      const volumeId = parseParams(c, idParams).id;
      const body = await parseBody(c, planSchema);
      const { json } = planIo(context, {
        volumeId,
        operation,
        sdcId: body.sdc_id,
        offsetBytes: body.offset_bytes,
        lengthBytes: body.length_bytes,
      });
      return c.json(json);
    });
  }
  routes.post("/:id/io/authorize", async (c) => {
    const volumeId = parseParams(c, idParams).id;
    return c.json(authorized(context, { volume_id: volumeId, ...await parseBody(c, authorizeOfVolumeSchema) }));
  });
  routes.post("/:id/io/tx/ack", async (c) => c.json(await acknowledged(context, c)));
  return routes;
}

/** `/io`. */
export function ioRoutes(context: MdmContext): Hono {
  const routes = new Hono();
  routes.post("/authorize", async (c) => c.json(authorized(context, await parseBody(c, authorizeSchema))));
  routes.post("/tx/ack", async (c) => c.json(await acknowledged(context, c)));
  routes.get("/token/:id", (c) => c.json(tokenJson(requireIoToken(context, parseParams(c, tokenParams).id))));
  routes.get("/token/:id/acks", (c) => {
    const { tokenId } = requireIoToken(context, parseParams(c, tokenParams).id);
    const acks = ioAcksOf(context.db, tokenId);
    return c.json({ token_id: tokenId, ack_count: acks.length, acks: acks.map(ackJson) });
  });
  routes.delete("/token/:id/revoke", (c) => {
    const tokenId = parseParams(c, tokenParams).id;
    revokeIoToken(context, tokenId);
    return c.json({
      status: "revoked",
      token_id: tokenId,
      message: "Each SDS refuses the token from its next heartbeat on",
    });
  });
  routes.get("/stats", (c) => c.json(statsJson(context)));
  routes.post("/cleanup/expired", (c) => c.json(cleanedUp(context)));
  return routes;
}

/** `/token`: the older names. */
export function tokenRoutes(context: MdmContext): Hono {
  const routes = new Hono();
  routes.post("/request", async (c) => c.json(authorized(context, await parseBody(c, authorizeSchema))));
  routes.post("/verify", async (c) => c.json(verified(context, await parseBody(c, z.object({ token: z.unknown() })))));
  routes.post("/ack", async (c) => c.json(await acknowledged(context, c)));
  routes.get("/stats", (c) => c.json(statsJson(context)));
  routes.post("/expire", (c) => c.json(cleanedUp(context)));
  routes.post("/cleanup", (c) => c.json(cleanedUp(context)));
  routes.get("/:id", (c) => c.json(tokenJson(requireIoToken(context, parseParams(c, tokenParams).id))));
  return routes;
}

function authorized(context: MdmContext, body: z.output<typeof authorizeSchema>) {
  return authorizeIo(context, {
    volumeId: body.volume_id,
    sdcId: body.sdc_id,
    operation: body.operation,
    offsetBytes: body.offset_bytes,
    lengthBytes: body.length_bytes,
    ttlMs: body.ttl_seconds === undefined ? context.options.times.tokenTtlMs : body.ttl_seconds * 1000,
    planGeneration: body.io_plan?.plan_generation,
  });
}

async function acknowledged(context: MdmContext, c: Context) {
  const body = await parseBody(c, ackSchema);
  const ackId = acknowledgeIo(context, {
    tokenId: body.token_id,
    sdsId: body.sds_id,
    success: body.success ? 1 : 0,
    bytesProcessed: body.bytes_processed,
    errorMessage: body.error_message ?? null,
    durationMs: body.execution_duration_ms ?? null,
    replicaId: body.replica_id ?? null,
    sdsAddress: body.sds_address ?? null,
    metadataJson: JSON.stringify(body.metadata ?? {}),
  });
  return {
    ack_id: ackId,
    token_id: body.token_id,
    status: "ACK_RECORDED",
    message: `The ${body.success ? "success" : "failure"} of token ${body.token_id} is recorded`,
  };
}

/** Whether the MDM would call the token good now; an SDS also looks at what was used there. */
function verified(context: MdmContext, body: { readonly token?: unknown }) {
  const keys = new Map(tokenKeys(context.db).map(({ keyId, keyHex }) => [keyId, { keyId, keyHex }]));
  const opened = openIoToken(body.token, keys);
  if (opened.kind === "refused") return { valid: false, code: opened.code, reason: opened.reason };
  const { status } = requireIoToken(context, opened.token.token_id);
  return status === "ISSUED"
    ? { valid: true, token_id: opened.token.token_id, status }
    : { valid: false, token_id: opened.token.token_id, status, reason: `the token is ${status}` };
}

function cleanedUp(context: MdmContext) {
  return { status: "ok", expired_tokens_marked: expireIoTokens(context) };
}

function tokenJson(token: IoTokenRow) {
  return {
    token_id: token.tokenId,
    volume_id: token.volumeId,
    sdc_id: token.sdcId,
    operation: token.operation,
    offset_bytes: token.offsetBytes,
    length_bytes: token.lengthBytes,
    issued_at: isoOf(token.issuedAtMs),
    expires_at: isoOf(token.expiresAtMs),
    consumed_at: token.consumedAtMs === null ? null : isoOf(token.consumedAtMs),
    signature: token.signature,
    io_plan: JSON.parse(token.ioPlanJson),
    status: token.status,
  };
}

function ackJson(ack: IoAckRow) {
  return {
    ack_id: ack.ackId,
    token_id: ack.tokenId,
    sds_id: ack.sdsId,
    success: ack.success === 1,
    bytes_processed: ack.bytesProcessed,
    error_message: ack.errorMessage,
    execution_duration_ms: ack.durationMs,
    replica_id: ack.replicaId,
    sds_address: ack.sdsAddress,
    metadata: JSON.parse(ack.metadataJson),
    acknowledged_at: isoOf(ack.atMs),
  };
}

function statsJson(context: MdmContext) {
  const counts = new Map(ioTokenCounts(context.db, context.time.nowMs()).map(({ status, count }) => [status, count]));
  const { total, succeeded, bytes: bytesProcessed } = ioAckTotals(context.db);
  return {
    tokens: {
      total: [...counts.values()].reduce((sum, count) => sum + count, 0),
      ISSUED: counts.get("ISSUED") ?? 0,
      CONSUMED: counts.get("CONSUMED") ?? 0,
      EXPIRED: counts.get("EXPIRED") ?? 0,
      REVOKED: counts.get("REVOKED") ?? 0,
    },
    acks: { total, success: succeeded, failed: total - succeeded, bytes_processed: bytesProcessed },
  };
}
