/**
 * Bytes of the device port's binary frames, pinned: clients that others wrote rely on them.
 *
 * @module
 */
import { assertEquals } from "@std/assert";
import { decodeDevicePrefix, encodeDeviceFrame } from "@/shared/wire/device.ts";

Deno.test("encodeDeviceFrame() gives the bytes that are documented", () => {
  const frame = encodeDeviceFrame({ action: "WRITE", offset_bytes: 5 }, 0x010203);
  assertEquals(
    frame.toHex(),
    "00000023" + "00010203" + new TextEncoder().encode('{"action":"WRITE","offset_bytes":5}').toHex(),
  );
  assertEquals(decodeDevicePrefix(frame), { headerBytes: 0x23, payloadBytes: 0x010203 });
});

Deno.test("decodeDevicePrefix() keeps to the limits, whatever follows", () => {
  const problemOf = (hex: string) => decodeDevicePrefix(Uint8Array.fromHex(hex));
  assertEquals(problemOf("0000000200000000"), { headerBytes: 2, payloadBytes: 0 });
  assertEquals(problemOf("0000400001000000ff"), { headerBytes: 16_384, payloadBytes: 16_777_216 });
  assertEquals(problemOf("0000000100000000"), "headerBytes is 1, must be 2 to 16384");
  assertEquals(problemOf("0000400100000000"), "headerBytes is 16385, must be 2 to 16384");
  assertEquals(problemOf("0000000201000001"), "payloadBytes is 16777217, at most 16777216");
  assertEquals(problemOf("7b22616374696f6e"), "headerBytes is 2065850723, must be 2 to 16384");
});
