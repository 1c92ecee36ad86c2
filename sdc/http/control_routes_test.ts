import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { NOTICE_WAIT_MS } from "@/sdc/http/control_routes.ts";
import { asId } from "@/shared/ids.ts";
import { chunkIdOf } from "@/shared/io_token.ts";
import { SdcAppFixture } from "@/tests/support/sdc_app_fixture.ts";

/** Layer of the fixture's volume. */
const NODE_ID = asId<never>(3);
const CHUNK_ID = chunkIdOf(NODE_ID, 1);
const NOTICE = { volume_id: 7, volume_name: "demo", size_bytes: 8 * 1048576, access_mode: "readWrite" };
const PLAN = { volume_id: 7, chunk_id: CHUNK_ID, sds_address: "127.0.0.1", sds_data_port: 9700, generation: 1 };

async function started(): Promise<SdcAppFixture> {
  const fixture = new SdcAppFixture();
  fixture.start();
  await fixture.clock.advance(10);
  return fixture;
}

/** The answer to a signed call, with time passing until it comes. */
async function answerOf(fixture: SdcAppFixture, path: string, body?: unknown) {
  const answer = fixture.control(path, body);
  await fixture.clock.advance(NOTICE_WAIT_MS + 100);
  return await answer.then(async (response) => ({ status: response.status, json: await response.json() }));
}

Deno.test("controlRoutes() follow mappings that the MDM lists, and no others", async () => {
  await using fixture = await started();
  assertEquals(await answerOf(fixture, "/control/volume_mapped", NOTICE), {
    status: 200,
    json: { status: "updated", volume_id: 7 },
  });
  const unknown = await answerOf(fixture, "/control/volume_mapped", { ...NOTICE, volume_id: 8 });
  assertEquals([unknown.status, unknown.json.code], [503, "unavailable"]);
  assertStringIncludes(unknown.json.detail, "the MDM does not list it");
  const notMapped = await answerOf(fixture, "/control/volume_unmapped", { volume_id: 8 });
  assertEquals(notMapped.json, { status: "not_found", volume_id: 8 });
  const stillListed = await answerOf(fixture, "/control/volume_unmapped", { volume_id: 7 });
  assertEquals(stillListed.json, { status: "unmapped", volume_id: 7 });
  const { mappings } = (await answerOf(fixture, "/control/mappings")).json;
  assertEquals(mappings.length, 1, "the MDM lists it, so it is mapped again");
  assertMatch(mappings[0].device_path, /^naa\.6[0-9a-f]{31}$/);
  fixture.mdm.mappings = [];
  await answerOf(fixture, "/control/volume_unmapped", { volume_id: 7 });
  assertEquals((await answerOf(fixture, "/control/mappings")).json, { mappings: [] });
});

Deno.test("controlRoutes() follow a plan to the generation that the MDM's map has", async () => {
  await using fixture = await started();
  const known = await answerOf(fixture, "/control/plan_update", PLAN);
  assertEquals(known.json, { status: "cached", volume_id: 7, chunk_id: CHUNK_ID, generation: 1 });
  for (const group of fixture.cluster.groups) group.epoch = 4;
  const news = await answerOf(fixture, "/control/plan_update", { ...PLAN, generation: 3 });
  assertEquals(news.json, { status: "updated", volume_id: 7, chunk_id: CHUNK_ID, generation: 4 });
  const ahead = await answerOf(fixture, "/control/plan_update", { ...PLAN, generation: 9 });
  assertEquals([ahead.status, ahead.json.code], [503, "unavailable"]);
  assertStringIncludes(ahead.json.detail, "at generation 4, not 9");
});

Deno.test("controlRoutes() refuse what does not fit, and nothing changes", async (t) => {
  await using fixture = await started();
  const { volume_id: _, ...noVolume } = NOTICE;
  const { generation: __, ...noGeneration } = PLAN;
  const cases: [string, unknown, number, string][] = [
    ["volume_mapped", noVolume, 422, "volume_id"],
    ["volume_mapped", { ...NOTICE, volume_id: "seven" }, 422, "volume_id"],
    ["volume_mapped", { ...NOTICE, size_bytes: -1 }, 422, "size_bytes"],
    ["volume_mapped", { ...NOTICE, volume_name: "" }, 422, "volume_name"],
    ["volume_mapped", { ...NOTICE, access_mode: "writeOnly" }, 422, "access_mode"],
    ["volume_unmapped", {}, 422, "volume_id"],
    ["volume_unmapped", { volume_id: 0 }, 422, "volume_id"],
    ["plan_update", noGeneration, 422, "generation"],
    ["plan_update", { ...PLAN, sds_data_port: 70_000 }, 422, "sds_data_port"],
    ["plan_update", { ...PLAN, chunk_id: -1 }, 422, "chunk_id"],
    ["plan_update", { ...PLAN, sds_address: 5 }, 422, "sds_address"],
    ["plan_update", { ...PLAN, volume_id: 8 }, 404, "not mapped"],
    ["plan_update", { ...PLAN, chunk_id: chunkIdOf(NODE_ID, 8) }, 404, "no such chunk"],
    ["plan_update", { ...PLAN, chunk_id: chunkIdOf(asId<never>(4), 1) }, 404, "no such chunk"],
  ];
  const before = (await answerOf(fixture, "/control/mappings")).json;
  for (const [path, body, status, detail] of cases) {
    await t.step(`${path}: ${JSON.stringify(body)}`, async () => {
      const answer = await answerOf(fixture, `/control/${path}`, body);
      assertEquals(answer.status, status);
      assertStringIncludes(answer.json.detail, detail);
    });
  }
  assertEquals((await answerOf(fixture, "/control/mappings")).json, before);
  const unread = await fixture.control("/control/volume_unmapped", "not an object");
  assertEquals(unread.status, 422);
  await unread.body?.cancel();
});

Deno.test("controlRoutes() obey nobody who does not sign as the node", async () => {
  await using fixture = await started();
  for (const path of ["volume_mapped", "volume_unmapped", "plan_update", "notice", "io/read", "io/write"]) {
    const answer = await fixture.sdc!.control.request(`/control/${path}`, { method: "POST", body: "{}" });
    assertEquals(answer.status, 401);
    await answer.body?.cancel();
  }
  assertEquals(fixture.sdc!.volumes.list(), ["demo"]);
});
