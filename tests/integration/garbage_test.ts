/**
 * Garbage, truncated and oversized frames and bodies at every listener of a running demo: only the bad connection ends, the
 * processes stay, and their memory stays flat.
 *
 * @module
 */
import { assert, assertEquals } from "@std/assert";
import { systemClock } from "@/shared/clock.ts";
import type { Address, Connection } from "@/shared/transport.ts";
import { denoTransport } from "@/shared/transport_deno.ts";
import { SeededRandom } from "@/tests/sim/seeded_random.ts";
import { DemoDirectory, type DemoState, openVolume, pidsOf } from "@/tests/support/demo_process.ts";
import { type NbdClient, optionBytes, packed } from "@/tests/support/nbd_client.ts";

/** Bad connections at each listener: the first round warms the processes up, the second must add nothing. */
const ROUNDS = { warmUp: 80, measured: 280 } as const;
/** Connections at a time. */
const CONCURRENCY = 16;
/** After so many of them a good connection is used. */
const BETWEEN = 40;
/** What a process may grow by in the second round: garbage collection, no more. */
const GROWTH_BYTES_MAX = 48 * 1024 * 1024;
/** A listener that must end a connection does so within this time. */
const END_MS_MAX = 30_000;
const NBD = { read: 0, write: 1 } as const;

/** Bytes to send, and what must come of it. */
interface Bad {
  readonly name: string;
  readonly bytes: Uint8Array;
  /** `ended`: the server ends the connection by itself. `left`: it waits for more, or answers; we go. */
  readonly outcome: "ended" | "left";
}

interface Target {
  readonly name: string;
  readonly address: Address;
  readonly bad: readonly Bad[];
}

const random = new SeededRandom("garbage");
const text = (value: string) => new TextEncoder().encode(value);

/** `byteCount` random bytes whose first is not that of anything we speak. */
function noise(byteCount: number): Uint8Array {
  const bytes = random.bytes(byteCount).slice();
  bytes[0] = 0xff;
  return bytes;
}

const HTTP_BAD: readonly Bad[] = [
  { name: "noise", bytes: noise(300), outcome: "ended" },
  { name: "no HTTP", bytes: text("HELLO there\r\n\r\n"), outcome: "ended" },
  { name: "no version", bytes: text("GET / HTTP/9.9\r\n\r\n"), outcome: "ended" },
  { name: "endless header", bytes: text(`GET / HTTP/1.1\r\nX: ${"x".repeat(1024 * 1024)}\r\n\r\n`), outcome: "ended" },
  { name: "bad length", bytes: text("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: x\r\n\r\n"), outcome: "ended" },
  { name: "cut in the request line", bytes: text("POST /vol/cre"), outcome: "left" },
  { name: "cut in a header", bytes: text("POST /vol/create HTTP/1.1\r\nHost"), outcome: "left" },
  { name: "cut in the body", bytes: httpBody("/vol/create", text('{"name":'), 1000), outcome: "left" },
  { name: "body that is not JSON", bytes: httpBody("/vol/create", text('{"name":')), outcome: "left" },
  { name: "body of noise", bytes: httpBody("/discovery/register", noise(2000)), outcome: "left" },
  { name: "deep body", bytes: httpBody("/vol/create", text("[".repeat(100_000))), outcome: "left" },
  { name: "oversized body", bytes: httpBody("/pd/create", new Uint8Array(3 * 1024 * 1024)), outcome: "left" },
  { name: "announced oversized body", bytes: httpBody("/control/revoke", text("{"), 2 ** 40), outcome: "left" },
  { name: "unsigned call", bytes: httpBody("/internal/v1/sds/heartbeat", text("{}")), outcome: "left" },
];

function httpBody(path: string, body: Uint8Array, announcedBytes = body.length): Uint8Array {
  const head =
    `POST ${path} HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\nContent-Length: ${announcedBytes}\r\n\r\n`;
  return packed(head, body);
}

function frame(header: Uint8Array, lengths: { headerBytes?: number; payloadBytes?: number } = {}): Uint8Array {
  return packed([4, lengths.headerBytes ?? header.length], [4, lengths.payloadBytes ?? 0], header);
}

const HELLO = { kind: "hello", version: 1, compact: true, role: "sdc", clientNonceHex: "ab".repeat(16) };
const CLIENT = { sdcId: 1, sdcSession: 1_000_000, lane: 0 };

const DATA_BAD: readonly Bad[] = [
  { name: "noise", bytes: noise(300), outcome: "ended" },
  { name: "empty header", bytes: frame(new Uint8Array(0)), outcome: "ended" },
  { name: "huge header", bytes: frame(text("{"), { headerBytes: 0xffff_ffff }), outcome: "ended" },
  { name: "huge payload", bytes: frame(text("{}"), { payloadBytes: 0xffff_ffff }), outcome: "ended" },
  { name: "data before trust", bytes: frame(packed([4, 0x01000000], new Uint8Array(60))), outcome: "ended" },
  { name: "unknown kind", bytes: frame(packed([4, 0x63000000], new Uint8Array(60))), outcome: "ended" },
  { name: "no JSON", bytes: frame(text("{nonsense")), outcome: "ended" },
  { name: "no hello", bytes: frame(text('{"kind":"toString"}')), outcome: "ended" },
  { name: "stale version", bytes: frame(json({ ...HELLO, version: 77, client: CLIENT })), outcome: "ended" },
  { name: "wrong client", bytes: frame(json({ ...HELLO, client: {} })), outcome: "ended" },
  {
    name: "wrong proof",
    bytes: packed(
      frame(json({ ...HELLO, client: CLIENT })),
      frame(json({ kind: "proof", proofHex: "00".repeat(32) })),
    ),
    outcome: "ended",
  },
  { name: "cut in the lengths", bytes: new Uint8Array(5), outcome: "left" },
  { name: "cut in the header", bytes: frame(text('{"kind"'), { headerBytes: 16_000 }), outcome: "left" },
  { name: "cut in the handshake", bytes: frame(json({ ...HELLO, client: CLIENT })), outcome: "left" },
];

function json(value: unknown): Uint8Array {
  return text(JSON.stringify(value));
}

const NBD_BAD: readonly Bad[] = [
  { name: "noise", bytes: noise(300), outcome: "ended" },
  { name: "no option", bytes: packed([4, 3], noise(64)), outcome: "ended" },
  { name: "huge option", bytes: packed([4, 3], "IHAVEOPT", [4, 7], [4, 0xffff_ffff]), outcome: "ended" },
  { name: "no export", bytes: packed([4, 3], optionBytes(1, text("nobody"))), outcome: "ended" },
  { name: "cut in the flags", bytes: new Uint8Array(2), outcome: "left" },
  { name: "cut in an option", bytes: packed([4, 3], "IHAVEOPT", [4, 7], [4, 100], text("de")), outcome: "left" },
];

const DEVICE_BAD: readonly Bad[] = [
  { name: "noise", bytes: packed(noise(300), "\n"), outcome: "left" },
  { name: "no JSON", bytes: text("READ 0 512\n"), outcome: "left" },
  { name: "not connected", bytes: text('{"action":"READ","offset_bytes":0,"length_bytes":512}\n'), outcome: "left" },
  { name: "out of bounds", bytes: text('{"action":"CONNECT","volume_id":99999}\n'), outcome: "left" },
  { name: "cut line", bytes: text('{"action":"WRITE","data_b64":"AAAA'), outcome: "left" },
  { name: "long cut line", bytes: new Uint8Array(1024 * 1024).fill(0x61), outcome: "left" },
];

function targetsOf(state: DemoState): Target[] {
  const http = (name: string, url: string): Target => ({ name, address: hostOf(url), bad: HTTP_BAD });
  const local = (port: number): Address => ({ hostname: "127.0.0.1", port });
  return [
    http("MDM", state.mdm.url),
    http("MGMT", state.mgmt.url),
    ...state.sds.flatMap((sds): Target[] => [
      http(`${sds.name} control`, sds.controlUrl),
      http(`${sds.name} management`, sds.mgmtUrl),
      { name: `${sds.name} data`, address: local(sds.dataPort), bad: DATA_BAD },
    ]),
    ...state.sdc.flatMap((sdc): Target[] => [
      http(`${sdc.name} control`, sdc.controlUrl),
      http(`${sdc.name} management`, sdc.mgmtUrl),
      { name: `${sdc.name} device`, address: local(sdc.devicePort), bad: DEVICE_BAD },
      { name: `${sdc.name} NBD`, address: local(sdc.nbdPort), bad: NBD_BAD },
      { name: `${sdc.name} NBD socket`, address: { path: sdc.nbdSocket }, bad: NBD_BAD },
    ]),
  ];
}

function hostOf(url: string): Address {
  const { hostname, port } = new URL(url);
  return { hostname, port: Number(port) };
}

/** Sends one bad stream. @throws {Error} when the server keeps a connection that it must end. */
async function offend(target: Target, bad: Bad): Promise<void> {
  const connection = await denoTransport.connect(target.address);
  try {
    // A server that has seen enough may end the connection before all is sent.
    let rest = bad.bytes;
    try {
      while (rest.length > 0) rest = rest.subarray(await connection.write(rest));
    } catch {
      return;
    }
    if (bad.outcome === "ended") await ended(connection, `${target.name}: ${bad.name}`);
  } finally {
    connection.close();
  }
}

async function ended(connection: Connection, what: string): Promise<void> {
  let late = false;
  const timer = systemClock.setTimer(END_MS_MAX, () => {
    late = true;
    connection.close();
  });
  const into = new Uint8Array(4096);
  try {
    while (await connection.read(into) !== null);
  } catch {
    // A reset ends it too.
  } finally {
    timer.cancel();
  }
  assert(!late, `${what}: the connection was not ended within ${END_MS_MAX} ms`);
}

/** `count` bad connections at each target, with `between` after each {@linkcode BETWEEN} of all; how many they were. */
async function storm(
  targets: readonly Target[],
  options: { readonly count: number; between(): Promise<void> },
): Promise<number> {
  const jobs = Array.from({ length: options.count }, (_, index) => targets.map((target) => ({ target, index }))).flat();
  const total = jobs.length;
  const worker = async () => {
    for (let job = jobs.pop(); job !== undefined; job = jobs.pop()) {
      const { target, index } = job;
      if (jobs.length % BETWEEN === 0) await options.between();
      await offend(target, target.bad[index % target.bad.length]!);
    }
  };
  await Promise.all(Array.from({ length: CONCURRENCY }, worker));
  return total;
}

function residentBytes(pid: number): number {
  const line = /^VmRSS:\s+(\d+) kB$/m.exec(Deno.readTextFileSync(`/proc/${pid}/status`));
  assert(line !== null, `process ${pid} runs`);
  return Number(line[1]) * 1024;
}

/** One NBD connection whose every request must go well. */
class GoodNeighbour {
  readonly #client: NbdClient;
  #turn: Promise<void> = Promise.resolve();
  #count = 0;

  constructor(client: NbdClient) {
    this.#client = client;
  }

  /** Writes and reads back, after whoever asked before. */
  readonly use = (): Promise<void> => this.#turn = this.#turn.then(() => this.#use());

  close(): void {
    this.#client.connection.close();
  }

  async #use(): Promise<void> {
    const offsetBytes = 512 * ++this.#count;
    const data = new Uint8Array(8192).fill(this.#count);
    await this.#client.request({ type: NBD.write, offsetBytes }, data);
    assertEquals((await this.#client.reply()).errno, 0);
    await this.#client.request({ type: NBD.read, offsetBytes, lengthBytes: data.length });
    const reply = await this.#client.reply(data.length);
    assertEquals([reply.errno, reply.data], [0, data]);
  }
}

Deno.test("scenario: thousands of bad connections at every listener end alone, and cost no memory", async () => {
  await using directory = new DemoDirectory("--volume-size", "64MiB");
  const demo = await directory.start();
  const state = demo.state()!;
  const targets = targetsOf(state);
  const good = new GoodNeighbour(await openVolume(state));
  try {
    await storm(targets, { count: ROUNDS.warmUp, between: good.use });
    const pids = pidsOf(state);
    const before = pids.map(residentBytes);
    const count = await storm(targets, { count: ROUNDS.measured, between: good.use });
    assert(count > 3_000, `${count} bad connections`);
    const grownBytes = pids.map((pid, index) => residentBytes(pid) - before[index]!);
    for (const bytes of grownBytes) assert(bytes <= GROWTH_BYTES_MAX, `growth in bytes: ${grownBytes}`);
    assertEquals(pidsOf(demo.state()!), pids, "nobody had to be started again");
    await good.use();
  } finally {
    good.close();
  }
  for (const { address, bad } of targets) {
    if (bad !== HTTP_BAD || "path" in address) continue;
    const response = await fetch(`http://${address.hostname}:${address.port}/health`);
    await response.body?.cancel();
    assert(response.status < 500, `${address.port} answers ${response.status}`);
  }
});
