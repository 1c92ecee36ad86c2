import { assert, assertEquals } from "@std/assert";
import {
  equalText,
  handshakeProof,
  linkKeyHex,
  openToken,
  type SessionToken,
  signToken,
  ticketKeyHex,
  TOKEN_TEXT_MAX,
} from "@/shared/auth.ts";
import {
  asId,
  type NodeId,
  type SdcId,
  type SdcSession,
  type SdsId,
  type VolumeId,
  type VtreeId,
} from "@/shared/ids.ts";

const KEY = { keyId: 1, keyHex: "0b".repeat(32) };
const KEYS = new Map([[1, KEY]]);
const TOKEN: SessionToken = {
  id: "11111111-1111-4111-8111-111111111111",
  kind: "session",
  keyId: 1,
  volumeId: asId<VolumeId>(1),
  vtreeId: asId<VtreeId>(1),
  nodeId: asId<NodeId>(1),
  mode: "readWrite",
  sizeBytes: 4096,
  sdcId: asId<SdcId>(1),
  sdcSession: asId<SdcSession>(2),
  mappingGeneration: 3,
  issuedAtMs: 1_000,
  expiresAtMs: 61_000,
};
const refusal = (text: string, keys = KEYS) => {
  const opened = openToken(text, keys);
  return opened.kind === "refused" ? opened.code : "ok";
};

Deno.test("openToken() gives back what signToken() signed; the text is pinned", () => {
  const text = signToken(TOKEN, KEY);
  assertEquals(openToken(text, KEYS), { kind: "ok", token: TOKEN });
  assert(
    text.startsWith("pf1.eyJpZCI6") &&
      text.endsWith(".7efa5c73d184ee53f8e2d8adcf37767a8b1ecacd408564fdf13b418ccfa9b47b"),
  );
});

Deno.test("openToken() refuses a flipped bit at every place", () => {
  const text = signToken(TOKEN, KEY);
  for (let index = 0; index < text.length; index++) {
    for (const bit of [1, 2, 4]) {
      const flipped = text.slice(0, index) + String.fromCharCode(text.charCodeAt(index) ^ bit) + text.slice(index + 1);
      assert(["token_malformed", "token_signature"].includes(refusal(flipped)), `bit ${bit} of character ${index}`);
    }
  }
});

Deno.test("openToken() says malformed for what is no token and signature for what was not signed by a valid key", () => {
  for (const text of ["", "pf1", "pf1.a", "pf2.a.b", "pf1.a.b.c", "x".repeat(TOKEN_TEXT_MAX + 1)]) {
    assertEquals(refusal(text), "token_malformed", text.slice(0, 20));
  }
  const text = signToken(TOKEN, KEY);
  assertEquals(refusal(text, new Map()), "token_signature");
  assertEquals(refusal(text, new Map([[1, { keyId: 1, keyHex: "0c".repeat(32) }]])), "token_signature");
  assertEquals(refusal(`pf1.${Buffer.from("{}").toString("base64url")}.${"0".repeat(64)}`), "token_signature");
});

Deno.test("derived keys are pinned and differ by whom they are for", () => {
  const client = { sdcId: asId<SdcId>(1), sdcSession: asId<SdcSession>(2) };
  const ticket = ticketKeyHex(KEY.keyHex, client);
  assertEquals(ticket, "1e339d97558e2eb35724e85198eb226d3b53d875663fdd11d5bb0567f8796dfd");
  assertEquals(
    linkKeyHex(KEY.keyHex, asId<SdsId>(3)),
    "994b30bb86bfddc5677a93a7fd4c42b7408b8c7d364bb97985f0aad15c2be3a7",
  );
  assert(ticket !== ticketKeyHex(KEY.keyHex, { ...client, sdcSession: asId<SdcSession>(3) }));
});

Deno.test("handshakeProof() is pinned and covers every fact", () => {
  const facts = {
    clientNonceHex: "aa",
    serverNonceHex: "bb",
    role: "sdc",
    client: "sdc|1|2",
    serverSdsId: asId<SdsId>(4),
  };
  const proof = handshakeProof(KEY.keyHex, "client", facts);
  assertEquals(proof, "b7d39eafb45886374f9bd20a10c7e6750432488cbddc9f0b2bbd424034d9c031");
  const others = [
    handshakeProof(KEY.keyHex, "server", facts),
    handshakeProof("0c".repeat(32), "client", facts),
    ...[{ clientNonceHex: "ab" }, { serverNonceHex: "bc" }, { role: "link" }, { client: "sdc|1|3" }, {
      serverSdsId: asId<SdsId>(5),
    }]
      .map((change) => handshakeProof(KEY.keyHex, "client", { ...facts, ...change })),
  ];
  assertEquals(new Set([proof, ...others]).size, others.length + 1);
});

Deno.test("equalText() compares whole texts", () => {
  assertEquals([equalText("ab", "ab"), equalText("ab", "ac"), equalText("ab", "abc"), equalText("", "")], [
    true,
    false,
    false,
    true,
  ]);
});
