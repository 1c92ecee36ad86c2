import { assert, assertEquals } from "@std/assert";
import { DEVICE_LINE_BYTES_MAX } from "@/sdc/device_server/messages.ts";
import { type Clock, systemClock } from "@/shared/clock.ts";
import type { ErrorCode } from "@/shared/errors.ts";
import {
  DEVICE_SIZE_BYTES as SIZE_BYTES,
  DevicePortFixture,
  memoryVolume as memory,
} from "@/tests/support/device_port_fixture.ts";
import { heldSchedule } from "@/tests/support/memory_block_device.ts";

type Answer = Record<string, unknown>;

Deno.test("serveDevices() carries a volume through a whole conversation", async () => {
  const device = memory();
  await using rig = new DevicePortFixture(device);
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
    token_id: "token-of-1",
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
  assertEquals(await client.receive(), undefined);
});

Deno.test("serveDevices() answers messages that were sent ahead in their order", async () => {
  await using rig = new DevicePortFixture(memory());
  const client = await rig.client();
  await client.send(
    { action: "CONNECT", volume_id: 1, id: 0 },
    { action: "WRITE", offset_bytes: 0, data_b64: "AAEC", id: 1 },
    { action: "READ", offset_bytes: 1, length_bytes: 2, id: 2 },
    { action: "READ", offset_bytes: SIZE_BYTES, length_bytes: 1, id: 3 },
    { action: "READ", offset_bytes: 0, length_bytes: 0, id: 4 },
  );
  const answers: (Answer | undefined)[] = [];
  for (let count = 0; count < 5; count++) answers.push(await client.receive());
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
  await using rig = new DevicePortFixture(memory({ failure: () => failure }));
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
  assertEquals((await client.receive())?.["ok"], false);
  assertEquals(codes, ["bad_request", "not_found", "read_only", "read_only", "pool_full", "not_found"]);
});

Deno.test("serveDevices() ends a connection whose line is too long, with an answer", async () => {
  await using rig = new DevicePortFixture(memory());
  const client = await rig.client();
  await client.sendText("x".repeat(DEVICE_LINE_BYTES_MAX + 1));
  assertEquals((await client.receive())?.["code"], "too_large");
  assertEquals(await client.receive(), undefined);
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
  await using rig = new DevicePortFixture(memory({ schedule }), clock);
  const client = await rig.client();
  await client.ask({ action: "CONNECT", volume_id: 1 });
  await client.send({ action: "FLUSH" });
  while (held.length === 0) await new Promise((resolve) => setTimeout(resolve, 1));
  assert(timers.every((timer) => timer.cancelled), "no limit runs while the volume works");
  held[0]!();
  assertEquals(await client.receive(), { ok: true });
  const last = timers.at(-1)!;
  assertEquals([last.delayMs, last.cancelled], [60_000, false]);
  last.callback();
  assertEquals(await client.receive(), undefined);
});

Deno.test("DeviceServer.close() answers the message in flight first", async () => {
  const { held, schedule } = heldSchedule();
  await using rig = new DevicePortFixture(memory({ schedule }));
  const client = await rig.client();
  const idle = await rig.client();
  await client.ask({ action: "CONNECT", volume_id: 1 });
  await client.send({ action: "FLUSH", id: 1 }, { action: "FLUSH", id: 2 });
  while (held.length === 0) await new Promise((resolve) => setTimeout(resolve, 1));
  const closed = rig.server.close();
  held[0]!();
  assertEquals(await client.receive(), { ok: true, id: 1 });
  assertEquals(await client.receive(), undefined);
  assertEquals(await idle.receive(), undefined);
  await closed;
  assertEquals(rig.server.connectionCount(), 0);
});
