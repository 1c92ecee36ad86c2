/**
 * Plans and single-use tokens: `/vol/{id}/io/plan/*`, `/io`, and the older names under `/vol/{id}/io` and `/token`.
 *
 * @module
 */
import { OpenAPIHono } from "@hono/zod-openapi";
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
import { sdcIdField, timeShape, volumeIdField } from "@/mdm/routes/fields.ts";
import { addStorageDebug } from "@/mdm/routes/volume_debug.ts";
import { addVolumeIo } from "@/mdm/routes/volume_io.ts";
import { type IoAckRow, ioAcksOf, ioAckTotals, ioTokenCounts, type IoTokenRow } from "@/mdm/store/io_tokens.ts";
import { tokenKeys } from "@/mdm/store/token_keys.ts";
import { ioPlanSchema, ioTokenFields, issuedTokenSchema } from "@/shared/api/io_plan.ts";
import { addRoute } from "@/shared/http/api.ts";
import { openIoToken } from "@/shared/io_token.ts";

/** Longest life of a token that may be asked for, in seconds. */
export const TOKEN_TTL_SECONDS_MAX = 300;

const bytes = z.number().int().max(Number.MAX_SAFE_INTEGER);
const range = { sdc_id: sdcIdField, offset_bytes: bytes.min(0), length_bytes: bytes.min(1) };
const planSchema = z.object(range);
const authorizeFields = {
  ...range,
  operation: z.string().transform((text) => text.toLowerCase()).pipe(z.enum(["read", "write"]))
    .meta({ type: "string", enum: ["read", "write"] }),
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

const statusWord = z.enum(["ISSUED", "CONSUMED", "EXPIRED", "REVOKED"]);
const tokenShape = z.object({ ...ioTokenFields, consumed_at: timeShape.nullable(), status: statusWord })
  .meta({ id: "Token" });
const ackedShape = z.object({
  ack_id: z.string(),
  token_id: z.string(),
  status: z.literal("ACK_RECORDED"),
  message: z.string(),
}).meta({ id: "Acknowledged" });
const acksShape = z.object({
  token_id: z.string(),
  ack_count: z.int(),
  acks: z.array(z.object({
    ack_id: z.string(),
    token_id: z.string(),
    sds_id: z.int(),
    success: z.boolean(),
    bytes_processed: z.int(),
    error_message: z.string().nullable(),
    execution_duration_ms: z.number().nullable(),
    replica_id: z.int().nullable(),
    sds_address: z.string().nullable(),
    metadata: z.record(z.string(), z.unknown()),
    acknowledged_at: timeShape,
  })),
}).meta({ id: "Acknowledgements" });
const statsShape = z.object({
  tokens: z.object({
    total: z.int(),
    ISSUED: z.int(),
    CONSUMED: z.int(),
    EXPIRED: z.int(),
    REVOKED: z.int(),
  }),
  acks: z.object({ total: z.int(), success: z.int(), failed: z.int(), bytes_processed: z.int() }),
}).meta({ id: "IoStats" });
const cleanedShape = z.object({ status: z.literal("ok"), expired_tokens_marked: z.int() });
const verifiedShape = z.object({
  valid: z.boolean(),
  token_id: z.string().optional(),
  status: statusWord.optional(),
  code: z.string().optional(),
  reason: z.string().optional(),
}).meta({ id: "Verified" });

const planTag = "IO plans";
const tag = "IO tokens";

/** Below `/vol`. */
export function volumeIoRoutes(context: MdmContext): OpenAPIHono {
  const routes = new OpenAPIHono();
  for (const operation of ["read", "write"] as const) {
    addRoute(routes, {
      method: "post",
      path: `/{id}/io/plan/${operation}`,
      tag: planTag,
      summary: `Tells which SDSs a ${operation} goes to, chunk by chunk`,
      params: idParams,
      body: planSchema,
      answer: ioPlanSchema,
      refusals: [400, 403, 404, 503],
      handle: ({ params, body }) => {
        const { sdc_id: sdcId, offset_bytes: offsetBytes, length_bytes: lengthBytes } = body;
        return planIo(context, { volumeId: params.id, operation, sdcId, offsetBytes, lengthBytes }).json;
      },
    });
  }
  addRoute(routes, {
    method: "post",
    path: "/{id}/io/authorize",
    tag,
    summary: "Issues a single-use token; another name of /io/authorize",
    params: idParams,
    body: authorizeOfVolumeSchema,
    answer: issuedTokenSchema,
    refusals: [400, 403, 404, 409, 503],
    handle: ({ params, body }) => authorized(context, { volume_id: params.id, ...body }),
  });
  addAck(routes, { context, path: "/{id}/io/tx/ack", params: idParams });
  addVolumeIo(routes, context);
  addStorageDebug(routes, context);
  return routes;
}

/** `/io`. */
export function ioRoutes(context: MdmContext): OpenAPIHono {
  const routes = new OpenAPIHono();
  addAuthorize(routes, { context, path: "/authorize" });
  addAck(routes, { context, path: "/tx/ack" });
  addShow(routes, { context, path: "/token/{id}" });
  addRoute(routes, {
    method: "get",
    path: "/token/{id}/acks",
    tag,
    summary: "Lists what SDSs and clients said of a token's use",
    params: tokenParams,
    answer: acksShape,
    refusals: [404],
    handle: ({ params }) => {
      const { tokenId } = requireIoToken(context, params.id);
      const acks = ioAcksOf(context.db, tokenId);
      return { token_id: tokenId, ack_count: acks.length, acks: acks.map(ackJson) };
    },
  });
  addRoute(routes, {
    method: "delete",
    path: "/token/{id}/revoke",
    tag,
    summary: "Takes a token back",
    params: tokenParams,
    answer: z.object({ status: z.literal("revoked"), token_id: z.string(), message: z.string() }),
    refusals: [404, 409, 503],
    handle: async ({ params }) => {
      await revokeIoToken(context, params.id);
      const message = "Every SDS within reach refuses the token now, any other from its next heartbeat on";
      return { status: "revoked" as const, token_id: params.id, message };
    },
  });
  addStats(routes, { context, path: "/stats" });
  addCleanup(routes, { context, path: "/cleanup/expired" });
  return routes;
}

/** `/token`: the older names. */
export function tokenRoutes(context: MdmContext): OpenAPIHono {
  const routes = new OpenAPIHono();
  addAuthorize(routes, { context, path: "/request" });
  addRoute(routes, {
    method: "post",
    path: "/verify",
    tag,
    summary: "Tells whether a token is good now; an SDS also looks at what was used there",
    body: z.object({ token: z.unknown() }),
    answer: verifiedShape,
    refusals: [404],
    handle: ({ body }) => verified(context, body),
  });
  addAck(routes, { context, path: "/ack" });
  addStats(routes, { context, path: "/stats" });
  addCleanup(routes, { context, path: "/expire" });
  addCleanup(routes, { context, path: "/cleanup" });
  addShow(routes, { context, path: "/{id}" });
  return routes;
}

/** Where one of the routes that have several names is put. */
interface Place {
  readonly context: MdmContext;
  readonly path: string;
}

function addAuthorize(routes: OpenAPIHono, { context, path }: Place): void {
  addRoute(routes, {
    method: "post",
    path,
    tag,
    summary: "Issues a single-use token for one read or write",
    body: authorizeSchema,
    answer: issuedTokenSchema,
    refusals: [400, 403, 404, 409, 503],
    handle: ({ body }) => authorized(context, body),
  });
}

function addAck(routes: OpenAPIHono, place: Place & { readonly params?: typeof idParams }): void {
  const { context, path, params } = place;
  addRoute(routes, {
    method: "post",
    path,
    tag,
    summary: "Records what came of a token's use",
    ...(params && { params }),
    body: ackSchema,
    answer: ackedShape,
    refusals: [400, 404],
    handle: ({ body }) => acknowledged(context, body),
  });
}

function addShow(routes: OpenAPIHono, { context, path }: Place): void {
  addRoute(routes, {
    method: "get",
    path,
    tag,
    summary: "Shows a token",
    params: tokenParams,
    answer: tokenShape,
    refusals: [404],
    handle: ({ params }) => tokenJson(requireIoToken(context, params.id)),
  });
}

function addStats(routes: OpenAPIHono, { context, path }: Place): void {
  const summary = "Counts tokens and acknowledgements";
  addRoute(routes, { method: "get", path, tag, summary, answer: statsShape, handle: () => statsJson(context) });
}

function addCleanup(routes: OpenAPIHono, { context, path }: Place): void {
  const summary = "Marks the tokens whose time is over";
  const handle = () => ({ status: "ok" as const, expired_tokens_marked: expireIoTokens(context) });
  addRoute(routes, { method: "post", path, tag, summary, answer: cleanedShape, handle });
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

function acknowledged(context: MdmContext, body: z.output<typeof ackSchema>) {
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
    status: "ACK_RECORDED" as const,
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
