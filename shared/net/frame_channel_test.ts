import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { BufferPool } from "@/shared/buffers.ts";
import { FrameChannel } from "@/shared/net/frame_channel.ts";
import type { Connection } from "@/shared/transport.ts";
import {
  COMPACT_HEADER_BYTES,
  decodeCompactHeader,
  encodeCompactHeader,
  FRAME_KINDS,
  FRAME_PAYLOAD_BYTES_MAX,
  FRAME_PREFIX_BYTES,
  HANDSHAKE_HEADER_BYTES_MAX,
  type HeaderValues,
  JSON_HEADER_BYTES_MAX,
} from "@/shared/wire/header.ts";

const encoder = new TextEncoder();

/** A connection whose reads give the pieces in turn, then the end; writes are kept. */
class ScriptedConnection implements Connection {
  readonly peer = "scripted";
  readonly written: number[] = [];
  readonly #pieces: Uint8Array[];
  #closed = false;

  constructor(pieces: readonly Uint8Array[]) {
    this.#pieces = [...pieces];
  }

  read(into: Uint8Array): Promise<number | null> {
    if (this.#closed) return Promise.reject(new Error("closed"));
    const piece = this.#pieces[0];
    if (piece === undefined) return Promise.resolve(null);
    const count = Math.min(piece.length, into.length);
    assert(count > 0, "the channel leaves room for what it reads");
    into.set(piece.subarray(0, count));
    if (count === piece.length) this.#pieces.shift();
    else this.#pieces[0] = piece.subarray(count);
    return Promise.resolve(count);
  }

  write(bytes: Uint8Array): Promise<number> {
    this.written.push(...bytes);
    return Promise.resolve(bytes.length);
  }

  close(): void {
    this.#closed = true;
  }
}

function frame(header: Uint8Array, payload: Uint8Array = new Uint8Array(0)): Uint8Array {
  const bytes = new Uint8Array(FRAME_PREFIX_BYTES + header.length + payload.length);
  new DataView(bytes.buffer).setUint32(0, header.length);
  new DataView(bytes.buffer).setUint32(4, payload.length);
  bytes.set(header, FRAME_PREFIX_BYTES);
  bytes.set(payload, FRAME_PREFIX_BYTES + header.length);
  return bytes;
}

function compact(values: HeaderValues, payload?: Uint8Array): Uint8Array {
  const header = new DataView(new ArrayBuffer(COMPACT_HEADER_BYTES));
  encodeCompactHeader(header, 0, values);
  return frame(new Uint8Array(header.buffer), payload);
}

function json(message: object, payload?: Uint8Array): Uint8Array {
  return frame(encoder.encode(JSON.stringify(message)), payload);
}

/** Only the two lengths, which say what would come. */
function lengths(headerBytes: number, payloadBytes: number): Uint8Array {
  const bytes = new Uint8Array(FRAME_PREFIX_BYTES);
  new DataView(bytes.buffer).setUint32(0, headerBytes);
  new DataView(bytes.buffer).setUint32(4, payloadBytes);
  return bytes;
}

function joined(...parts: readonly Uint8Array[]): Uint8Array {
  return Uint8Array.from(parts.flatMap((part) => [...part]));
}

interface Heard {
  /** Headers with the payload as text, and messages, in order. */
  readonly events: unknown[];
  batches: number;
  closedBecause: string | undefined;
}

/** Runs a channel over the pieces until it ends. */
async function hear(
  pieces: readonly Uint8Array[],
  options: { trusted?: boolean; buffers?: BufferPool } = {},
): Promise<Heard> {
  const heard: Heard = { events: [], batches: 0, closedBecause: undefined };
  const channel = new FrameChannel(new ScriptedConnection(pieces), { buffers: options.buffers ?? new BufferPool() });
  channel.trusted = options.trusted ?? true;
  channel.handle({
    onFrame({ header, headerAt, bytes, payloadAt, payloadBytes }) {
      const payload = new TextDecoder().decode(bytes.subarray(payloadAt, payloadAt + payloadBytes));
      heard.events.push({ header: decodeCompactHeader(header, headerAt), payload });
    },
    onMessage: (message) => heard.events.push(message),
    onBatchEnd: () => heard.batches++,
    onClosed(reason) {
      assertEquals(heard.closedBecause, undefined, "the handler hears of the end once");
      heard.closedBecause = reason;
    },
  });
  await channel.run();
  assert(channel.closed);
  return heard;
}

const READ = {
  kind: "read",
  flags: 0,
  requestId: 7,
  handle: 1,
  pgId: 2,
  epoch: 3,
  nodeId: 4,
  chunkIndex: 5,
  offsetBytes: 4096,
  lengthBytes: 512,
  traceId: 0,
} as const;
const FLUSH = { kind: "flush", requestId: 8, handle: 1, traceId: 0 } as const;
const STREAM = joined(compact(READ), json({ kind: "open_volume", n: 1 }), compact(FLUSH, encoder.encode("groups")));
const STREAM_EVENTS = [
  { header: READ, payload: "" },
  { kind: "open_volume", n: 1 },
  { header: FLUSH, payload: "groups" },
];
const PEER_CLOSED = "the peer closed the connection";

Deno.test("FrameChannel hands over the same frames wherever the stream is cut in two", async () => {
  for (let cut = 1; cut < STREAM.length; cut++) {
    const { events, closedBecause } = await hear([STREAM.subarray(0, cut), STREAM.subarray(cut)]);
    assertEquals(events, STREAM_EVENTS, `cut at ${cut}`);
    assertEquals(closedBecause, PEER_CLOSED);
  }
});

Deno.test("FrameChannel hands over frames that come byte by byte", async () => {
  const { events } = await hear([...STREAM].map((byte) => Uint8Array.of(byte)));
  assertEquals(events, STREAM_EVENTS);
});

Deno.test("FrameChannel hands over all frames of one read before it ends the batch", async () => {
  const many = Array.from({ length: 1000 }, (_, requestId) => compact({ ...FLUSH, requestId }));
  const { events, batches } = await hear([joined(...many)]);
  assertEquals(events, many.map((_, requestId) => ({ header: { ...FLUSH, requestId }, payload: "" })));
  assertEquals(batches, 1);
});

Deno.test("FrameChannel takes the largest header and the largest payload, and gives all memory back", async () => {
  const buffers = new BufferPool();
  const text = "x".repeat(JSON_HEADER_BYTES_MAX - JSON.stringify({ kind: "hello", text: "" }).length);
  const payload = new Uint8Array(FRAME_PAYLOAD_BYTES_MAX).fill(0x61);
  const bytes = Buffer.concat([
    json({ kind: "hello", text }),
    compact(FLUSH, payload),
    json({ ...FLUSH, requestId: 9 }, payload),
  ]);
  const { events, closedBecause } = await hear([bytes], { buffers });
  assertEquals(closedBecause, PEER_CLOSED);
  const payloadText = "a".repeat(FRAME_PAYLOAD_BYTES_MAX);
  const [hello, ...rest] = events;
  assert((hello as { text: string }).text === text, "the header arrives whole");
  assertEquals(rest, [
    { header: FLUSH, payload: payloadText },
    { header: { ...FLUSH, requestId: 9 }, payload: payloadText },
  ]);
  // One buffer for all that is larger than a receive buffer: twice the header at most.
  assert(buffers.idleBytes > 0 && buffers.idleBytes <= 10 * 1024 * 1024, `${buffers.idleBytes} bytes`);
});

Deno.test("FrameChannel judges lengths before it makes room for what they announce", async () => {
  const cases = [
    { headerBytes: 0, payloadBytes: 0, problem: "headerBytes is 0" },
    { headerBytes: 1, payloadBytes: 0, problem: "headerBytes is 1" },
    { headerBytes: JSON_HEADER_BYTES_MAX + 1, payloadBytes: 0, problem: `headerBytes is ${JSON_HEADER_BYTES_MAX + 1}` },
    { headerBytes: 0xffff_ffff, payloadBytes: 0xffff_ffff, problem: "headerBytes is 4294967295" },
    { headerBytes: 64, payloadBytes: FRAME_PAYLOAD_BYTES_MAX + 1, problem: "payloadBytes is 131073" },
    { headerBytes: 64, payloadBytes: 0xffff_ffff, problem: "payloadBytes is 4294967295" },
  ];
  for (const { headerBytes, payloadBytes, problem } of cases) {
    const buffers = new BufferPool();
    const heard = await hear([joined(compact(FLUSH), lengths(headerBytes, payloadBytes))], { buffers });
    assertEquals(heard.events.length, 1, "the good frame before it was served");
    assertStringIncludes(heard.closedBecause!, problem);
    assertEquals(buffers.idleBytes, 512 * 1024, "one receive buffer is all that was ever taken");
  }
});

Deno.test("FrameChannel takes small headers and no payloads until the connection is trusted", async () => {
  const cases = [
    { bytes: lengths(HANDSHAKE_HEADER_BYTES_MAX + 1, 0), problem: "headerBytes is 16385, not 2 to 16384" },
    { bytes: json({ kind: "hello" }, encoder.encode("x")), problem: "payloadBytes is 1, at most 0" },
    { bytes: compact(READ), problem: "a compact header of kind 1" },
    { bytes: json(READ), problem: "Cannot take read: the connection is not open yet" },
  ];
  for (const { bytes, problem } of cases) {
    const { events, closedBecause } = await hear([bytes], { trusted: false });
    assertEquals(events, []);
    assertStringIncludes(closedBecause!, problem);
  }
  const { events } = await hear([json({ kind: "hello" })], { trusted: false });
  assertEquals(events, [{ kind: "hello" }]);
});

Deno.test("FrameChannel names what is wrong with a header", async () => {
  const unknown = new Uint8Array(COMPACT_HEADER_BYTES).fill(0);
  unknown[0] = 99;
  const short = new Uint8Array(63);
  short[0] = FRAME_KINDS.read;
  const cases = [
    { bytes: frame(unknown), problem: "kind 99 and 64 bytes" },
    { bytes: frame(short), problem: "kind 1 and 63 bytes" },
    { bytes: frame(encoder.encode('{"kind":')), problem: "begins with { and is not JSON" },
    { bytes: frame(Uint8Array.of(0x7b, 0xff, 0xfe, 0x7d)), problem: "begins with { and is not JSON" },
    { bytes: json({ ...READ, epoch: -1 }), problem: "epoch is -1" },
    { bytes: json({ ...READ, lengthBytes: "512" }), problem: 'lengthBytes is "512"' },
  ];
  for (const { bytes, problem } of cases) {
    const { events, closedBecause } = await hear([joined(bytes, compact(FLUSH))]);
    assertEquals(events, [], "nothing behind a bad frame is looked at");
    assertStringIncludes(closedBecause!, problem);
  }
});

Deno.test("FrameChannel gives a message of no known kind to its handler, whatever its kind is called", async () => {
  const messages = [{ kind: "toString" }, { kind: 7 }, {}, { kind: null }];
  assertEquals((await hear([joined(...messages.map((message) => json(message)))])).events, messages);
});

Deno.test("FrameChannel ends on any random bytes without keeping memory", async () => {
  const buffers = new BufferPool();
  let state = 1;
  for (let round = 0; round < 300; round++) {
    const garbage = Uint8Array.from({ length: 200 }, () => (state = (state * 1103515245 + 12345) % 2 ** 31) >> 16);
    const { closedBecause } = await hear([garbage], { trusted: round % 2 === 0, buffers });
    assert(closedBecause !== undefined);
    assertEquals(buffers.idleBytes, 512 * 1024);
  }
});

Deno.test("FrameChannel closes quietly on a frame that is cut short", async () => {
  for (let length = 1; length < STREAM.length; length++) {
    const { closedBecause } = await hear([STREAM.subarray(0, length)]);
    assertEquals(closedBecause, PEER_CLOSED);
  }
});

Deno.test("FrameChannel hands nothing over after its handler has closed it", async () => {
  const channel = new FrameChannel(new ScriptedConnection([STREAM, STREAM]), { buffers: new BufferPool() });
  channel.trusted = true;
  let frameCount = 0;
  let closedBecause = "";
  channel.handle({
    onFrame() {
      frameCount++;
      channel.close("enough");
    },
    onMessage() {
      frameCount++;
    },
    onBatchEnd() {},
    onClosed: (reason) => closedBecause = reason,
  });
  await channel.run();
  assertEquals([frameCount, closedBecause], [1, "enough"]);
});

Deno.test("beginFrame() and sendJson() write what a channel reads", async () => {
  const connection = new ScriptedConnection([]);
  const sender = new FrameChannel(connection, { buffers: new BufferPool() });
  // The buffer is used twice, so that what a frame leaves unset would show.
  for (let round = 0; round < 2; round++) {
    const payload = encoder.encode("data");
    const at = sender.beginFrame(FRAME_KINDS.read_answer, { requestId: 3 + round, payloadBytes: payload.length });
    sender.send.view.setUint32(at + 32, payload.length);
    sender.send.bytes.set(payload, at + COMPACT_HEADER_BYTES);
    sender.sendJson({ kind: "flush_answer", requestId: 5 }, payload);
    await sender.send.drained();
  }
  sender.close("done");
  sender.sendJson({ kind: "nobody reads this" });
  await sender.run();
  const { events } = await hear([Uint8Array.from(connection.written)]);
  assertEquals(
    events,
    [3, 4].flatMap((requestId) => [
      { header: { kind: "read_answer", requestId, lengthBytes: 4 }, payload: "data" },
      { header: { kind: "flush_answer", requestId: 5 }, payload: "data" },
    ]),
  );
});
