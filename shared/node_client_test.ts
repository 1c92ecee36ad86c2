import { assert, assertEquals, assertRejects } from "@std/assert";
import { createHash } from "node:crypto";
import { StorageError } from "@/shared/errors.ts";
import { verifyRequest } from "@/shared/http/node_auth.ts";
import type { HttpAnswer, HttpRequest } from "@/shared/http_client.ts";
import { MDM_TIMEOUT_MS, NodeClient } from "@/shared/node_client.ts";

const KEY = "ab".repeat(32);
const OTHER_KEY = "cd".repeat(32);

/** A client over `answers`, one per request in turn; an `Error` among them is a connection that fails. */
function clientOver(answers: readonly (readonly [number, unknown] | Error)[], options: { kept?: string } = {}) {
  const requests: HttpRequest[] = [];
  const keys = { kept: options.kept, load: () => keys.kept, save: (made: string) => void (keys.kept = made) };
  const client = new NodeClient({
    send(request): Promise<HttpAnswer> {
      const answer = answers[requests.length];
      requests.push(request);
      if (answer === undefined) return Promise.reject(new Error("one request more than the test gives answers for"));
      if (answer instanceof Error) return Promise.reject(answer);
      return Promise.resolve({
        status: answer[0],
        body: typeof answer[1] === "string" ? answer[1] : JSON.stringify(answer[1]),
      });
    },
    mdmUrl: "http://127.0.0.1:8001",
    componentId: "sds-1",
    componentType: "SDS",
    address: "127.0.0.1",
    ports: { control: 9100, data: 9700 },
    joinToken: "join",
    keys,
    metadata: { shelf: 3 },
  });
  return { client, keys, requests };
}

function bodiesOf(requests: readonly HttpRequest[]): Record<string, unknown>[] {
  return requests.map(({ body }) => JSON.parse(body ?? "{}"));
}

Deno.test("NodeClient.enrol() brings the join token at the first time and keeps the key", async () => {
  const { client, keys, requests } = clientOver([[200, { cluster_secret: KEY }]]);
  assertEquals(client.nodeKeyHex, undefined);
  await client.enrol();
  assertEquals([client.nodeKeyHex, keys.kept], [KEY, KEY]);
  assertEquals(bodiesOf(requests), [{
    component_id: "sds-1",
    component_type: "SDS",
    address: "127.0.0.1",
    ports: { control: 9100, data: 9700 },
    metadata: { shelf: 3 },
    join_token: "join",
  }]);
  assertEquals(requests[0]?.headers?.["X-PowerFlex-Signature"], undefined);
});

Deno.test("NodeClient.enrol() proves the key that it kept, without the join token", async () => {
  const { client, keys, requests } = clientOver([[200, {}]], { kept: KEY });
  await client.enrol();
  const [body] = bodiesOf(requests);
  assertEquals(body?.["auth_token"], createHash("sha256").update(`${KEY}sds-1`).digest("hex"));
  assertEquals([body?.["join_token"], keys.kept], [undefined, KEY]);
});

Deno.test("NodeClient.enrol() enrols anew at an MDM that refuses the key, and at no other failure", async (t) => {
  await t.step("refused: the join token, and the new key replaces the old", async () => {
    const { client, keys, requests } = clientOver([
      [403, { code: "forbidden", detail: "not that key" }],
      [200, { cluster_secret: OTHER_KEY }],
    ], { kept: KEY });
    await client.enrol();
    assertEquals([keys.kept, bodiesOf(requests)[1]?.["join_token"]], [OTHER_KEY, "join"]);
  });
  await t.step("busy: the caller hears of it and the key stays", async () => {
    const { client, keys, requests } = clientOver([[503, { code: "unavailable", detail: "starting" }]], { kept: KEY });
    await assertRejects(() => client.enrol(), StorageError, "starting");
    assertEquals([keys.kept, requests.length], [KEY, 1]);
  });
});

Deno.test("NodeClient.call() signs what it sends with the node key", async () => {
  const { client, requests } = clientOver([[200, { ok: true }], [200, [1]]], { kept: KEY });
  assertEquals(await client.call("POST", "/internal/v1/x?y=1", { z: 2 }), { ok: true });
  assertEquals(await client.call("GET", "/internal/v1/list"), [1]);
  for (const { headers, method, url, body = "", timeoutMs } of requests) {
    const { pathname, search } = new URL(url);
    const path = pathname + search;
    assertEquals(verifyRequest(new Headers(headers), { method, path, body, keyOf: () => KEY }), "sds-1" as never);
    assertEquals(timeoutMs, MDM_TIMEOUT_MS);
  }
});

Deno.test("NodeClient.call() says what went wrong in the MDM's words, or why there are none", async () => {
  const { client } = clientOver([
    [409, { code: "stale_epoch", detail: "the group is at epoch 6" }],
    [404, { code: "no such code", detail: { field: "x" } }],
    [200, "<html>"],
    new Error("connection refused"),
  ]);
  const failures = [];
  for (let index = 0; index < 4; index++) {
    const error = await assertRejects(() => client.call("GET", "/x"), StorageError);
    assert(error instanceof StorageError);
    failures.push(`${error.code}: ${error.message}`);
  }
  assertEquals(failures, [
    "stale_epoch: the group is at epoch 6",
    "not_found: the MDM answered with status 404",
    "unavailable: the MDM's answer (status 200) is not JSON",
    "unavailable: Cannot reach the MDM at http://127.0.0.1:8001: connection refused",
  ]);
});
