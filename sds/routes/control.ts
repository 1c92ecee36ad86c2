/**
 * The control plane of an SDS: the MDM only, signed with this node's key (`shared/api/sds.ts`).
 *
 * @module
 */
import { Hono } from "hono";
import {
  noticeCallSchema,
  type PeerDeadCall,
  peerDeadCallSchema,
  type RevokeCall,
  revokeCallSchema,
} from "@/shared/api/sds.ts";
import { parseBody } from "@/shared/http/body.ts";
import { requireNode } from "@/shared/http/node_auth.ts";
import type { ComponentId } from "@/shared/ids.ts";

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
}

export function controlRoutes(commands: ControlCommands): Hono {
  const routes = new Hono();
  routes.use(requireNode((componentId) => commands.keyOf(componentId)));
  routes.post("/notice", async (c) => {
    commands.requireTerm((await parseBody(c, noticeCallSchema)).mdmTerm);
    commands.notice();
    return c.json({ status: "ok" });
  });
  routes.post("/peer_dead", async (c) => {
    const call = await parseBody(c, peerDeadCallSchema);
    commands.requireTerm(call.mdmTerm);
    commands.peerDead(call);
    return c.json({ status: "ok" });
  });
  routes.post("/revoke", async (c) => {
    const call = await parseBody(c, revokeCallSchema);
    commands.requireTerm(call.mdmTerm);
    await commands.revoke(call);
    return c.json({ status: "revoked", mapping_version: call.mappingVersion });
  });
  return routes;
}
