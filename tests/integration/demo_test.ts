import { assert, assertEquals, assertMatch } from "@std/assert";
import { MdmApi } from "@/scripts/demo/mdm_api.ts";
import { DemoDirectory, type DemoState, gone, openVolume, pidsOf } from "@/tests/support/demo_process.ts";

const NBD = { read: 0, write: 1, flush: 3 } as const;
const PIECE_BYTES = 128 * 1024;

/** Bytes that differ at every place. */
function pattern(seed: number): Uint8Array<ArrayBuffer> {
  return Uint8Array.from({ length: PIECE_BYTES }, (_, index) => (index * 31 + (index >> 8) * 7 + seed) & 0xff);
}

async function writeAndFlush(state: DemoState, offsetBytes: number, data: Uint8Array): Promise<void> {
  const client = await openVolume(state);
  await client.request({ type: NBD.write, offsetBytes }, data);
  assertEquals((await client.reply()).errno, 0);
  await client.request({ type: NBD.flush, lengthBytes: 0 });
  assertEquals((await client.reply()).errno, 0);
  client.connection.close();
}

async function read(state: DemoState, offsetBytes: number): Promise<Uint8Array> {
  const client = await openVolume(state);
  await client.request({ type: NBD.read, offsetBytes, lengthBytes: PIECE_BYTES });
  const { errno, data } = await client.reply(PIECE_BYTES);
  assertEquals(errno, 0);
  client.connection.close();
  return data;
}

Deno.test("scenario: a demo is stopped cleanly and started again, and finds what was flushed", async () => {
  await using directory = new DemoDirectory("--volume-size", "64MiB");
  const first = await directory.start();
  const before = first.state()!;
  assertEquals((await new MdmApi(before.mdm.url).overview()).health, "healthy");
  assertMatch(before.mgmt.oneTimePassword, /^\S{12,}$/);
  // Across the border of two chunks, so that two groups take part.
  await writeAndFlush(before, 2 ** 20 - PIECE_BYTES / 2, pattern(1));
  assertEquals(await first.stop(), 0);
  await gone(pidsOf(before));

  const second = await directory.start();
  const after = second.state()!;
  assertEquals((await new MdmApi(after.mdm.url).overview()).health, "healthy");
  assertEquals(after.volume, before.volume);
  assertEquals(await read(after, 2 ** 20 - PIECE_BYTES / 2), pattern(1));
});

Deno.test("scenario: the supervisor is killed, its processes stop by themselves, and nothing flushed is lost", async () => {
  await using directory = new DemoDirectory("--volume-size", "64MiB");
  const first = await directory.start();
  const before = first.state()!;
  await writeAndFlush(before, 0, pattern(2));
  await first.killSupervisor();
  await gone(pidsOf(before));
  const second = await directory.start();
  assertEquals(await read(second.state()!, 0), pattern(2));
});

Deno.test("scenario: a process of the demo runs under the flags of its role, which let it write its own directory only", async () => {
  await using directory = new DemoDirectory("--bare", "--sds", "2");
  const demo = await directory.start();
  const { mdm } = demo.state()!;
  const commandLine = (await Deno.readTextFile(`/proc/${mdm.pid}/cmdline`)).split("\0");
  const writable = commandLine.find((argument) => argument.startsWith("--allow-write="));
  assertEquals(writable, `--allow-write=${directory.dir}/mdm`);
  assert(!commandLine.some((argument) => /^--allow-(?:all|run|ffi|sys)|^-A$/.test(argument)), commandLine.join(" "));
});
