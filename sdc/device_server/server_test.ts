import { assert, assertEquals } from "@std/assert";
import type { BlockDevice } from "@/sdc/block_device.ts";
import { DEVICE_LINE_BYTES_MAX } from "@/sdc/device_server/messages.ts";
import { type DeviceServer, serveDevices } from "@/sdc/device_server/server.ts";
import { BufferPool } from "@/shared/buffers.ts";
import { type Clock, systemClock } from "@/shared/clock.ts";
import type { ErrorCode } from "@/shared/errors.ts";
import type { Connection } from "@/shared/transport.ts";
import { denoTransport } from "@/shared/transport_deno.ts";
import { heldSchedule, MemoryBlockDevice } from "@/tests/support/memory_block_device.ts";

type Answer = Record<string, unknown>;

/** A client that sends objects as lines and reads answers. */
class JsonClient {
  readonly connection: Connection;
  #text = "";

  constructor(connection: Connection) {
    this.connection = connection;
  }

  async sendText(text: string): Promise<void> {
    let rest: Uint8Array = new TextEncoder().encode(text);
    while (rest.length > 0) rest = rest.subarray(await this.connection.write(rest));
  }

  send(...messages: readonly Answer[]): Promise<void> {
    return this.sendText(messages.map((message) => JSON.stringify(message) + "\n").join(""));
  }

  /** The next answer, or undefined when the server has closed. */
  async answer(): Promise<Answer | undefined> {
    const into = new Uint8Array(65_536);
    while (!this.#text.includes("\n")) {
      const count = await this.connection.read(into).catch(() => null);
      if (count === null) return undefined;
      this.#text += new TextDecoder().decode(into.subarray(0, count));
    }
    const end = this.#text.indexOf("\n");
    const line = this.#text.slice(0, end);
    this.#text = this.#text.slice(end + 1);
    return JSON.parse(line);
  }

  async ask(message: Answer): Promise<Answer | undefined> {
    await this.send(message);
    return await this.answer();
  }
}

class Rig implements AsyncDisposable {
  readonly volumes = new Map<number, BlockDevice>();
  readonly server: DeviceServer;
  readonly #port: number;
  readonly #clients: JsonClient[] = [];

  constructor(volume: BlockDevice, clock: Clock = systemClock) {
    this.volumes.set(1, volume);
    const listener = denoTransport.listen({ hostname: "127.0.0.1", port: 0 });
    this.#port = listener.port;
    this.server = serveDevices({
      listener,
      volumes: { openById: (volumeId) => this.volumes.get(volumeId) },
      clock,
      buffers: new BufferPool(),
    });
  }

  async client(): Promise<JsonClient> {
    const client = new JsonClient(await denoTransport.connect({ hostname: "127.0.0.1", port: this.#port }));
    this.#clients.push(client);
    return client;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const client of this.#clients) client.connection.close();
    await this.server.close();
  }
}

const SIZE_BYTES = 4 << 20;

function memory(options: Partial<ConstructorParameters<typeof MemoryBlockDevice>[0]> = {}): MemoryBlockDevice {
  return new MemoryBlockDevice({ name: "demo", sizeBytes: SIZE_BYTES, ...options });
}

Deno.test("serveDevices() carries a volume through a whole conversation", async () => {
  const device = memory();
  await using rig = new Rig(device);
  const client = await rig.client();
  assertEquals(await client.ask({ action: "CONNECT", volume_id: 1 }), {
    ok: true,
    volume_id: 1,
    size_bytes: SIZE_BYTES,
    volume_size_bytes: SIZE_BYTES,
    chunk_size_bytes: 1 << 20,
    access_mode: "readWrite",
    message: "Connected to volume demo",
  });
  const data = new Uint8Array(300_000).map((_, index) => index & 0xff);
  assertEquals(await client.ask({ operation: "write", offset_bytes: 77, data_b64: data.toBase64() }), {
    ok: true,
    bytes_written: 300_000,
  });
  const read = await client.ask({ command: "Read", offset_bytes: 77, length_bytes: 300_000, id: "r1" });
  assertEquals(read, {
    ok: true,
    data_b64: data.toBase64(),
    length_bytes: 300_000,
    bytes_read: 300_000,
    id: "r1",
  });
  assertEquals(await client.ask({ action: "FLUSH" }), { ok: true });
  assertEquals(await client.ask({ action: "TRIM", offset_bytes: 0, length_bytes: 1 << 20 }), {
    ok: true,
    length_bytes: 1 << 20,
  });
  assertEquals(device.bytes[100], 0);
  assertEquals([device.counts.flush, device.counts.trim], [1, 1]);
  assertEquals(await client.ask({ action: "DISCONNECT" }), { ok: true });
  assertEquals(await client.answer(), undefined);
});

Deno.test("serveDevices() answers messages that were sent ahead in their order", async () => {
  await using rig = new Rig(memory());
  const client = await rig.client();
  await client.send(
    { action: "CONNECT", volume_id: 1, id: 0 },
    { action: "WRITE", offset_bytes: 0, data_b64: "AAEC", id: 1 },
    { action: "READ", offset_bytes: 1, length_bytes: 2, id: 2 },
    { action: "READ", offset_bytes: SIZE_BYTES, length_bytes: 1, id: 3 },
    { action: "READ", offset_bytes: 0, length_bytes: 0, id: 4 },
  );
  const answers: (Answer | undefined)[] = [];
  for (let count = 0; count < 5; count++) answers.push(await client.answer());
  assertEquals(answers.map((answer) => [answer?.["id"], answer?.["ok"], answer?.["data_b64"]]), [
    [0, true, undefined],
    [1, true, undefined],
    [2, true, "AQI="],
    [3, false, undefined],
    [4, true, ""],
  ]);
});

Deno.test("serveDevices() refuses IO before CONNECT, unmapped volumes, read-only writes and failures of the volume", async () => {
  let failure: ErrorCode | undefined;
  await using rig = new Rig(memory({ failure: () => failure }));
  rig.volumes.set(2, memory({ name: "archive", readOnly: true }));
  const client = await rig.client();
  const codes: unknown[] = [];
  const ask = async (message: Answer) => {
    const answer = await client.ask(message);
    assertEquals([answer?.["ok"], typeof answer?.["error"]], [false, "string"]);
    codes.push(answer?.["code"]);
  };
  const read = { action: "READ", offset_bytes: 0, length_bytes: 1 };
  await ask(read);
  await ask({ action: "CONNECT", volume_id: 99 });
  await client.ask({ action: "CONNECT", volume_id: 2 });
  await ask({ action: "WRITE", offset_bytes: 0, data_b64: "AAEC" });
  await ask({ action: "TRIM", offset_bytes: 0, length_bytes: 1 });
  await client.ask({ action: "CONNECT", volume_id: 1 });
  failure = "pool_full";
  await ask({ action: "WRITE", offset_bytes: 0, data_b64: "AAEC" });
  failure = undefined;
  rig.volumes.delete(1);
  await ask(read);
  await client.sendText("nonsense\n");
  assertEquals((await client.answer())?.["ok"], false);
  assertEquals(codes, ["bad_request", "not_found", "read_only", "read_only", "pool_full", "not_found"]);
});

Deno.test("serveDevices() ends a connection whose line is too long, with an answer", async () => {
  await using rig = new Rig(memory());
  const client = await rig.client();
  await client.sendText("x".repeat(DEVICE_LINE_BYTES_MAX + 1));
  assertEquals((await client.answer())?.["code"], "too_large");
  assertEquals(await client.answer(), undefined);
});

Deno.test("serveDevices() closes a connection on which nothing arrives, and none that waits for the volume", async () => {
  const timers: { delayMs: number; callback: () => void; cancelled: boolean }[] = [];
  const clock: Clock = {
    ...systemClock,
    setTimer(delayMs, callback) {
      const timer = { delayMs, callback, cancelled: false };
      timers.push(timer);
      return { cancel: () => timer.cancelled = true };
    },
  };
  const { held, schedule } = heldSchedule();
  await using rig = new Rig(memory({ schedule }), clock);
  const client = await rig.client();
  await client.ask({ action: "CONNECT", volume_id: 1 });
  await client.send({ action: "FLUSH" });
  while (held.length === 0) await new Promise((resolve) => setTimeout(resolve, 1));
  assert(timers.every((timer) => timer.cancelled), "no limit runs while the volume works");
  held[0]!();
  assertEquals(await client.answer(), { ok: true });
  const last = timers.at(-1)!;
  assertEquals([last.delayMs, last.cancelled], [60_000, false]);
  last.callback();
  assertEquals(await client.answer(), undefined);
});

Deno.test("DeviceServer.close() answers the message in flight first", async () => {
  const { held, schedule } = heldSchedule();
  await using rig = new Rig(memory({ schedule }));
  const client = await rig.client();
  const idle = await rig.client();
  await client.ask({ action: "CONNECT", volume_id: 1 });
  await client.send({ action: "FLUSH", id: 1 }, { action: "FLUSH", id: 2 });
  while (held.length === 0) await new Promise((resolve) => setTimeout(resolve, 1));
  const closed = rig.server.close();
  held[0]!();
  assertEquals(await client.answer(), { ok: true, id: 1 });
  assertEquals(await client.answer(), undefined);
  assertEquals(await idle.answer(), undefined);
  await closed;
  assertEquals(rig.server.connectionCount(), 0);
});
