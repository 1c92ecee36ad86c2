import { assertEquals } from "@std/assert";
import { asId, type NodeId } from "@/shared/ids.ts";
import { canonicalJson, chunkIdOf, IO_TOKEN_TEXT_MAX, ioTokenSignature, openIoToken } from "@/shared/io_token.ts";

/** The signature below was computed by another program, from the description in the module comment. */
const KEY = { keyId: 3, keyHex: "0b".repeat(32) };
const KEYS = new Map([[KEY.keyId, KEY]]);
const INCARNATION = { counter: 4, random: "00112233445566ff" };
const UNSIGNED = {
  kind: "single_use",
  token_id: "6f1f3f6e-6f0a-4b57-9d3e-3f1f6a2b4c5d",
  key_id: 3,
  volume_id: 1,
  vtree_id: 2,
  node_id: 5,
  sdc_id: 1,
  mapping_generation: 7,
  operation: "read",
  offset_bytes: 0,
  length_bytes: 4096,
  issued_at_ms: 1_700_000_000_000,
  expires_at_ms: 1_700_000_060_000,
  io_plan: {
    volume_name: "Daten ü \u2028",
    segments: [{
      chunk_id: chunkIdOf(asId<NodeId>(5), 0),
      chunk_index: 0,
      chunk_checksum: null,
      pg_id: 9,
      epoch: 2,
      segment_offset_bytes: 0,
      segment_length_bytes: 4096,
      targets: [{ sds_id: 1, device_id: 1, incarnation: INCARNATION }],
    }],
  },
};
const TOKEN = { ...UNSIGNED, signature: ioTokenSignature(UNSIGNED, KEY) };

function reasonOf(token: unknown): string {
  const opened = openIoToken(token, KEYS);
  return opened.kind === "ok" ? "ok" : opened.code;
}

Deno.test("canonicalJson() sorts keys at every level and keeps the order of lists", () => {
  assertEquals(
    canonicalJson({ b: [2, 1, { d: null, c: "x" }], a: true, e: undefined }),
    '{"a":true,"b":[2,1,{"c":"x","d":null}]}',
  );
  let nested: unknown = 1;
  for (let depth = 0; depth < 100_000; depth++) nested = [nested];
  assertEquals(canonicalJson(nested), undefined, "no deeper than a token is");
});

Deno.test("openIoToken() takes what was signed, in any order of keys and through any JSON library", () => {
  assertEquals(TOKEN.signature, "e134eaf9b9dbb90ba2b44489b361e1904f9a4270781a757747c34e06df557d11");
  assertEquals(reasonOf(TOKEN), "ok");
  assertEquals(
    reasonOf(JSON.parse(JSON.stringify(Object.fromEntries(Object.entries(TOKEN).reverse()), null, 2))),
    "ok",
  );
});

Deno.test("openIoToken() refuses what is none, too large or changed anywhere, also in fields that it does not know", () => {
  for (const wrong of [undefined, null, 1, "x", [], {}, { ...TOKEN, kind: "session" }, { ...TOKEN, length_bytes: 0 }]) {
    assertEquals(reasonOf(wrong), "token_malformed");
  }
  assertEquals(reasonOf({ ...TOKEN, padding: "x".repeat(IO_TOKEN_TEXT_MAX) }), "token_malformed");
  assertEquals(reasonOf({ ...TOKEN, io_plan: { ...TOKEN.io_plan, segments: [] } }), "token_malformed");
  assertEquals(reasonOf({ ...TOKEN, expires_at_ms: TOKEN.expires_at_ms + 1 }), "token_signature");
  assertEquals(reasonOf({ ...TOKEN, io_plan: { ...TOKEN.io_plan, volume_name: "other" } }), "token_signature");
  assertEquals(reasonOf({ ...TOKEN, note: "" }), "token_signature");
  assertEquals(reasonOf({ ...TOKEN, signature: "" }), "token_signature");
  assertEquals(reasonOf({ ...TOKEN, key_id: 4 }), "token_signature");
});
