import { assertEquals } from "@std/assert";
import { OpenAPIHono } from "@hono/zod-openapi";
import { z } from "zod";
import { addRoute, describePlainRoute, documentGaps, serveDocument } from "@/shared/http/api.ts";
import { problemHandler } from "@/shared/http/problem.ts";
import { logger } from "@/shared/log.ts";

const idParams = z.object({ id: z.coerce.number().int().positive() });

function testApp(): OpenAPIHono {
  const volumes = new OpenAPIHono();
  addRoute(volumes, {
    method: "post",
    path: "/{id}/resize",
    tag: "Volumes",
    summary: "Changes the size",
    params: idParams,
    query: z.object({ dry: z.string().optional() }),
    body: z.object({ size: z.number().transform((gb) => gb * 2) }),
    answer: z.object({ id: z.number(), sizes: z.array(z.number()) }),
    status: 201,
    refusals: [404],
    handle: ({ params, query, body }) => ({ id: params.id, sizes: [body.size, query.dry === undefined ? 0 : 1] }),
  });
  const app = new OpenAPIHono();
  app.onError(problemHandler(logger("test")));
  app.route("/vol", volumes);
  serveDocument(app, { title: "Test", version: "1", description: "" });
  return app;
}

Deno.test("addRoute() parses params, query and body, and answers JSON with the status of the route", async () => {
  const app = testApp();
  const answer = await app.request("/vol/7/resize?dry=1", { method: "POST", body: '{"size":2}' });
  assertEquals([answer.status, await answer.json()], [201, { id: 7, sizes: [4, 1] }]);
  for (const [path, body] of [["/vol/x/resize", '{"size":2}'], ["/vol/7/resize", '{"size":"2"}']] as const) {
    assertEquals((await app.request(path, { method: "POST", body })).status, 422);
  }
});

Deno.test("serveDocument() has every route where it is mounted, with its answers", async () => {
  const app = testApp();
  const document = await (await app.request("/openapi.json")).json();
  assertEquals(document.openapi, "3.1.0");
  const operation = document.paths["/vol/{id}/resize"].post;
  assertEquals(Object.keys(operation.responses), ["201", "404", "422", "default"]);
  assertEquals(operation.parameters.map((parameter: { name: string }) => parameter.name), ["id", "dry"]);
  assertEquals(document.components.schemas.Problem.required.includes("detail"), true);
  assertEquals(operation.operationId, "postVolByIdResize");
});

Deno.test("documentGaps() tells what is served but not described, and the reverse", async () => {
  const app = testApp();
  const document = async () => await (await testApp().request("/openapi.json")).json();
  assertEquals(documentGaps(app, await document()), { undocumented: [], unserved: [] });
  app.get("/new/:name", (c) => c.text(""));
  assertEquals(documentGaps(app, await document()).undocumented, ["GET /new/{name}"]);
  const described = new OpenAPIHono();
  const route = { path: "/text", tag: "Common", summary: "Text", contentType: "text/plain" };
  describePlainRoute(described, { method: "get", ...route });
  const only = described.getOpenAPI31Document({ openapi: "3.1.0", info: { title: "t", version: "1" } });
  assertEquals(documentGaps(described, { paths: only.paths ?? {} }).unserved, ["GET /text"]);
});
