import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { handshakeProof } from "@/shared/auth.ts";
import { BufferPool } from "@/shared/buffers.ts";
import { StorageError } from "@/shared/errors.ts";
import { asId, type SdcId, type SdcSession, type SdsId } from "@/shared/ids.ts";
import { FrameChannel } from "@/shared/net/frame_channel.ts";
import { HANDSHAKE_MS_MAX, openAsClient, openAsServer } from "@/shared/net/handshake.ts";
import type { Connection } from "@/shared/transport.ts";
import { type HelloIdentity, identityText } from "@/shared/wire/control.ts";
import { DATA_PATH_VERSION } from "@/shared/wire/version.ts";
import { SeededRandom } from "@/tests/sim/seeded_random.ts";
import { FakeClock, settle } from "@/tests/support/fake_clock.ts";
import { MemoryTransport } from "@/tests/support/memory_transport.ts";

const SDS_ID = asId<SdsId>(3);
const KEY_HEX = "11".repeat(32);
const OTHER_KEY_HEX = "22".repeat(32);
const IDENTITY: HelloIdentity = {
  role: "sdc",
  client: { sdcId: asId<SdcId>(9), sdcSession: asId<SdcSession>(4), lane: 1 },
};
const NONCE_HEX = "ab".repeat(16);
const HELLO = {
  kind: "hello",
  version: DATA_PATH_VERSION,
  compact: true,
  clientNonceHex: NONCE_HEX,
  ...IDENTITY,
} as const;
const ADDRESS = { hostname: "sds", port: 9700 };

/** Two ends of one connection on a clock that stands still. */
class Line implements AsyncDisposable {
  readonly clock = new FakeClock();
  readonly random = new SeededRandom("handshake");
  readonly #transport = new MemoryTransport();
  readonly #listener = this.#transport.listen(ADDRESS);
  readonly #runs: Promise<void>[] = [];
  readonly #connections: Connection[] = [];

  async connect(): Promise<{ client: FrameChannel; server: FrameChannel }> {
    const [client, server] = await Promise.all([this.#transport.connect(ADDRESS), this.#listener.accept()]);
    return { client: this.#channel(client), server: this.#channel(server!) };
  }

  #channel(connection: Connection): FrameChannel {
    this.#connections.push(connection);
    const channel = new FrameChannel(connection, { buffers: new BufferPool() });
    this.#runs.push(channel.run());
    return channel;
  }

  openClient(channel: FrameChannel, options: { keyHex?: string; sdsId?: SdsId; compact?: boolean } = {}) {
    const { keyHex = KEY_HEX, sdsId = SDS_ID, compact = true } = options;
    return openAsClient(channel, { ...this, identity: IDENTITY, keyHex, serverSdsId: sdsId, compact });
  }

  openServer(channel: FrameChannel, keyOf = (_: HelloIdentity): string => KEY_HEX) {
    return openAsServer(channel, { ...this, sdsId: SDS_ID, keyOf });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const connection of this.#connections) connection.close();
    this.#listener.close();
    await Promise.all(this.#runs);
    assertEquals(this.clock.timerCount, 0, "no timer outlives a handshake");
  }
}

/** What a peer that speaks by hand has heard. */
class ByHand {
  readonly messages: Record<string, unknown>[] = [];
  closedBecause: string | undefined;

  constructor(readonly channel: FrameChannel) {
    channel.handle({
      onFrame() {},
      onMessage: (message) => this.messages.push({ ...message }),
      onBatchEnd() {},
      onClosed: (reason) => this.closedBecause = reason,
    });
  }

  async say(message: object, payload?: Uint8Array): Promise<Record<string, unknown> | undefined> {
    this.channel.sendJson(message, payload);
    await settle();
    return this.messages.at(-1);
  }
}

async function codeOf(promise: Promise<unknown>): Promise<string> {
  return (await assertRejects(() => promise, StorageError)).code;
}

Deno.test("openAsClient() and openAsServer() prove the key to each other and agree on the form of headers", async () => {
  for (const compact of [true, false]) {
    await using line = new Line();
    const { client, server } = await line.connect();
    assertEquals([client.trusted, server.trusted], [false, false]);
    const [identity] = await Promise.all([line.openServer(server), line.openClient(client, { compact })]);
    assertEquals({ role: identity.role, client: identity.client }, IDENTITY);
    assertEquals([client.trusted, server.trusted], [true, true]);
    assertEquals([client.compact, server.compact], [compact, compact]);
  }
});

Deno.test("openAsServer() refuses a client that does not hold the key, and the client an impostor, before any proof of its own", async () => {
  await using line = new Line();
  const { client, server } = await line.connect();
  const accepted = line.openServer(server);
  // The server's proof comes first: a client with another key sees an impostor and says no more.
  const [asServer, asClient] = await Promise.all([
    codeOf(accepted),
    codeOf(line.openClient(client, { keyHex: OTHER_KEY_HEX })),
  ]);
  assertEquals([asServer, asClient], ["unavailable", "unauthorized"]);
  assertEquals([client.trusted, server.trusted], [false, false]);
});

Deno.test("openAsServer() refuses a wrong proof, a replayed one and none", async () => {
  await using line = new Line();
  const proofs: string[] = [];
  for (const attempt of ["right", "wrong", "replayed", "missing", "server's own"]) {
    const { client, server } = await line.connect();
    const accepted = line.openServer(server);
    accepted.catch(() => {});
    const byHand = new ByHand(client);
    const challenge = await byHand.say(HELLO);
    assertEquals(challenge?.["kind"], "challenge");
    const facts = {
      clientNonceHex: NONCE_HEX,
      serverNonceHex: String(challenge?.["serverNonceHex"]),
      role: "sdc",
      client: identityText(IDENTITY),
      serverSdsId: SDS_ID,
    };
    const right = handshakeProof(KEY_HEX, "client", facts);
    if (attempt === "right") {
      proofs.push(right);
      assertEquals((await byHand.say({ kind: "proof", proofHex: right }))?.["kind"], "welcome");
      await accepted;
      continue;
    }
    const message = attempt === "wrong"
      ? { kind: "proof", proofHex: handshakeProof(OTHER_KEY_HEX, "client", facts) }
      : attempt === "replayed"
      ? { kind: "proof", proofHex: proofs[0]! }
      : attempt === "missing"
      ? { kind: "open_volume", requestId: 1, token: "" }
      : { kind: "proof", proofHex: String(challenge?.["proofHex"]) };
    const answer = await byHand.say(message);
    assertEquals([answer?.["kind"], answer?.["code"]], ["refused", "unauthorized"], attempt);
    assertEquals(await codeOf(accepted), "unauthorized");
    assert(server.closed && !server.trusted && byHand.closedBecause !== undefined);
  }
});

Deno.test("openAsServer() refuses another version, a wrong field, and whom its keys do not know", async () => {
  const cases = [
    {
      hello: { ...HELLO, version: DATA_PATH_VERSION + 1 },
      code: "unsupported",
      says: `it speaks version ${DATA_PATH_VERSION + 1}`,
    },
    { hello: { ...HELLO, version: 0 }, code: "unsupported", says: "it speaks version 0" },
    { hello: { ...HELLO, role: "admin" }, code: "bad_request", says: "hello is wrong at role" },
    { hello: { ...HELLO, clientNonceHex: "zz" }, code: "bad_request", says: "hello is wrong at clientNonceHex" },
    { hello: { ...HELLO, client: { ...HELLO.client, lane: -1 } }, code: "bad_request", says: "client.lane" },
    { hello: { kind: "proof", proofHex: "00".repeat(32) }, code: "bad_request", says: "hello is wrong at" },
  ];
  for (const { hello, code, says } of cases) {
    await using line = new Line();
    const { client, server } = await line.connect();
    const accepted = codeOf(line.openServer(server));
    const answer = await new ByHand(client).say(hello);
    assertEquals(answer?.["code"], code);
    assertStringIncludes(String(answer?.["message"]), says);
    assertEquals(await accepted, code);
  }
  await using line = new Line();
  const { client, server } = await line.connect();
  const fenced = line.openServer(server, () => {
    throw new StorageError("stale_lane", "lane 1 is not newer than lane 2");
  });
  assertEquals(await Promise.all([codeOf(fenced), codeOf(line.openClient(client))]), ["stale_lane", "stale_lane"]);
});

Deno.test("openAsServer() looks at nothing but hello and proof", async () => {
  const cases: { says: string; message: object; payload?: Uint8Array }[] = [
    { message: { kind: "read", requestId: 1 }, says: "the connection is not open yet" },
    { message: { ...HELLO, padding: "x".repeat(16 * 1024) }, says: "headerBytes is" },
    { message: HELLO, payload: new Uint8Array(1), says: "payloadBytes is 1" },
  ];
  for (const { message, payload, says } of cases) {
    await using line = new Line();
    const { client, server } = await line.connect();
    const accepted = assertRejects(() => line.openServer(server), StorageError, says);
    await new ByHand(client).say(message, payload);
    await accepted;
    assert(server.closed && client.closed);
  }
});

Deno.test("openAsClient() refuses an SDS other than the one it wants, and passes on a refusal's code", async () => {
  await using line = new Line();
  const other = await line.connect();
  line.openServer(other.server).catch(() => {});
  assertEquals(await codeOf(line.openClient(other.client, { sdsId: asId<SdsId>(4) })), "unauthorized");

  for (const [said, heard] of [["fenced", "fenced"], ["toString", "internal"], ["no such code", "internal"]]) {
    const { client, server } = await line.connect();
    const opened = codeOf(line.openClient(client));
    await new ByHand(server).say({ kind: "refused", requestId: 0, code: said, message: "no" });
    assertEquals(await opened, heard);
  }
  const { client, server } = await line.connect();
  const opened = codeOf(line.openClient(client));
  await new ByHand(server).say({ kind: "welcome", compact: true, queueDepth: 1, fragmentBytesMax: 1 });
  assertEquals(await opened, "bad_request", "a server that skips its proof is not believed");
});

Deno.test("openAsServer() and openAsClient() give up after the deadline, and not before", async () => {
  await using line = new Line();
  const silent = await line.connect();
  const outcomes: string[] = [];
  const note = (side: string) => (error: StorageError) => void outcomes.push(`${side} ${error.code}`);
  line.openServer(silent.server).catch(note("server"));
  new ByHand(silent.client);
  const deaf = await line.connect();
  line.openClient(deaf.client).catch(note("client"));
  new ByHand(deaf.server);
  await line.clock.advance(HANDSHAKE_MS_MAX - 1);
  assertEquals(outcomes, []);
  await line.clock.advance(1);
  assertEquals(outcomes, ["server unavailable", "client unavailable"]);
  assert(silent.server.closed && deaf.client.closed);
});

Deno.test("openAsServer() gives a slow client no more time for each message", async () => {
  await using line = new Line();
  const { client, server } = await line.connect();
  const accepted = codeOf(line.openServer(server));
  const byHand = new ByHand(client);
  await line.clock.advance(HANDSHAKE_MS_MAX - 1);
  assertEquals((await byHand.say(HELLO))?.["kind"], "challenge");
  await line.clock.advance(1);
  assertEquals(await accepted, "unavailable");
  assert(server.closed);
});

Deno.test("openAsClient() fails when the connection ends halfway", async () => {
  await using line = new Line();
  const { client, server } = await line.connect();
  const opened = codeOf(line.openClient(client));
  server.close("the process died");
  assertEquals(await opened, "unavailable");
});
