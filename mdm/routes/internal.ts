/**
 * `/internal/v1`: what SDSs and SDCs call (`shared/api/`). Every call is signed with the caller's node key.
 *
 * @module
 */
import { OpenAPIHono } from "@hono/zod-openapi";
import type { MdmContext } from "@/mdm/context.ts";
import { changeGroups } from "@/mdm/operations/pgs.ts";
import { heartbeatSdc, registerSdc, sessionTokenFor, volumeMapFor } from "@/mdm/operations/sdc_sessions.ts";
import { configsFor, heartbeatSds, registerSds } from "@/mdm/operations/sds_sessions.ts";
import { requireComponentOf } from "@/mdm/routes/access.ts";
import { pgChangeAnswerSchema, pgChangeCallSchema } from "@/shared/api/pg.ts";
import {
  sdcHeartbeatAnswerSchema,
  sdcHeartbeatCallSchema,
  sdcRegisterAnswerSchema,
  sdcRegisterCallSchema,
  sessionTokenAnswerSchema,
  volumeCallSchema,
  volumeMapSchema,
} from "@/shared/api/sdc.ts";
import {
  sdsConfigsAnswerSchema,
  sdsConfigsCallSchema,
  sdsHeartbeatAnswerSchema,
  sdsHeartbeatCallSchema,
  sdsRegisterAnswerSchema,
  sdsRegisterCallSchema,
} from "@/shared/api/sds.ts";
import { addRoute } from "@/shared/http/api.ts";
import { signerOf } from "@/shared/http/node_auth.ts";

const common = { method: "post", tag: "Between components", refusals: [409] } as const;

export function internalRoutes(context: MdmContext): OpenAPIHono {
  const routes = new OpenAPIHono();
  const fromSds = requireComponentOf(context, "SDS");
  routes.use("/sds/*", fromSds);
  routes.use("/pg/*", fromSds);
  routes.use("/sdc/*", requireComponentOf(context, "SDC"));
  addSdsCalls(routes, context);
  addSdcCalls(routes, context);
  return routes;
}

function addSdsCalls(routes: OpenAPIHono, context: MdmContext): void {
  addRoute(routes, {
    ...common,
    path: "/sds/register",
    summary: "An SDS started",
    body: sdsRegisterCallSchema,
    answer: sdsRegisterAnswerSchema,
    handle: ({ c, body }) => registerSds(context, signerOf(c), body),
  });
  addRoute(routes, {
    ...common,
    path: "/sds/heartbeat",
    summary: "An SDS lives, and how its devices are",
    body: sdsHeartbeatCallSchema,
    answer: sdsHeartbeatAnswerSchema,
    handle: ({ c, body }) => heartbeatSds(context, signerOf(c), body),
  });
  addRoute(routes, {
    ...common,
    path: "/sds/configs",
    summary: "An SDS asks for the groups that changed",
    body: sdsConfigsCallSchema,
    answer: sdsConfigsAnswerSchema,
    handle: ({ c, body }) => configsFor(context, { componentId: signerOf(c), ...body }),
  });
  addRoute(routes, {
    ...common,
    path: "/pg/change",
    summary: "A member asks for changes of its groups",
    body: pgChangeCallSchema,
    answer: pgChangeAnswerSchema,
    handle: ({ c, body }) => changeGroups(context, { signer: signerOf(c), call: body }),
  });
}

function addSdcCalls(routes: OpenAPIHono, context: MdmContext): void {
  addRoute(routes, {
    ...common,
    path: "/sdc/register",
    summary: "An SDC started",
    body: sdcRegisterCallSchema,
    answer: sdcRegisterAnswerSchema,
    handle: ({ c }) => registerSdc(context, signerOf(c)),
  });
  addRoute(routes, {
    ...common,
    path: "/sdc/heartbeat",
    summary: "An SDC lives, and what it counted",
    body: sdcHeartbeatCallSchema,
    answer: sdcHeartbeatAnswerSchema,
    handle: ({ c, body }) => heartbeatSdc(context, signerOf(c), body),
  });
  addRoute(routes, {
    ...common,
    path: "/sdc/map",
    summary: "An SDC asks where a volume's chunks are",
    body: volumeCallSchema,
    answer: volumeMapSchema,
    handle: ({ c, body }) => volumeMapFor(context, { componentId: signerOf(c), ...body }),
  });
  addRoute(routes, {
    ...common,
    path: "/sdc/token",
    summary: "An SDC asks for its session token of a volume",
    body: volumeCallSchema,
    answer: sessionTokenAnswerSchema,
    handle: ({ c, body }) => sessionTokenFor(context, { componentId: signerOf(c), ...body }),
  });
}
