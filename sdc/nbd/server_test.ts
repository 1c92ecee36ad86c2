import { assert, assertEquals } from "@std/assert";
import type { BlockDevice } from "@/sdc/block_device.ts";
import type { NbdLimits } from "@/sdc/nbd/limits.ts";
import { COMMAND, COMMAND_FLAG, ERRNO } from "@/sdc/nbd/protocol.ts";
import { type NbdServer, serveNbd } from "@/sdc/nbd/server.ts";
import { BufferPool } from "@/shared/buffers.ts";
import { type Clock, systemClock } from "@/shared/clock.ts";
import type { ErrorCode } from "@/shared/errors.ts";
import { denoTransport } from "@/shared/transport_deno.ts";
import { heldSchedule, MemoryBlockDevice } from "@/tests/support/memory_block_device.ts";
import { NbdClient, packed, requestBytes } from "@/tests/support/nbd_client.ts";

const SIZE_BYTES = 4 << 20;

/** A server on a loopback port, and clients of it that are closed with it. */
class Rig implements AsyncDisposable {
  readonly server: NbdServer;
  readonly reports: string[] = [];
  readonly #port: number;
  readonly #clients: NbdClient[] = [];

  constructor(devices: readonly BlockDevice[], more: { limits?: Partial<NbdLimits>; clock?: Clock } = {}) {
    const listener = denoTransport.listen({ hostname: "127.0.0.1", port: 0 });
    this.#port = listener.port;
    this.server = serveNbd({
      listeners: [listener],
      exports: {
        list: () => devices.map((device) => device.name),
        open: (name) => devices.find((device) => device.name === name),
      },
      clock: more.clock ?? systemClock,
      buffers: new BufferPool(),
      report: (message) => this.reports.push(message),
      ...(more.limits && { limits: more.limits }),
    });
  }

  async client(): Promise<NbdClient> {
    const client = new NbdClient(await denoTransport.connect({ hostname: "127.0.0.1", port: this.#port }));
    this.#clients.push(client);
    return client;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const client of this.#clients) client.connection.close();
    await this.server.close();
  }
}

function memory(options: Partial<ConstructorParameters<typeof MemoryBlockDevice>[0]> = {}): MemoryBlockDevice {
  return new MemoryBlockDevice({ name: "demo", sizeBytes: SIZE_BYTES, ...options });
}

/** `byteCount` bytes that differ from their neighbours. */
function pattern(byteCount: number): Uint8Array {
  return new Uint8Array(byteCount).map((_, index) => (index * 7 + (index >> 8)) & 0xff);
}

/** Lets the server see what has arrived. */
async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 1));
}

Deno.test("serveNbd() reads back what was written, small and large, with simple and with structured replies", async (t) => {
  for (const structured of [false, true]) {
    await t.step(structured ? "structured" : "simple", async () => {
      await using rig = new Rig([memory()]);
      const client = await rig.client();
      await client.go("demo", { structured });
      for (const lengthBytes of [1, 4096, 65_536, 65_537, 1 << 20]) {
        const data = pattern(lengthBytes);
        await client.request({ type: COMMAND.write, cookie: 1, offsetBytes: 123 }, data);
        assertEquals(await client.reply(), {
          structured: false,
          cookie: 1,
          errno: 0,
          chunk: undefined,
          data: new Uint8Array(0),
        });
        await client.request({ type: COMMAND.read, cookie: 2, offsetBytes: 123, lengthBytes });
        const reply = await client.reply(lengthBytes);
        assertEquals([reply.structured, reply.chunk, reply.cookie], [structured, structured ? 1 : undefined, 2]);
        assertEquals(reply.data, data);
      }
      assertEquals(rig.server.totals.writeCount, 5);
      assertEquals(rig.server.totals.readBytes, rig.server.totals.writtenBytes);
    });
  }
});

Deno.test("serveNbd() carries out flush, trim, write zeroes and cache, with FUA where it has a meaning", async () => {
  const device = memory();
  device.bytes.fill(9);
  await using rig = new Rig([device]);
  const client = await rig.client();
  await client.go("demo");
  const { fua, noHole } = COMMAND_FLAG;
  const requests = [
    { type: COMMAND.flush, flags: fua },
    { type: COMMAND.cache, lengthBytes: 4096, flags: fua },
    { type: COMMAND.trim, lengthBytes: 4096, flags: fua },
    { type: COMMAND.writeZeroes, offsetBytes: 8192, lengthBytes: 4096, flags: fua | noHole },
    { type: COMMAND.read, lengthBytes: 0 },
    { type: COMMAND.trim, lengthBytes: 0 },
  ];
  for (const request of requests) {
    await client.request(request);
    assertEquals((await client.reply()).errno, 0);
  }
  assertEquals(device.counts, { read: 0, write: 0, flush: 1, trim: 1, write_zeroes: 1, cache: 1, fua: 2 });
  assertEquals([device.bytes[4095], device.bytes[4096], device.bytes[8192]], [0, 9, 0]);
});

Deno.test("serveNbd() refuses a fast zero that the device cannot do by metadata", async () => {
  const fast = { type: COMMAND.writeZeroes, flags: COMMAND_FLAG.fastZero };
  const device = memory({ tellsFastZeroes: true });
  device.bytes.fill(9);
  await using rig = new Rig([device]);
  const client = await rig.client();
  await client.go("demo");
  await client.request({ ...fast, offsetBytes: 1, lengthBytes: 4096 });
  assertEquals((await client.reply()).errno, ERRNO.ENOTSUP);
  assertEquals(device.bytes[1], 9);
  await client.request({ ...fast, lengthBytes: 4096 });
  assertEquals((await client.reply()).errno, 0);
  assertEquals(device.bytes[1], 0);
});

Deno.test("serveNbd() describes extents with BLOCK_STATUS", async () => {
  const device = memory();
  await using rig = new Rig([device]);
  const client = await rig.client();
  await client.go("demo", { allocation: true });
  await client.request({ type: COMMAND.write, offsetBytes: 8192 }, pattern(4096));
  await client.reply();
  const status = async (flags: number) => {
    await client.request({ type: COMMAND.blockStatus, flags, lengthBytes: 16_384 });
    return (await client.reply()).data;
  };
  assertEquals(await status(0), packed([4, 1], [4, 8192], [4, 3], [4, 4096], [4, 0], [4, 4096], [4, 3]));
  assertEquals(await status(COMMAND_FLAG.reqOne), packed([4, 1], [4, 8192], [4, 3]));
});

Deno.test("serveNbd() answers errors with their number, in a chunk with a message when structured replies are agreed", async () => {
  let failure: ErrorCode | undefined;
  const device = memory({ failure: () => failure });
  await using rig = new Rig([device]);
  const simple = await rig.client();
  await simple.go("demo");
  const structured = await rig.client();
  await structured.go("demo", { allocation: true });
  failure = "pool_full";
  await simple.request({ type: COMMAND.write, cookie: 5 }, pattern(10));
  assertEquals((await simple.reply()).errno, ERRNO.ENOSPC);
  failure = "io_error";
  for (const type of [COMMAND.read, COMMAND.blockStatus, COMMAND.flush]) {
    await structured.request({ type, cookie: 6, lengthBytes: type === COMMAND.flush ? 0 : 100_000 });
    const reply = await structured.reply();
    assertEquals([reply.chunk, reply.cookie, reply.errno], [0x8001, 6, ERRNO.EIO]);
    assert(new TextDecoder().decode(reply.data.subarray(6)).endsWith("failed: io_error"));
  }
  await simple.request({ type: 999 });
  assertEquals((await simple.reply()).errno, ERRNO.EINVAL);
  failure = undefined;
  await simple.request({ type: COMMAND.write, offsetBytes: SIZE_BYTES - 1 }, pattern(2));
  assertEquals((await simple.reply()).errno, ERRNO.ENOSPC);
  await simple.request({ type: COMMAND.read, cookie: 8, lengthBytes: 1 });
  assertEquals((await simple.reply(1)).cookie, 8, "the payload of the refused write was skipped");
  assertEquals(rig.server.totals.errorCount, 6);
});

Deno.test("serveNbd() refuses changes of a read-only export", async () => {
  await using rig = new Rig([memory({ readOnly: true })]);
  const client = await rig.client();
  await client.go("demo");
  await client.request({ type: COMMAND.write }, pattern(100_000));
  assertEquals((await client.reply()).errno, ERRNO.EPERM);
  await client.request({ type: COMMAND.read, lengthBytes: 4 });
  assertEquals((await client.reply(4)).data, new Uint8Array(4));
});

Deno.test("serveNbd() answers in the order in which the device completes", async () => {
  const { held, schedule } = heldSchedule();
  await using rig = new Rig([memory({ schedule })]);
  const client = await rig.client();
  await client.go("demo");
  await client.send(...[1, 2, 3].map((cookie) => requestBytes({ type: COMMAND.read, cookie, lengthBytes: 512 })));
  await until(() => held.length === 3);
  for (const index of [2, 0, 1]) held[index]!();
  const cookies: number[] = [];
  for (let count = 0; count < 3; count++) cookies.push((await client.reply(512)).cookie);
  assertEquals(cookies, [3, 1, 2]);
});

Deno.test("serveNbd() takes no more requests of a connection than its limits, and goes on when there is room", async (t) => {
  for (
    const [name, limits] of [
      ["requests", { requestsInFlightMax: 4 }],
      ["bytes", { bytesInFlightMax: 4 * 70_000 }],
    ] as const
  ) {
    await t.step(name, async () => {
      const { held, schedule } = heldSchedule();
      await using rig = new Rig([memory({ schedule })], { limits });
      const client = await rig.client();
      await client.go("demo");
      const lengthBytes = 70_000;
      const cookies = Array.from({ length: 10 }, (_, index) => index);
      await client.send(...cookies.map((cookie) => requestBytes({ type: COMMAND.read, cookie, lengthBytes })));
      const received: number[] = [];
      while (received.length < 10) {
        await until(() => held.length > 0);
        assert(rig.server.connections()[0]!.inFlightCount <= 4);
        held.shift()!();
        received.push((await client.reply(lengthBytes)).cookie);
      }
      assertEquals(received, cookies);
    });
  }
});

Deno.test("serveNbd() ends only the connection that breaks the protocol", async (t) => {
  await using rig = new Rig([memory()]);
  const good = await rig.client();
  await good.go("demo");
  const stillServed = async () => {
    await good.request({ type: COMMAND.read, lengthBytes: 4 });
    assertEquals((await good.reply(4)).errno, 0);
  };
  const broken: [name: string, bytes: Uint8Array, inTransmission: boolean][] = [
    ["wrong magic of a request", new Uint8Array(28), true],
    ["write of 32 MiB and a byte", requestBytes({ type: COMMAND.write, lengthBytes: (32 << 20) + 1 }), true],
    ["write of 4 GiB", requestBytes({ type: COMMAND.write, lengthBytes: 0xffffffff }), true],
    ["unknown client flags", packed([4, 7]), false],
    ["wrong magic of an option", packed([4, 3], [8, 1n], [4, 7], [4, 0]), false],
    ["unknown export by EXPORT_NAME", packed([4, 3], "IHAVEOPT", [4, 1], [4, 2], "no"), false],
    ["GO without fixed newstyle", packed([4, 0], "IHAVEOPT", [4, 7], [4, 0]), false],
  ];
  for (const [name, bytes, inTransmission] of broken) {
    await t.step(name, async () => {
      const client = await rig.client();
      if (inTransmission) await client.go("demo");
      else await client.receive(18);
      await client.send(bytes);
      assert(await client.closedByServer());
      await stillServed();
    });
  }
  await t.step("option of 4 GiB: refused, then closed", async () => {
    const client = await rig.client();
    await client.hello();
    await client.send(packed("IHAVEOPT", [4, 7], [4, 0xffffffff]));
    const header = new DataView((await client.receive(20)).buffer);
    assertEquals(header.getUint32(12), 0x80000009);
    await client.receive(header.getUint32(16));
    assert(await client.closedByServer());
    await stillServed();
  });
});

Deno.test("serveNbd() answers what is in flight before it closes after DISC", async () => {
  const { held, schedule } = heldSchedule();
  await using rig = new Rig([memory({ schedule })]);
  const client = await rig.client();
  await client.go("demo");
  await client.send(
    requestBytes({ type: COMMAND.read, cookie: 1, lengthBytes: 100_000 }),
    requestBytes({ type: COMMAND.disconnect }),
  );
  await until(() => held.length === 1);
  held[0]!();
  assertEquals((await client.reply(100_000)).cookie, 1);
  assert(await client.closedByServer());
});

Deno.test("serveNbd() finishes requests of a client that vanished before it lets its connection go", async () => {
  const { held, schedule } = heldSchedule();
  await using rig = new Rig([memory({ schedule })]);
  const client = await rig.client();
  await client.go("demo");
  await client.request({ type: COMMAND.write, lengthBytes: 4096 }, pattern(4096));
  await client.send(requestBytes({ type: COMMAND.write, lengthBytes: 8192 }), pattern(10));
  await until(() => held.length === 1);
  client.connection.close();
  await until(() => rig.server.connections()[0]?.inFlightCount === 1);
  held[0]!();
  await until(() => rig.server.connections().length === 0);
});

Deno.test("NbdServer.close() answers what is in flight and refuses what comes meanwhile", async () => {
  const { held, schedule } = heldSchedule();
  await using rig = new Rig([memory({ schedule })]);
  const client = await rig.client();
  await client.go("demo");
  await client.request({ type: COMMAND.flush, cookie: 1 });
  await until(() => held.length === 1);
  const closed = rig.server.close();
  await client.request({ type: COMMAND.flush, cookie: 2 });
  const refused = await client.reply();
  assertEquals([refused.cookie, refused.errno], [2, ERRNO.ESHUTDOWN]);
  held[0]!();
  const finished = await client.reply();
  assertEquals([finished.cookie, finished.errno], [1, 0]);
  assert(await client.closedByServer());
  await closed;
});

Deno.test("NbdServer.disconnectExport() ends the connections to that export only", async () => {
  await using rig = new Rig([memory(), memory({ name: "other" })]);
  const gone = await rig.client();
  await gone.go("demo");
  const kept = await rig.client();
  await kept.go("other");
  await rig.server.disconnectExport("demo");
  assert(await gone.closedByServer());
  assertEquals(rig.server.connections().map((connection) => connection.exportName), ["other"]);
  await kept.request({ type: COMMAND.flush });
  assertEquals((await kept.reply()).errno, 0);
});

Deno.test("serveNbd() refuses more connections than its limit", async () => {
  await using rig = new Rig([memory()], { limits: { connectionsMax: 1 } });
  const first = await rig.client();
  await first.go("demo");
  const second = await rig.client();
  assert(await second.closedByServer());
  first.connection.close();
  await until(() => rig.server.connections().length === 0);
  await (await rig.client()).go("demo");
});

Deno.test("serveNbd() ends a handshake that takes too long", async () => {
  const timers: { delayMs: number; callback: () => void; cancelled: boolean }[] = [];
  const clock: Clock = {
    ...systemClock,
    setTimer(delayMs, callback) {
      const timer = { delayMs, callback, cancelled: false };
      timers.push(timer);
      return { cancel: () => timer.cancelled = true };
    },
  };
  await using rig = new Rig([memory()], { clock, limits: { handshakeMs: 1234 } });
  const slow = await rig.client();
  await slow.receive(18);
  assertEquals(timers.map((timer) => timer.delayMs), [1234]);
  timers[0]!.callback();
  assert(await slow.closedByServer());
  const quick = await rig.client();
  await quick.go("demo");
  await until(() => timers[1]!.cancelled);
});

Deno.test("serveNbd() follows a volume that grows", async () => {
  let sizeBytes = 8192;
  const device = memory();
  const growing: BlockDevice = {
    name: "demo",
    readOnly: false,
    get sizeBytes() {
      return sizeBytes;
    },
    submit: (request) => device.submit(request),
    extents: (offsetBytes, lengthBytes) => device.extents(offsetBytes, lengthBytes),
  };
  await using rig = new Rig([growing]);
  const client = await rig.client();
  await client.go("demo");
  const write = async () => {
    await client.request({ type: COMMAND.write, offsetBytes: 8192 }, pattern(16));
    return (await client.reply()).errno;
  };
  assertEquals(await write(), ERRNO.ENOSPC);
  sizeBytes = 16_384;
  assertEquals(await write(), 0);
});
