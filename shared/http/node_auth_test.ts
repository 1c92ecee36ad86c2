import { assertEquals, assertThrows } from "@std/assert";
import { Hono } from "hono";
import { StorageError } from "@/shared/errors.ts";
import {
  NODE_HEADER,
  requireNode,
  SIGNATURE_HEADER,
  signerOf,
  signRequest,
  verifyRequest,
} from "@/shared/http/node_auth.ts";

const KEYS: Record<string, string> = { "sds-1": "11".repeat(32), "sds-2": "22".repeat(32) };
const keyOf = (componentId: string) => KEYS[componentId];
const REQUEST = { method: "POST", path: "/internal/v1/pg/change?x=1", body: '{"a":1}' };

function signed(componentId: string): Headers {
  return new Headers(signRequest({ ...REQUEST, nodeKeyHex: KEYS[componentId]!, componentId }));
}

function refusal(headers: Headers, request = REQUEST): string {
  const error = assertThrows(() => verifyRequest(headers, { ...request, keyOf }), StorageError);
  assertEquals(error.code, "unauthorized");
  return error.message;
}

Deno.test("verifyRequest() gives the node that signed", () => {
  assertEquals<string>(verifyRequest(signed("sds-2"), { ...REQUEST, keyOf }), "sds-2");
});

Deno.test("signRequest() makes the documented signature", () => {
  // printf 'POST\n/p\n%s' "$(printf '{}' | sha256sum | cut -d' ' -f1)" | openssl dgst -sha256 -mac HMAC -macopt hexkey:KEY
  const headers = signRequest({
    method: "POST",
    path: "/p",
    body: "{}",
    nodeKeyHex: KEYS["sds-1"]!,
    componentId: "sds-1",
  });
  assertEquals(headers[SIGNATURE_HEADER], "f95d7aa346fe87ac3b78462e03061185a66c163f609f351d4fcc1e49a2bffd1b");
  assertEquals(headers[NODE_HEADER], "sds-1");
});

Deno.test("verifyRequest() refuses whatever was changed after signing", async (t) => {
  const changes: [string, Partial<typeof REQUEST>][] = [
    ["method", { method: "PUT" }],
    ["path", { path: "/internal/v1/pg/chang" }],
    ["query", { path: "/internal/v1/pg/change?x=2" }],
    ["body", { body: '{"a":2}' }],
  ];
  for (const [name, change] of changes) {
    await t.step(name, () => {
      refusal(signed("sds-1"), { ...REQUEST, ...change });
    });
  }
  await t.step("name of another node", () => {
    const headers = signed("sds-1");
    headers.set(NODE_HEADER, "sds-2");
    refusal(headers);
  });
  await t.step("a digit of the signature", () => {
    const headers = signed("sds-1");
    const signature = headers.get(SIGNATURE_HEADER)!;
    headers.set(SIGNATURE_HEADER, (signature[0] === "0" ? "1" : "0") + signature.slice(1));
    refusal(headers);
  });
});

Deno.test("verifyRequest() refuses an unknown node, even one that signs with the stand-in key, and missing headers", () => {
  refusal(new Headers(signRequest({ ...REQUEST, nodeKeyHex: "00".repeat(32), componentId: "sds-9" })));
  assertEquals(
    refusal(new Headers()),
    "Cannot accept POST /internal/v1/pg/change?x=1: it must carry X-PowerFlex-Node and X-PowerFlex-Signature",
  );
});

Deno.test("requireNode() guards a route and leaves the body to the handler", async () => {
  const app = new Hono();
  app.post("/internal/*", requireNode(keyOf), async (c) => c.json({ by: signerOf(c), body: await c.req.json() }));
  app.onError((error, c) => c.text(error.message, 401));
  const answer = await app.request(REQUEST.path, { method: "POST", body: REQUEST.body, headers: signed("sds-1") });
  assertEquals(await answer.json(), { by: "sds-1", body: { a: 1 } });
  assertEquals((await app.request(REQUEST.path, { method: "POST", body: "{}", headers: signed("sds-1") })).status, 401);
});
