/**
 * Bytes of the NBD protocol as other implementations send and expect them (NBD specification). A change here breaks
 * clients.
 */
import { assertEquals } from "@std/assert";
import {
  encodeBlockSizeInfo,
  encodeExportInfo,
  encodeExportNameAnswer,
  encodeHello,
  encodeMessage,
  encodeMetaContext,
  encodeNameInfo,
  encodeOptionReply,
  encodeServer,
} from "@/sdc/nbd/option_frames.ts";
import {
  encodeErrorChunk,
  encodeStatusChunk,
  putDataChunkHeader,
  putNoneChunk,
  putSimpleReply,
} from "@/sdc/nbd/reply_frames.ts";
import { decodeRequestHeader, emptyRequestHeader } from "@/sdc/nbd/request_header.ts";

const REPLY = { cookieHigh: 0x01020304, cookieLow: 0x05060708, errno: 0 };

/** Hexadecimal digits without the spaces that make them readable. */
function hex(digits: string): string {
  return digits.replaceAll(/\s/g, "");
}

Deno.test("encodeHello() announces fixed newstyle and no zeroes", () => {
  assertEquals(encodeHello().toHex(), hex("4e42444d41474943 49484156454f5054 0003"));
});

Deno.test("encodeOptionReply() frames every kind of answer", () => {
  const magic = "0003e889045565a9";
  assertEquals(encodeOptionReply(7, { type: 1 }).toHex(), hex(`${magic} 00000007 00000001 00000000`));
  assertEquals(
    encodeOptionReply(3, { type: 2, data: encodeServer("dämo") }).toHex(),
    hex(`${magic} 00000003 00000002 00000009 00000005 64c3a46d6f`),
  );
  assertEquals(
    encodeOptionReply(7, { type: 3, data: encodeExportInfo({ sizeBytes: 2 ** 40 + 5, flags: 0x0d6d }) }).toHex(),
    hex(`${magic} 00000007 00000003 0000000c 0000 0000010000000005 0d6d`),
  );
  assertEquals(
    encodeOptionReply(6, { type: 3, data: encodeNameInfo("demo") }).toHex(),
    hex(`${magic} 00000006 00000003 00000006 0001 64656d6f`),
  );
  assertEquals(
    encodeOptionReply(6, { type: 3, data: encodeBlockSizeInfo() }).toHex(),
    hex(`${magic} 00000006 00000003 0000000e 0003 00000001 00001000 02000000`),
  );
  assertEquals(
    encodeOptionReply(10, { type: 4, data: encodeMetaContext(1, "base:allocation") }).toHex(),
    hex(`${magic} 0000000a 00000004 00000013 00000001 626173653a616c6c6f636174696f6e`),
  );
  assertEquals(
    encodeOptionReply(99, { type: 0x80000001, data: encodeMessage("no") }).toHex(),
    hex(`${magic} 00000063 80000001 00000002 6e6f`),
  );
});

Deno.test("encodeExportNameAnswer() ends with 124 zero bytes unless both sides do without", () => {
  const start = hex("0000000040000000 0d6d");
  const info = { sizeBytes: 2 ** 30, flags: 0x0d6d };
  assertEquals(encodeExportNameAnswer({ ...info, noZeroes: true }).toHex(), start);
  assertEquals(encodeExportNameAnswer({ ...info, noZeroes: false }).toHex(), start + "00".repeat(124));
});

Deno.test("decodeRequestHeader() reads every field at its place", () => {
  const bytes = Uint8Array.fromHex(hex("ffff 25609513 0011 0006 0102030405060708 0000010000001000 00020000"));
  const header = emptyRequestHeader();
  assertEquals(decodeRequestHeader(new DataView(bytes.buffer), 2, header), true);
  assertEquals(header, {
    flags: 0x11,
    type: 6,
    cookieHigh: 0x01020304,
    cookieLow: 0x05060708,
    offsetBytes: 2 ** 40 + 4096,
    lengthBytes: 131_072,
  });
  assertEquals(decodeRequestHeader(new DataView(bytes.buffer), 0, header), false);
});

Deno.test("replies have the bytes of the specification", async (t) => {
  const bytes = new Uint8Array(32);
  const view = new DataView(bytes.buffer);
  await t.step("simple", () => {
    putSimpleReply(view, 4, { ...REPLY, errno: 28 });
    assertEquals(bytes.subarray(4, 20).toHex(), hex("67446698 0000001c 0102030405060708"));
  });
  await t.step("data chunk, done", () => {
    putDataChunkHeader(view, 0, { ...REPLY, offsetBytes: 2 ** 33 + 7, lengthBytes: 4096 });
    assertEquals(
      bytes.subarray(0, 28).toHex(),
      hex("668e33ef 0001 0001 0102030405060708 00001008 0000000200000007"),
    );
  });
  await t.step("empty chunk", () => {
    putNoneChunk(view, 0, REPLY);
    assertEquals(bytes.subarray(0, 20).toHex(), hex("668e33ef 0001 0000 0102030405060708 00000000"));
  });
  await t.step("error chunk", () => {
    assertEquals(
      encodeErrorChunk({ ...REPLY, errno: 5 }, "bad").toHex(),
      hex("668e33ef 0001 8001 0102030405060708 00000009 00000005 0003 626164"),
    );
  });
  await t.step("status chunk: data, hole, zero that is allocated", () => {
    const extents = [
      { lengthBytes: 4096, allocated: true, zero: false },
      { lengthBytes: 8192, allocated: false, zero: true },
      { lengthBytes: 1, allocated: true, zero: true },
    ];
    assertEquals(
      encodeStatusChunk(REPLY, extents).toHex(),
      hex("668e33ef 0001 0005 0102030405060708 0000001c 00000001") +
        hex("00001000 00000000  00002000 00000003  00000001 00000002"),
    );
  });
});
