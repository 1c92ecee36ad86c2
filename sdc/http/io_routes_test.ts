import { assertEquals, assertStringIncludes } from "@std/assert";
import { SDC_IO_BYTES_MAX, SDC_IO_MS_MAX } from "@/shared/api/sdc_io.ts";
import { SdcAppFixture } from "@/tests/support/sdc_app_fixture.ts";

const HELLO_B64 = new TextEncoder().encode("Hello PowerFlex!").toBase64();
const WRITE = { volume_id: 7, offset_bytes: 1_048_570, data_b64: HELLO_B64 };
const READ = { volume_id: 7, offset_bytes: 1_048_570, length_bytes: 16 };

/** The answer to a signed call, with time passing until it comes. */
async function answerOf(fixture: SdcAppFixture, path: string, body: unknown) {
  const answer = fixture.control(path, body);
  await fixture.clock.advance(1_500);
  const { status, json } = await answer.then(async (response) => ({
    status: response.status,
    json: await response.json(),
  }));
  return { status, json };
}

Deno.test("ioRoutes() writes and reads across a chunk border", async () => {
  await using fixture = new SdcAppFixture();
  fixture.start();
  await fixture.clock.advance(10);
  const written = await answerOf(fixture, "/control/io/write", WRITE);
  assertEquals(written, { status: 200, json: { bytes_written: 16, replicas_written: 1 } });
  const read = await answerOf(fixture, "/control/io/read", READ);
  assertEquals(read, { status: 200, json: { data_b64: HELLO_B64, bytes_read: 16 } });
  assertEquals(fixture.cluster.applied.map(({ lengthBytes }) => lengthBytes), [6, 10]);
});

Deno.test("ioRoutes() asks the MDM about a volume that it has not heard of", async () => {
  await using fixture = new SdcAppFixture();
  const { mappings } = fixture.mdm;
  fixture.mdm.mappings = [];
  fixture.start();
  await fixture.clock.advance(10);
  const refused = await answerOf(fixture, "/control/io/read", READ);
  assertEquals([refused.status, refused.json.code], [403, "forbidden"]);
  fixture.mdm.mappings = mappings;
  assertEquals((await answerOf(fixture, "/control/io/read", READ)).status, 200);
});

Deno.test("ioRoutes() counts the copies after a change of the group, by the next map", async () => {
  await using fixture = new SdcAppFixture();
  fixture.start();
  await fixture.clock.advance(10);
  for (const group of fixture.cluster.groups) group.memberCount = 2;
  assertEquals((await answerOf(fixture, "/control/io/write", WRITE)).json.replicas_written, 1, "the epoch is the same");
  for (const group of fixture.cluster.groups) group.epoch++;
  assertEquals((await answerOf(fixture, "/control/io/write", WRITE)).json.replicas_written, 2);
});

Deno.test("ioRoutes() refuses what it cannot do, and nothing changes", async (t) => {
  await using fixture = new SdcAppFixture();
  fixture.start();
  await fixture.clock.advance(10);
  const sizeBytes = fixture.cluster.sizeBytes;
  const cases: [string, string, unknown, number, string][] = [
    ["no body", "write", {}, 422, "volume_id"],
    ["no data", "write", { volume_id: 7, offset_bytes: 0 }, 422, "data_b64"],
    ["data that is no text", "write", { ...WRITE, data_b64: 5 }, 422, "data_b64"],
    ["data that is not base64", "write", { ...WRITE, data_b64: "###" }, 422, "data_b64"],
    ["empty data", "write", { ...WRITE, data_b64: "" }, 422, "data_b64"],
    ["a negative offset", "write", { ...WRITE, offset_bytes: -1 }, 422, "offset_bytes"],
    ["a fraction", "read", { ...READ, offset_bytes: 0.5 }, 422, "offset_bytes"],
    ["no length", "read", { ...READ, length_bytes: 0 }, 422, "length_bytes"],
    ["too much", "read", { ...READ, length_bytes: SDC_IO_BYTES_MAX + 1 }, 422, "length_bytes"],
    ["a text for an id", "read", { ...READ, volume_id: "seven" }, 422, "volume_id"],
    ["an unknown volume", "read", { ...READ, volume_id: 8 }, 403, "not mapped"],
    ["beyond the end", "write", { ...WRITE, offset_bytes: sizeBytes - 15 }, 400, "ends beyond"],
    ["beyond the end", "read", { ...READ, offset_bytes: sizeBytes }, 400, "ends beyond"],
  ];
  for (const [name, operation, body, status, detail] of cases) {
    await t.step(`${operation}: ${name}`, async () => {
      const answer = await answerOf(fixture, `/control/io/${operation}`, body);
      assertEquals(answer.status, status);
      assertStringIncludes(answer.json.detail, detail);
    });
  }
  await t.step("write: mapped read-only", async () => {
    fixture.mdm.mappings = fixture.mdm.mappings.map((mapping) => ({ ...mapping, accessMode: "readOnly" }));
    await fixture.clock.advance(10_100);
    const answer = await answerOf(fixture, "/control/io/write", WRITE);
    assertEquals([answer.status, answer.json.code], [403, "read_only"]);
    assertEquals((await answerOf(fixture, "/control/io/read", READ)).status, 200);
  });
  await t.step("without a signature", async () => {
    const answer = await fixture.sdc!.control.request("/control/io/read", {
      method: "POST",
      body: JSON.stringify(READ),
    });
    assertEquals(answer.status, 401);
    await answer.body?.cancel();
  });
  assertEquals(fixture.cluster.applied, []);
});

Deno.test("ioRoutes() gives up before the MDM does", async () => {
  await using fixture = new SdcAppFixture();
  fixture.start();
  await fixture.clock.advance(10);
  for (const sds of fixture.sdss) sds.script = () => "ignore";
  const answer = fixture.control("/control/io/write", WRITE);
  await fixture.clock.advance(SDC_IO_MS_MAX + 100);
  assertEquals((await (await answer).json()).code, "give_up");
  for (const sds of fixture.sdss) sds.script = () => "serve";
});
