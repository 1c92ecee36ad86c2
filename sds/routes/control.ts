/**
 * The control plane of an SDS: the MDM only, signed with this node's key (`shared/api/sds.ts`).
 *
 * @module
 */
import { OpenAPIHono } from "@hono/zod-openapi";
import { z } from "zod";
import {
  noticeCallSchema,
  type PeerDeadCall,
  peerDeadCallSchema,
  type RevokeCall,
  revokeCallSchema,
  type RevokedToken,
  revokeTokensCallSchema,
  scrubCallSchema,
} from "@/shared/api/sds.ts";
import { addRoute } from "@/shared/http/api.ts";
import { requireNode } from "@/shared/http/node_auth.ts";
import type { ComponentId, PoolId } from "@/shared/ids.ts";
import { addChunkRoutes, type ChunkFacts } from "@/sds/routes/chunks.ts";
import { addDeviceRoute, type DeviceCommands } from "@/sds/routes/devices.ts";

/** What the MDM may command. */
export interface ControlCommands {
  /** The node key; undefined before enrolment. */
  keyOf(componentId: ComponentId): string | undefined;
  /** @throws {StorageError} stale_session for an older term. */
  requireTerm(mdmTerm: number): void;
  notice(): void;
  peerDead(call: PeerDeadCall): void;
  /** Resolves when no operation of an older mapping generation runs any more. */
  revoke(call: RevokeCall): Promise<void>;
  revokeTokens(tokens: readonly RevokedToken[]): void;
  scrub(poolId: PoolId): void;
  readonly chunks: ChunkFacts;
  readonly devices: DeviceCommands;
}

const tag = "Control";
const okShape = z.object({ status: z.literal("ok") });

export function controlRoutes(commands: ControlCommands): OpenAPIHono {
  const routes = new OpenAPIHono();
  routes.use(requireNode((componentId) => commands.keyOf(componentId)));
  addRoute(routes, {
    method: "post",
    path: "/notice",
    tag,
    summary: "Something changed at the MDM: this SDS beats now",
    body: noticeCallSchema,
    answer: okShape,
    refusals: [409],
    handle: ({ body }) => {
      commands.requireTerm(body.mdmTerm);
      commands.notice();
      return { status: "ok" as const };
    },
  });
  addRoute(routes, {
    method: "post",
    path: "/peer_dead",
    tag,
    summary: "The process behind a listed start is gone for certain",
    body: peerDeadCallSchema,
    answer: okShape,
    refusals: [409],
    handle: ({ body }) => {
      commands.requireTerm(body.mdmTerm);
      commands.peerDead(body);
      return { status: "ok" as const };
    },
  });
  addRoute(routes, {
    method: "post",
    path: "/revoke",
    tag,
    summary: "Drops handles of older mapping generations; answered when what they started has ended",
    body: revokeCallSchema,
    answer: z.object({ status: z.literal("revoked"), mapping_version: z.int() }),
    refusals: [409],
    handle: async ({ body }) => {
      commands.requireTerm(body.mdmTerm);
      await commands.revoke(body);
      return { status: "revoked" as const, mapping_version: body.mappingVersion };
    },
  });
  addRoute(routes, {
    method: "post",
    path: "/revoke_tokens",
    tag,
    summary: "Refuses single-use tokens from now on",
    body: revokeTokensCallSchema,
    answer: okShape,
    refusals: [409],
    handle: ({ body }) => {
      commands.requireTerm(body.mdmTerm);
      commands.revokeTokens(body.tokens);
      return { status: "ok" as const };
    },
  });
  addRoute(routes, {
    method: "post",
    path: "/scrub",
    tag,
    summary: "Begins to read, compare and mend all copies of the pool's groups that are led here",
    body: scrubCallSchema,
    answer: okShape,
    refusals: [409],
    handle: ({ body }) => {
      commands.requireTerm(body.mdmTerm);
      commands.scrub(body.poolId);
      return { status: "ok" as const };
    },
  });
  addChunkRoutes(routes, commands.chunks);
  addDeviceRoute(routes, commands.devices);
  return routes;
}
