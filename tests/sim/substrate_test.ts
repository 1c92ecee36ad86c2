import { assert, assertEquals, assertNotEquals, assertRejects } from "@std/assert";
import { Hono } from "hono";
import { BufferPool } from "@/shared/buffers.ts";
import { sleep } from "@/shared/clock.ts";
import { asId, type DeviceId, type SdsId } from "@/shared/ids.ts";
import { FrameChannel, type FrameHandler } from "@/shared/net/frame_channel.ts";
import { openAsClient, openAsServer } from "@/shared/net/handshake.ts";
import type { Connection } from "@/shared/transport.ts";
import { EventLog } from "@/tests/sim/event_log.ts";
import { type ProcessPorts, SimProcess, World } from "@/tests/sim/process.ts";
import { SeededRandom } from "@/tests/sim/seeded_random.ts";
import { VirtualTime } from "@/tests/sim/virtual_time.ts";

function makeWorld(seed: number) {
  const time = new VirtualTime();
  const random = new SeededRandom(`seed-${seed}`);
  const log = new EventLog({ nowMs: () => time.nowMs });
  const world = new World({ time, random: random.fork("wire"), log });
  const process = (name: string) => new SimProcess(name, { world, random });
  return { time, random, log, world, process };
}

/** Accepts connections for ever and hands each to `serve`. */
async function acceptAll(ports: ProcessPorts, serve: (connection: Connection) => void): Promise<void> {
  const listener = ports.transport.listen({ hostname: "here", port: 9700 });
  while (true) {
    const connection = await listener.accept();
    if (connection === null) return;
    serve(connection);
  }
}

async function writeAll(connection: Connection, bytes: Uint8Array): Promise<void> {
  for (let sent = 0; sent < bytes.length;) sent += await connection.write(bytes.subarray(sent));
}

async function echo(connection: Connection): Promise<void> {
  const buffer = new Uint8Array(10_000);
  try {
    while (true) {
      const count = await connection.read(buffer);
      if (count === null) break;
      await writeAll(connection, buffer.subarray(0, count));
    }
  } catch {
    // The connection broke: what the tests provoke.
  }
  connection.close();
}

Deno.test("VirtualTime.run() settles everything an event set off before the next event", async () => {
  const time = new VirtualTime();
  const order: string[] = [];
  time.after(5, () => order.push("b"));
  time.after(1, async () => {
    for (let turn = 0; turn < 500; turn++) await undefined;
    order.push("a");
  });
  const cancelled = time.after(2, () => order.push("never"));
  cancelled.cancel();
  assertEquals(await time.run({ limitMs: 100 }), false);
  assertEquals({ order, nowMs: time.nowMs }, { order: ["a", "b"], nowMs: 100 });
});

Deno.test("HostClock runs at its own rate, holds timers of a paused process and drops those of a dead one", async () => {
  const { time, process } = makeWorld(1);
  const host = process("a");
  const ports = host.start();
  const startMs = ports.clock.monotonicMs();
  const fired: number[] = [];
  ports.clock.setTimer(1_000, () => fired.push(ports.clock.monotonicMs() - startMs));
  await time.run({ limitMs: 1_020 });
  assertEquals(fired.length, 1);
  assert(Math.abs(fired[0]! - 1_000) < 0.01 && time.nowMs !== fired[0], "the timer follows the host's own clock");

  ports.clock.setTimer(10, () => fired.push(time.nowMs));
  host.pause();
  await time.run({ limitMs: 3_000 });
  assertEquals(fired.length, 1);
  host.resume();
  await time.run({ limitMs: 3_001 });
  assertEquals(fired[1], 3_000);

  ports.clock.setTimer(10, () => fired.push(0));
  host.crash();
  await time.run({ limitMs: 5_000 });
  assertEquals(fired.length, 2);
});

/** A client sends random bytes to an echo server and reads them back; gives the log's hash. */
async function echoRun(seed: number): Promise<string> {
  const { time, log, random, process } = makeWorld(seed);
  const server = process("server").start();
  const client = process("client").start();
  acceptAll(server, echo);
  const sent = random.bytes(60_000);
  const received: number[] = [];
  let done = false;
  (async () => {
    const connection = await client.transport.connect({ hostname: "server", port: 9700 });
    const writing = writeAll(connection, sent);
    const buffer = new Uint8Array(7_000);
    while (received.length < sent.length) received.push(...buffer.subarray(0, (await connection.read(buffer)) ?? 0));
    await writing;
    connection.close();
    done = true;
  })();
  assert(await time.run({ limitMs: 60_000, done: () => done }), "everything comes back");
  assertEquals(new Uint8Array(received), new Uint8Array(sent));
  return log.hash();
}

Deno.test("VirtualSockets keep bytes in order, and equal seeds give equal runs", async () => {
  const first = await echoRun(7);
  assertEquals(await echoRun(7), first);
  assertNotEquals(await echoRun(8), first);
});

Deno.test("VirtualSockets show cuts, resets, crashes and power loss as a peer sees them", async (t) => {
  const setUp = async () => {
    const made = makeWorld(3);
    const server = made.process("server");
    const client = made.process("client").start();
    acceptAll(server.start(), echo);
    const connection = await settled(made.time, client.transport.connect({ hostname: "server", port: 9700 }));
    return { ...made, server, client, connection };
  };
  await t.step("cut: nothing comes, healed: it comes", async () => {
    const { time, world, connection } = await setUp();
    world.wire.cut("client", "server");
    await settled(time, connection.write(new Uint8Array([1, 2, 3])));
    let count: number | null | undefined;
    connection.read(new Uint8Array(10)).then((value) => count = value);
    await time.run({ limitMs: time.nowMs + 20_000 });
    assertEquals(count, undefined);
    world.wire.heal("client", "server");
    await time.run({ limitMs: time.nowMs + 5_000, done: () => count !== undefined });
    assert(count === 1 || count === 2 || count === 3);
  });
  await t.step("reset: reads and writes fail", async () => {
    const { time, world, connection } = await setUp();
    const reading = assertRejects(() => connection.read(new Uint8Array(10)), Error, "reset");
    world.sockets.resetBetween("client", "server");
    await settled(time, reading);
    await settled(time, assertRejects(() => connection.write(new Uint8Array(1)), Error, "reset"));
  });
  await t.step("crash: the peer sees the end or a reset, and new connections are refused", async () => {
    const { time, server, client, connection } = await setUp();
    server.crash();
    const outcome = connection.read(new Uint8Array(10)).catch(() => "reset");
    assert([null, "reset"].includes(await settled(time, outcome) as string | null));
    const again = assertRejects(() => client.transport.connect({ hostname: "server", port: 9700 }), Error, "refused");
    await settled(time, again);
  });
  await t.step("power loss: silence, until the host is back and resets what it does not know", async () => {
    const { time, server, connection } = await setUp();
    server.crash({ hostDown: true });
    let outcome: unknown;
    connection.read(new Uint8Array(10)).then((value) => outcome = value, (error) => outcome = error);
    await settled(time, connection.write(new Uint8Array(1)));
    await time.run({ limitMs: time.nowMs + 60_000 });
    assertEquals(outcome, undefined);
    server.start();
    await settled(time, connection.write(new Uint8Array(1)));
    await time.run({ limitMs: time.nowMs + 1_000 });
    assert(outcome instanceof Error);
  });
});

Deno.test("VirtualHttp delivers to a Hono application, with loss, timeouts and crashes", async () => {
  const { time, world, process } = makeWorld(5);
  const server = process("mdm");
  const client = process("client").start();
  let served = 0;
  const app = new Hono();
  app.post("/double", async (c) => c.json({ value: 2 * (await c.req.json()).value, served: ++served }));
  const start = () => server.start().serveHttp(8001, (request) => app.fetch(request));
  start();
  const call = () =>
    client.http({ method: "POST", url: "http://mdm:8001/double", body: '{"value":21}', timeoutMs: 2_000 });
  assertEquals(await settled(time, call()), { status: 200, body: '{"value":42,"served":1}' });

  world.http.lossChance = 1;
  await settled(time, assertRejects(call, Error, "reset"));
  world.http.lossChance = 0;

  world.wire.cut("mdm", "client");
  const servedBefore = served;
  await settled(time, assertRejects(call, Error, "no answer in 2000 ms"));
  assertEquals(served, servedBefore + 1, "it took effect, the answer was lost");
  world.wire.heal("mdm", "client");

  server.crash();
  await settled(time, assertRejects(call, Error, "refused"));
  start();
  assertEquals((await settled(time, call())).status, 200);
});

Deno.test("FrameChannel opens over the virtual network and survives its fragmentation", async () => {
  for (let seed = 0; seed < 5; seed++) {
    const { time, process } = makeWorld(seed);
    const buffers = new BufferPool();
    const server = process("sds-1").start();
    const client = process("sdc-1").start();
    const keyHex = "ab".repeat(32);
    const serverSdsId = asId<SdsId>(1);
    const got: unknown[] = [];
    const collect: FrameHandler = { onFrame() {}, onMessage: (m) => got.push(m), onBatchEnd() {}, onClosed() {} };
    acceptAll(server, async (connection) => {
      const channel = new FrameChannel(connection, { buffers });
      const opening = openAsServer(channel, {
        clock: server.clock,
        random: server.random,
        sdsId: serverSdsId,
        keyOf: () => keyHex,
      });
      channel.run();
      await opening;
      channel.handle(collect);
    });
    (async () => {
      const connection = await client.transport.connect({ hostname: "sds-1", port: 9700 });
      const channel = new FrameChannel(connection, { buffers });
      const incarnation = { counter: 1, random: "0".repeat(16) };
      const ends = { fromDeviceId: asId<DeviceId>(1), toDeviceId: asId<DeviceId>(2), fromIncarnation: incarnation };
      const opening = openAsClient(channel, {
        clock: client.clock,
        random: client.random,
        identity: { role: "link", client: { fromSdsId: asId<SdsId>(2), ...ends } },
        keyHex,
        serverSdsId,
        compact: true,
      });
      channel.run();
      await opening;
      for (let index = 0; index < 100; index++) {
        channel.sendJson({ kind: "note", index }, new Uint8Array(index * 100));
        await sleep(client.clock, 0.1);
      }
    })();
    await time.run({ limitMs: 10_000, done: () => got.length === 100 });
    assertEquals(got, Array.from({ length: 100 }, (_, index) => ({ kind: "note", index })));
  }
});

/** Runs the world until `promise` settles, at most a minute. */
async function settled<Value>(time: VirtualTime, promise: Promise<Value>): Promise<Value> {
  let done = false;
  const finish = () => {
    done = true;
  };
  promise.then(finish, finish);
  assert(await time.run({ limitMs: time.nowMs + 60_000, done: () => done }), "it settles within a minute");
  return await promise;
}
