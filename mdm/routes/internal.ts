/**
 * `/internal/v1`: what SDSs and SDCs call (`shared/api/`). Every call is signed with the caller's node key.
 *
 * @module
 */
import { Hono } from "hono";
import type { MdmContext } from "@/mdm/context.ts";
import { changeGroups } from "@/mdm/operations/pgs.ts";
import { heartbeatSdc, registerSdc, sessionTokenFor, volumeMapFor } from "@/mdm/operations/sdc_sessions.ts";
import { configsFor, heartbeatSds, registerSds } from "@/mdm/operations/sds_sessions.ts";
import { requireComponentOf } from "@/mdm/routes/access.ts";
import { pgChangeCallSchema } from "@/shared/api/pg.ts";
import { sdcHeartbeatCallSchema, sdcRegisterCallSchema, volumeCallSchema } from "@/shared/api/sdc.ts";
import { sdsConfigsCallSchema, sdsHeartbeatCallSchema, sdsRegisterCallSchema } from "@/shared/api/sds.ts";
import { parseBody } from "@/shared/http/body.ts";
import { signerOf } from "@/shared/http/node_auth.ts";

export function internalRoutes(context: MdmContext): Hono {
  const routes = new Hono();
  const fromSds = requireComponentOf(context, "SDS");
  const fromSdc = requireComponentOf(context, "SDC");
  routes.post(
    "/sds/register",
    fromSds,
    async (c) => c.json(registerSds(context, signerOf(c), await parseBody(c, sdsRegisterCallSchema))),
  );
  routes.post(
    "/sds/heartbeat",
    fromSds,
    async (c) => c.json(heartbeatSds(context, signerOf(c), await parseBody(c, sdsHeartbeatCallSchema))),
  );
  routes.post(
    "/sds/configs",
    fromSds,
    async (c) => c.json(configsFor(context, { componentId: signerOf(c), ...await parseBody(c, sdsConfigsCallSchema) })),
  );
  routes.post(
    "/pg/change",
    fromSds,
    async (c) => c.json(changeGroups(context, { signer: signerOf(c), call: await parseBody(c, pgChangeCallSchema) })),
  );
  routes.post("/sdc/register", fromSdc, async (c) => {
    await parseBody(c, sdcRegisterCallSchema);
    return c.json(registerSdc(context, signerOf(c)));
  });
  routes.post(
    "/sdc/heartbeat",
    fromSdc,
    async (c) => c.json(heartbeatSdc(context, signerOf(c), await parseBody(c, sdcHeartbeatCallSchema))),
  );
  routes.post(
    "/sdc/map",
    fromSdc,
    async (c) => c.json(volumeMapFor(context, { componentId: signerOf(c), ...await parseBody(c, volumeCallSchema) })),
  );
  routes.post(
    "/sdc/token",
    fromSdc,
    async (c) =>
      c.json(sessionTokenFor(context, { componentId: signerOf(c), ...await parseBody(c, volumeCallSchema) })),
  );
  return routes;
}
