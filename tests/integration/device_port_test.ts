/**
 * The device port as a stranger finds it: a person with `nc`, scripts that send much or little at once, and nonsense. Only the
 * connection that misbehaves ends.
 *
 * @module
 */
import { assert, assertEquals } from "@std/assert";
import { DEVICE_LINE_BYTES_MAX } from "@/sdc/device_server/messages.ts";
import { denoTransport } from "@/shared/transport_deno.ts";
import { DEVICE_IO_BYTES_MAX, encodeDeviceFrame } from "@/shared/wire/device.ts";
import { DEVICE_SIZE_BYTES, DevicePortFixture, memoryVolume } from "@/tests/support/device_port_fixture.ts";
import { JsonClient } from "@/tests/support/json_client.ts";

const MIB = 1024 * 1024;

Deno.test("serveDevices() answers what a person types into nc", async () => {
  await using fixture = new DevicePortFixture(memoryVolume());
  const client = await fixture.client();
  const data = new TextEncoder().encode("Hello PowerFlex!").toBase64();
  await client.sendText(
    '{"command":"CONNECT","volume_id":1}\n' +
      '{"operation":"WRITE","offset_bytes":4096,"data_b64":"' + data + '"}\r\n' +
      "\n" +
      '{"action":"read","offset_bytes":4096,"length_bytes":16}\n' +
      '{"command":"flush"}\n' +
      '{"command":"TRIM","offset_bytes":0,"length_bytes":1048576}\n' +
      '{"command":"Read","offset_bytes":"4096","length_bytes":"2"}\n' +
      '{"command":"DISCONNECT"}\n',
  );
  const answers = [];
  for (let answer = await client.receive(); answer !== undefined; answer = await client.receive()) answers.push(answer);
  assertEquals(answers, [
    {
      ok: true,
      volume_id: 1,
      size_bytes: DEVICE_SIZE_BYTES,
      volume_size_bytes: DEVICE_SIZE_BYTES,
      chunk_size_bytes: MIB,
      access_mode: "readWrite",
      message: "Connected to volume demo",
    },
    { ok: true, bytes_written: 16, token_id: "token-of-1" },
    { ok: true, data_b64: data, length_bytes: 16, bytes_read: 16 },
    { ok: true },
    { ok: true, length_bytes: MIB },
    { ok: true, data_b64: "AAA=", length_bytes: 2, bytes_read: 2 },
    { ok: true },
  ]);
});

Deno.test("serveDevices() takes many messages in one packet and one message in many", async () => {
  await using fixture = new DevicePortFixture(memoryVolume());
  const client = await fixture.client();
  await client.ask({ action: "CONNECT", volume_id: 1 });
  const messages = Array.from({ length: 500 }, (_, id) => ({ action: "READ", offset_bytes: id, length_bytes: 1, id }));
  await client.send(...messages);
  for (const { id } of messages) assertEquals((await client.receive()).id, id);
  const line = new TextEncoder().encode('{"action":"READ","offset_bytes":0,"length_bytes":1,"id":"ä"}\n');
  for (const byte of line) await client.sendBytes(new Uint8Array([byte]));
  assertEquals((await client.receive()).id, "ä");
});

Deno.test("serveDevices() speaks frames from the answer to CONNECT on", async (t) => {
  const device = memoryVolume();
  await using fixture = new DevicePortFixture(device);
  const client = await fixture.client();
  const receive = async () => {
    const prefix = await client.receiveBytes(8);
    if (prefix === undefined) return undefined;
    const view = new DataView(prefix.buffer, prefix.byteOffset);
    const header = await client.receiveBytes(view.getUint32(0));
    const payload = await client.receiveBytes(view.getUint32(4));
    return { header: JSON.parse(new TextDecoder().decode(header)), payload };
  };
  const data = new Uint8Array(300_000).map((_, index) => index & 0xff);
  await t.step("the first frame may come in the packet of CONNECT", async () => {
    await client.sendBytes(joined([
      new TextEncoder().encode('{"action":"CONNECT","volume_id":1,"framing":"binary"}\n'),
      encodeDeviceFrame({ action: "WRITE", offset_bytes: 77, id: 1 }, data.length),
      data,
      encodeDeviceFrame({ action: "READ", offset_bytes: 77, length_bytes: data.length, id: 2 }, 0),
      encodeDeviceFrame({ action: "READ", offset_bytes: DEVICE_SIZE_BYTES, length_bytes: 1, id: 3 }, 0),
      encodeDeviceFrame({ action: "FLUSH" }, 1),
      new Uint8Array(1),
      encodeDeviceFrame({ action: "FLUSH", id: 4 }, 0),
    ]));
    assertEquals((await client.receive()).framing, "binary");
    assertEquals((await receive())?.header, { ok: true, bytes_written: data.length, token_id: "token-of-1", id: 1 });
    const read = await receive();
    assertEquals(read?.header, { ok: true, length_bytes: data.length, bytes_read: data.length, id: 2 });
    assert(read?.payload?.every((byte, index) => byte === data[index]));
    assertEquals((await receive())?.header.code, "bad_request");
    assertEquals((await receive())?.header.error, "The payload is 1 bytes, only a WRITE has one");
    assertEquals((await receive())?.header, { ok: true, id: 4 });
  });
  await t.step("and lines again", async () => {
    await client.sendBytes(encodeDeviceFrame({ action: "CONNECT", volume_id: 1, framing: "json" }, 0));
    assertEquals((await receive())?.header.framing, "json");
    assertEquals(await client.ask({ action: "FLUSH" }), { ok: true });
  });
  await t.step("lengths beyond the limits end the connection", async () => {
    await client.ask({ action: "CONNECT", volume_id: 1, framing: "binary" });
    await client.sendBytes(Uint8Array.fromHex("0000000201000001"));
    assertEquals((await receive())?.header, {
      ok: false,
      error: `payloadBytes is 16777217, at most ${DEVICE_IO_BYTES_MAX}`,
      code: "bad_request",
    });
    assertEquals(await receive(), undefined);
  });
});

Deno.test("serveDevices() survives garbage and a line of 1 GiB with its memory as it was, beside others", async (t) => {
  await using fixture = new DevicePortFixture(memoryVolume());
  const bystander = await fixture.client();
  await bystander.ask({ action: "CONNECT", volume_id: 1 });
  const isServed = async () => assertEquals(await bystander.ask({ action: "FLUSH" }), { ok: true });
  await t.step("lines that are none of ours are answered one by one", async () => {
    const client = await fixture.client();
    for (
      const line of [
        "garbage",
        "\0\xff\xfe",
        "[1]",
        '{"action":5}',
        '{"action":"CONNECT","volume_id":{}}',
        "{".repeat(9_999),
      ]
    ) {
      await client.sendText(`${line}\n`);
      assertEquals((await client.receive()).ok, false);
    }
    assertEquals((await client.ask({ action: "CONNECT", volume_id: 1 })).ok, true);
    await isServed();
  });
  await t.step("a line of 1 GiB ends at the limit", async () => {
    const client = await fixture.client();
    const beforeBytes = Deno.memoryUsage().rss;
    const part = new Uint8Array(4 * MIB).fill(0x78);
    let sentBytes = 0;
    const sending = (async () => {
      try {
        for (; sentBytes < 1024 * MIB; sentBytes += part.length) await client.sendBytes(part);
      } catch {
        // the server has closed
      }
    })();
    // The answer is lost when the close, with bytes of ours unread, overtakes it.
    assertEquals((await client.receive())?.code ?? "too_large", "too_large");
    client.close();
    await sending;
    assert(sentBytes < 1024 * MIB, "the server does not take it all");
    const grownBytes = Deno.memoryUsage().rss - beforeBytes;
    assert(grownBytes < 6 * DEVICE_LINE_BYTES_MAX, `memory grew by ${Math.round(grownBytes / MIB)} MiB`);
    await isServed();
  });
});

Deno.test("serveDevices() holds 1,000 idle connections in little memory, and serves one more", async () => {
  await using fixture = new DevicePortFixture(memoryVolume());
  const beforeBytes = Deno.memoryUsage().rss;
  const idle: JsonClient[] = [];
  try {
    for (let count = 0; count < 1_000; count++) {
      const client = await JsonClient.connect(denoTransport, { hostname: "127.0.0.1", port: fixture.port });
      idle.push(client);
      if (count % 2 === 0) assertEquals((await client.ask({ action: "CONNECT", volume_id: 1 })).ok, true);
    }
    const client = await fixture.client();
    assertEquals((await client.ask({ action: "CONNECT", volume_id: 1 })).ok, true);
    assertEquals((await client.ask({ action: "READ", offset_bytes: 0, length_bytes: 3 })).data_b64, "AAAA");
    assertEquals(fixture.server.connectionCount(), 1_001);
    const grownBytes = Deno.memoryUsage().rss - beforeBytes;
    assert(grownBytes < 128 * MIB, `memory grew by ${Math.round(grownBytes / MIB)} MiB`);
  } finally {
    for (const client of idle) client.close();
  }
});

function joined(parts: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}
