import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { Hono } from "hono";
import { HTTPException } from "hono/http-exception";
import { Counter, Registry } from "prom-client";
import { z } from "zod";
import { StorageError } from "@/shared/errors.ts";
import { installCommonRoutes } from "@/shared/http/app.ts";
import { parseBody, parseParams, parseQuery } from "@/shared/http/body.ts";
import type { Problem } from "@/shared/http/problem.ts";
import { logger, startLogging, stopLogging } from "@/shared/log.ts";

const volumeSchema = z.object({ name: z.string(), devices: z.array(z.object({ sizeBytes: z.number().int() })) });

function testApp(options: { notReady?: string; metrics?: Registry; page?: string } = {}): Hono {
  const app = new Hono({ strict: false });
  const { notReady, metrics, page } = options;
  installCommonRoutes(app, {
    log: logger("test"),
    notReady: () => notReady,
    bodyBytesMax: 1000,
    ...(metrics && { metrics }),
    ...(page !== undefined && { metricsOtherwise: (c) => c.html(page) }),
  });
  app.post("/volumes", async (c) => c.json(await parseBody(c, volumeSchema), 201));
  app.get("/volumes/:id", (c) => c.json(parseParams(c, z.object({ id: z.coerce.number().int() }))));
  app.get("/search", (c) => c.json(parseQuery(c, z.object({ limit: z.coerce.number().int().max(9) }))));
  app.get("/full", () => {
    throw new StorageError("pool_full", "Cannot create vol-7: the pool has 2 GiB, 4 GiB are asked for");
  });
  app.get("/teapot", () => {
    throw new HTTPException(401, { message: "Sign in first" });
  });
  app.get("/bug", () => {
    throw new TypeError("secret inner state");
  });
  return app;
}

async function problemOf(response: Response | Promise<Response>): Promise<Problem> {
  const answer = await response;
  assertEquals(answer.headers.get("content-type"), "application/problem+json");
  const problem: Problem = await answer.json();
  assertEquals(problem.status, answer.status);
  assertEquals(problem.requestId, answer.headers.get("x-request-id"));
  return problem;
}

function post(body: BodyInit): RequestInit {
  return { method: "POST", body };
}

Deno.test("problemHandler() answers a StorageError with its code, status and message", async () => {
  const problem = await problemOf(testApp().request("/full", { headers: { "X-Request-Id": "abc-1" } }));
  assertEquals(problem, {
    type: "urn:powerflex:error:pool_full",
    title: "Pool full",
    status: 507,
    detail: "Cannot create vol-7: the pool has 2 GiB, 4 GiB are asked for",
    code: "pool_full",
    requestId: "abc-1",
  });
});

Deno.test("problemHandler() names the wrong fields of a body, a query and a path", async () => {
  const body = await problemOf(testApp().request("/volumes", post('{"name":1,"devices":[{"sizeBytes":1.5}]}')));
  assertEquals([body.status, body.code, body.errors?.map(({ path }) => path)], [422, "invalid", [
    "name",
    "devices.0.sizeBytes",
  ]]);
  assertStringIncludes(body.detail, "devices.0.sizeBytes: ");
  assertEquals((await problemOf(testApp().request("/search?limit=10"))).errors?.[0]?.path, "limit");
  assertEquals((await problemOf(testApp().request("/volumes/x"))).errors?.[0]?.path, "id");
});

Deno.test("parseBody() gives 400 for text that is not JSON, and reads an empty body as an empty object", async () => {
  const problem = await problemOf(testApp().request("/volumes", post('{"name":')));
  assertEquals([problem.status, problem.code], [400, "bad_request"]);
  assertStringIncludes(problem.detail, "Cannot read the body as JSON");
  assertEquals((await problemOf(testApp().request("/volumes", post("")))).status, 422);
});

Deno.test("problemHandler() shows nothing of an unexpected error and logs all of it", async () => {
  const lines: string[] = [];
  startLogging({ logLevel: "info", logFormat: "json", write: (line) => lines.push(line) });
  try {
    const problem = await problemOf(testApp().request("/bug", { headers: { "X-Request-Id": "r-9" } }));
    assertEquals([problem.status, problem.code], [500, "internal"]);
    assertEquals(JSON.stringify(problem).includes("secret inner state"), false);
    assertMatch(lines.join(""), /r-9.*secret inner state/);
  } finally {
    stopLogging();
  }
});

Deno.test("problemHandler() keeps the status of an HTTPException; an unknown path is a 404 problem", async () => {
  const refused = await problemOf(testApp().request("/teapot"));
  assertEquals([refused.status, refused.code, refused.detail], [401, "unauthorized", "Sign in first"]);
  const missing = await problemOf(testApp().request("/nowhere"));
  assertEquals([missing.status, missing.detail], [404, "Cannot GET /nowhere: no such path"]);
});

Deno.test("installCommonRoutes() refuses a body over the limit, announced or streamed", async (t) => {
  await t.step("announced", async () => {
    const request = { ...post("x".repeat(1001)), headers: { "Content-Length": "1001" } };
    assertEquals((await problemOf(testApp().request("/volumes", request))).status, 413);
  });
  await t.step("streamed without an end in sight", async () => {
    let pulled = 0;
    const endless = new ReadableStream({
      pull(controller) {
        pulled++;
        controller.enqueue(new Uint8Array(100));
      },
    });
    assertEquals((await problemOf(testApp().request("/volumes", post(endless)))).status, 413);
    assertEquals(pulled < 20, true, `${pulled} pieces were read`);
  });
  await t.step("at the limit", async () => {
    const name = "n".repeat(1000 - '{"name":"","devices":[]}'.length);
    const answer = await testApp().request("/volumes", post(`{"name":"${name}","devices":[]}`));
    assertEquals((await answer.json()).name, name);
  });
});

Deno.test("installCommonRoutes() serves liveness always and readiness with its reason", async () => {
  const starting = testApp({ notReady: "no configuration was fetched so far" });
  assertEquals((await starting.request("/healthz")).status, 200);
  const problem = await problemOf(starting.request("/readyz"));
  assertEquals([problem.status, problem.detail], [503, "Not ready: no configuration was fetched so far"]);
  assertEquals(await (await testApp().request("/readyz")).json(), { status: "ready" });
});

Deno.test("installCommonRoutes() gives metrics as Prometheus text to who asks, the own page to others", async () => {
  const metrics = new Registry();
  new Counter({ name: "powerflex_test_total", help: "Tests", registers: [metrics] }).inc();
  const app = testApp({ metrics, page: "<p>charts</p>" });
  for (const accept of ["text/plain;version=0.0.4", "application/openmetrics-text; version=1.0.0, */*;q=0.1"]) {
    const answer = await app.request("/metrics", { headers: { Accept: accept } });
    assertStringIncludes(answer.headers.get("content-type") ?? "", "text/plain");
    assertStringIncludes(await answer.text(), "powerflex_test_total 1");
  }
  assertEquals(await (await app.request("/metrics", { headers: { Accept: "text/html" } })).text(), "<p>charts</p>");
  assertStringIncludes(await (await testApp({ metrics }).request("/metrics")).text(), "powerflex_test_total 1");
});

Deno.test("installCommonRoutes() refuses a wrong method with 405 and tells the right ones", async (t) => {
  for (
    const [method, path, allow] of [
      ["GET", "/volumes", "POST"],
      ["POST", "/volumes/7", "GET, HEAD"],
      ["DELETE", "/volumes", "POST"],
      ["PUT", "/healthz", "GET, HEAD"],
      ["DELETE", "/volumes/7/", "GET, HEAD"],
    ] as const
  ) {
    await t.step(`${method} ${path}`, async () => {
      const answer = await testApp().request(path, { method });
      assertEquals(answer.headers.get("allow"), allow);
      const problem = await problemOf(answer);
      assertEquals([problem.status, problem.code], [405, "wrong_method"]);
      assertEquals(problem.detail, `Cannot ${method} ${path.replace(/\/$/, "")}: it is served for ${allow}`);
    });
  }
  await t.step("a path of several segments is not one with a parameter", async () => {
    assertEquals((await testApp().request("/volumes/7/more", { method: "POST" })).status, 404);
  });
  await t.step("HEAD is served where GET is", async () => {
    assertEquals((await testApp().request("/healthz", { method: "HEAD" })).status, 200);
  });
  await t.step("a literal path is not taken for a parameter of another", async () => {
    const app = testApp();
    app.post("/volumes/create", (c) => c.text("made"));
    const problem = await problemOf(app.request("/volumes/create"));
    assertEquals([problem.status, problem.detail], [405, "Cannot GET /volumes/create: it is served for POST"]);
  });
});

Deno.test("an application serves its paths with and without a slash at the end", async () => {
  assertEquals(await (await testApp().request("/volumes/7/")).json(), { id: 7 });
  assertEquals((await testApp().request("/healthz/")).status, 200);
});
