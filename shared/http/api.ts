/**
 * Routes that are declared once: what they take, what they answer, and what they do. The declaration checks each request, types
 * the handler, and is what `/openapi.json` says (OpenAPI 3.1).
 *
 * `addRoute` adds to an `OpenAPIHono`, which mounts as any other application does; what is mounted under it keeps its place in
 * the document.
 *
 * @module
 */
import type { OpenAPIHono } from "@hono/zod-openapi";
import type { Context } from "hono";
import { z } from "zod";
import { parseBody, parseParams, parseQuery } from "@/shared/http/body.ts";

/** A value whose parts may be read-only, for answers. */
type Shown<Value> = Value extends (infer Item)[] ? readonly Shown<Item>[]
  : Value extends object ? { readonly [Key in keyof Value]: Shown<Value[Key]> }
  : Value;

/** What a handler gets: the request, and its parts as the schemas give them. */
export interface RouteInput<Params extends z.ZodType, Query extends z.ZodType, Body extends z.ZodType> {
  readonly c: Context;
  readonly params: z.output<Params>;
  readonly query: z.output<Query>;
  readonly body: z.output<Body>;
}

/** One route. */
export interface ApiRoute<
  Params extends z.ZodType,
  Query extends z.ZodType,
  Body extends z.ZodType,
  Answer extends z.ZodType,
> {
  readonly method: "get" | "post" | "put" | "delete";
  /** With its parameters in braces, such as `/{id}/acks`; `/` for the place where the application is mounted. */
  readonly path: string;
  /** Heading under which the document lists it. */
  readonly tag: string;
  /** One sentence. */
  readonly summary: string;
  readonly params?: Params;
  readonly query?: Query;
  readonly body?: Body;
  readonly answer: Answer;
  /** Of a success; 200 unless given. */
  readonly status?: 200 | 201;
  /** Statuses of refusals beside those of a malformed or unauthorized request. */
  readonly refusals?: readonly RefusalStatus[];
  readonly handle: (
    input: RouteInput<Params, Query, Body>,
  ) => Shown<z.input<Answer>> | Promise<Shown<z.input<Answer>>>;
}

const REFUSALS = {
  400: "A rule forbids it, or the body is not JSON",
  403: "Not mapped, read-only, or not allowed",
  404: "There is no such thing",
  409: "The name is taken, or the state forbids it",
  422: "A field is missing or does not fit",
  501: "Does not exist yet",
  503: "What it needs is away; try again",
} as const;
/** Statuses that {@linkcode ApiRoute} may name. */
export type RefusalStatus = keyof typeof REFUSALS;

/** Failures as RFC 9457 shapes them; `detail` is also where the predecessor's clients look. */
const problemSchema = z.object({
  type: z.string(),
  title: z.string(),
  status: z.int(),
  detail: z.string(),
  code: z.string(),
  requestId: z.string(),
  errors: z.array(z.object({ path: z.string(), message: z.string() })).optional(),
}).meta({ id: "Problem" });

/** Adds a route; see {@linkcode ApiRoute}. */
export function addRoute<
  Params extends z.ZodType,
  Query extends z.ZodType,
  Body extends z.ZodType,
  Answer extends z.ZodType,
>(routes: OpenAPIHono, route: ApiRoute<Params, Query, Body, Answer>): void {
  const { method, path, params, query, body, status = 200 } = route;
  describeRoute(routes, route);
  routes[method](path.replaceAll(/\{(\w+)\}/g, ":$1"), async (c: Context) => {
    // A part without a schema is not offered to the handler: its type there is unknown.
    const input = {
      c,
      params: params && parseParams(c, params),
      query: query && parseQuery(c, query),
      body: body && await parseBody(c, body),
    } as RouteInput<Params, Query, Body>;
    const answer = await route.handle(input);
    return c.body(JSON.stringify(answer), status, { "Content-Type": "application/json" });
  });
}

/** What a route that is not one of {@linkcode addRoute} says of itself. */
export interface PlainRoute {
  readonly method: "get" | "post";
  readonly path: string;
  readonly tag: string;
  readonly summary: string;
  readonly contentType: string;
}

/** Puts a route into the document that answers something else than JSON. */
export function describePlainRoute(routes: OpenAPIHono, route: PlainRoute): void {
  const { method, path, tag, summary, contentType } = route;
  const answer = { description: summary, content: { [contentType]: { schema: z.string() } } };
  routes.openAPIRegistry.registerPath({ method, path, tags: [tag], summary, responses: { 200: answer } });
}

type AnyRoute = ApiRoute<z.ZodType, z.ZodType, z.ZodType, z.ZodType>;

/** Puts a route into the document that is served elsewhere, such as one that also answers pages. */
export function describeRoute(routes: OpenAPIHono, route: Omit<AnyRoute, "handle">): void {
  const { method, path, tag, summary, params, query, body, answer, status = 200, refusals = [] } = route;
  const takes = params !== undefined || query !== undefined || body !== undefined;
  const refused = new Set<RefusalStatus>([...(takes ? [422 as const] : []), ...refusals]);
  const problems = [...refused].sort().map((refusal) => [refusal, problemAnswer(REFUSALS[refusal])]);
  routes.openAPIRegistry.registerPath({
    method,
    path,
    tags: [tag],
    summary,
    request: {
      // The library asks for objects here; every schema of parameters is one, some with a check of the whole behind it.
      ...(params && { params: params as z.ZodObject }),
      ...(query && { query: objectOf(query) }),
      ...(body && { body: { required: true, content: { "application/json": { schema: body } } } }),
    },
    responses: {
      [status]: { description: "Done", content: { "application/json": { schema: answer } } },
      ...Object.fromEntries(problems),
      default: problemAnswer("Any other failure"),
    },
  });
}

/** The object behind a transformation: its fields are the parameters. */
function objectOf(schema: z.ZodType): z.ZodObject {
  return (schema instanceof z.ZodPipe ? schema.in : schema) as z.ZodObject;
}

function problemAnswer(description: string) {
  return { description, content: { "application/problem+json": { schema: problemSchema } } };
}

/** Whose API it is. */
export interface ApiInfo {
  readonly title: string;
  readonly version: string;
  readonly description: string;
  /** Ways to prove who calls, by name, as OpenAPI describes them. */
  readonly security?: Readonly<Record<string, SecurityScheme>>;
}

/** A bearer token, or a header. */
export type SecurityScheme =
  | { readonly type: "http"; readonly scheme: "bearer"; readonly description: string }
  | { readonly type: "apiKey"; readonly in: "header"; readonly name: string; readonly description: string };

/** Serves the document of everything that `routes` has, made once at the first request. */
export function serveDocument(routes: OpenAPIHono, info: ApiInfo): void {
  const { security = {}, ...about } = info;
  for (const [name, scheme] of Object.entries(security)) {
    routes.openAPIRegistry.registerComponent("securitySchemes", name, scheme);
  }
  const summary = "This document";
  describePlainRoute(routes, {
    method: "get",
    path: "/openapi.json",
    tag: "Common",
    summary,
    contentType: "application/json",
  });
  let text: string | undefined;
  routes.get("/openapi.json", (c) => {
    text ??= JSON.stringify(withOperationIds(routes.getOpenAPI31Document({
      openapi: "3.1.0",
      info: about,
      security: Object.keys(security).map((name) => ({ [name]: [] })),
    })));
    return c.body(text, 200, { "Content-Type": "application/json" });
  });
}

/** A document of OpenAPI, as far as its operations go. */
interface Operations {
  readonly paths?: Readonly<Record<string, object>>;
}

/**
 * Names each operation after its method and path, for those who generate clients: `POST /vol/{id}/map` is `postVolByIdMap`. Named
 * here and not where a route is declared, for a route does not know where it will be mounted.
 */
function withOperationIds<Document extends Operations>(document: Document): Document {
  const named = Object.entries(document.paths ?? {}).map(([path, operations]) => [
    path,
    Object.fromEntries(
      Object.entries(operations).map(([method, operation]) => [
        method,
        { operationId: operationIdOf(method, path), ...operation },
      ]),
    ),
  ]);
  return { ...document, paths: Object.fromEntries(named) };
}

function operationIdOf(method: string, path: string): string {
  const words = path.replaceAll("{", "by_").split(/[^A-Za-z0-9]+/).filter((word) => word !== "");
  return method +
    (words.length === 0 ? ["root"] : words).map((word) => word[0]!.toUpperCase() + word.slice(1)).join("");
}

/** Routes of `routes` that the document does not have, and those that only the document has, as `GET /path/{id}`. */
export function documentGaps(
  routes: OpenAPIHono,
  document: { readonly paths: Readonly<Record<string, object>> },
): { readonly undocumented: string[]; readonly unserved: string[] } {
  const served = new Set(
    routes.routes.filter(({ method }) => method !== "ALL").map(({ method, path }) =>
      `${method} ${path.replaceAll(/:(\w+)/g, "{$1}")}`
    ),
  );
  const documented = new Set(
    Object.entries(document.paths).flatMap(([path, methods]) =>
      Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`)
    ),
  );
  return {
    undocumented: [...served].filter((route) => !documented.has(route)),
    unserved: [...documented].filter((route) => !served.has(route)),
  };
}
