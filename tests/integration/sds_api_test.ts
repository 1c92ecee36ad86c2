/**
 * Control and management listeners of real SDSs beside a real MDM, in virtual time: every path with good and bad input.
 *
 * @module
 */
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { sdsOfComponent } from "@/mdm/store/sds.ts";
import { CHUNK_BYTES } from "@/shared/constants.ts";
import { signRequest } from "@/shared/http/node_auth.ts";
import { asComponentId, asId } from "@/shared/ids.ts";
import { chunkIdOf } from "@/shared/io_token.ts";
import { MANAGEMENT_TOKEN } from "@/tests/sim/sds_host.ts";
import { JsonClient, type JsonLine } from "@/tests/support/json_client.ts";
import { type SdsFixture, withSds } from "@/tests/support/sds_fixture.ts";

interface Answer {
  readonly status: number;
  readonly json: JsonLine;
}

interface Call {
  readonly body?: unknown;
  readonly headers?: Record<string, string>;
  readonly method?: "GET" | "POST" | "PUT";
  readonly name?: string;
}

async function ask(fixture: SdsFixture, url: string, call: Call): Promise<Answer> {
  const method = call.method ?? (call.body === undefined ? "GET" : "POST");
  const body = call.body === undefined ? "" : JSON.stringify(call.body);
  const answer = await fixture.sdc.ports.http({
    method,
    url,
    headers: { "Content-Type": "application/json", ...call.headers },
    ...(method !== "GET" && { body }),
    timeoutMs: 5_000,
  });
  return {
    status: answer.status,
    json: answer.body.startsWith("{") || answer.body.startsWith("[") ? JSON.parse(answer.body) : answer.body,
  };
}

/** A call of the MDM at the control listener. */
function control(fixture: SdsFixture, path: string, call: Call = {}): Promise<Answer> {
  const name = call.name ?? "sds-1";
  const nodeKeyHex = sdsOfComponent(fixture.mdm.context.db, asComponentId(name))!.nodeKeyHex;
  const method = call.method ?? (call.body === undefined ? "GET" : "POST");
  const body = call.body === undefined ? "" : JSON.stringify(call.body);
  const headers = signRequest({ method, path, body, nodeKeyHex, componentId: name });
  return ask(fixture, `http://${name}:9100${path}`, { ...call, headers });
}

function mgmt(fixture: SdsFixture, path: string, call: Call = {}): Promise<Answer> {
  return ask(fixture, `http://${call.name ?? "sds-1"}:9200${path}`, call);
}

/** Writes some bytes with a single-use token; gives the chunk's number and group. */
async function written(fixture: SdsFixture): Promise<{ chunkId: number; pgId: number }> {
  const token: JsonLine = await fixture.post("/io/authorize", {
    volume_id: 1,
    sdc_id: 1,
    operation: "write",
    offset_bytes: 0,
    length_bytes: 3,
  });
  const segment = token.io_plan.segments[0];
  const { host, port } = segment.targets[0];
  const client = await JsonClient.connect(fixture.sdc.ports.transport, { hostname: host, port });
  const request = { action: "write", token, volume_id: 1, chunk_id: segment.chunk_id, offset_bytes: 0 };
  assertEquals((await client.ask({ ...request, data_b64: "AAEC" })).ok, true);
  assertEquals((await client.ask({ ...request, data_b64: "AAEC" })).ok, false, "used");
  client.close();
  return { chunkId: segment.chunk_id, pgId: segment.pg_id };
}

Deno.test("controlRoutes() of an SDS say where chunks are, and refuse what the MDM has not planned", async () => {
  await withSds({}, async (fixture) => {
    const { chunkId, pgId } = await written(fixture);
    const assign = { chunk_id: chunkId, volume_id: 1, size_bytes: CHUNK_BYTES };
    for (const name of ["sds-1", "sds-2"]) {
      const { json } = await control(fixture, "/control/assign", { body: assign, name });
      assertEquals([json.chunk_id, json.status, json.device_name], [chunkId, "ALREADY_EXISTS", "blk0"]);
      assertEquals(json.local_file_path, `${name}/blk0/data`);
      assertEquals(json.local_offset_bytes % CHUNK_BYTES, 0);
    }
    const unwritten = chunkIdOf(asId<never>(Math.floor(chunkId / 2 ** 24)), 5);
    const planned = await control(fixture, "/control/assign", {
      body: { ...assign, chunk_id: unwritten, device_name: "blk0" },
    });
    assertEquals([planned.json.status, planned.json.local_offset_bytes], ["ASSIGNED", null]);
    const status = await control(fixture, `/control/chunk/${chunkId}/status`);
    assertEquals([status.json.status, status.json.size_bytes], ["ACTIVE", CHUNK_BYTES]);
    assert(status.json.generation >= 1);
    const { last_write_offset_bytes: offset, last_write_length_bytes: length, last_write_at: at } = status.json;
    assertEquals([offset, length], [0, 4096], "a write of three bytes is one of a block");
    assert(Date.parse(at) > 0, at);
    const both = await control(fixture, "/control/chunks", { body: { chunk_ids: [chunkId, unwritten] } });
    assertEquals(both.json.chunks, [status.json, (await control(fixture, `/control/chunk/${unwritten}/status`)).json]);
    const layout = (await ask(fixture, `${fixture.mdm.url}/vol/1/debug/storage`, {})).json.chunk_layout;
    assertEquals(layout[0].checksum, status.json.checksum, "the MDM asks an SDS");
    assertEquals([layout[0].last_write_length_bytes, layout[1].checksum, layout[1].last_write_at], [4096, null, null]);
    assert(Date.parse(layout[0].last_write_at) > 0, "by the clock of the SDS that was asked");
    const twin = await control(fixture, `/control/chunk/${chunkId}/status`, { name: "sds-2" });
    assertEquals(twin.json.checksum, status.json.checksum, "equal copies");
    const missing = await control(fixture, `/control/chunk/${unwritten}/status`);
    assertEquals([missing.json.status, missing.json.size_bytes, missing.json.checksum], ["MISSING", 0, null]);
    const replicate = {
      chunk_id: chunkId,
      volume_id: 1,
      source_sds_address: "sds-2",
      source_sds_id: 2,
      rebuild_token: "t",
    };
    const copied = await control(fixture, "/control/replicate", { body: replicate });
    assertEquals(copied.json, { chunk_id: chunkId, success: true, bytes_copied: CHUNK_BYTES, error_message: null });

    const foreign = chunkIdOf(asId<never>(77), 0);
    const { volume_id: _, ...noVolume } = assign;
    const refused: [string, unknown, number, string][] = [
      ["assign", noVolume, 422, "volume_id"],
      ["assign", { ...assign, size_bytes: 4096 }, 422, "size_bytes"],
      ["assign", { ...assign, chunk_id: -1 }, 422, "chunk_id"],
      ["assign", { ...assign, device_name: "blk9" }, 404, "no device blk9"],
      ["assign", { ...assign, chunk_id: foreign }, 404, "pg_id"],
      ["assign", { ...assign, chunk_id: foreign, pg_id: 4_000 }, 404, "group 4000"],
      ["replicate", { ...replicate, rebuild_token: "" }, 422, "rebuild_token"],
      ["replicate", { ...replicate, source_sds_id: "two" }, 422, "source_sds_id"],
      ["replicate", { ...replicate, chunk_id: foreign }, 404, "knows of no copy"],
      ["chunks", { chunk_ids: [-1] }, 422, "chunk_ids"],
      ["chunks", { chunk_ids: new Array(1025).fill(1) }, 422, "chunk_ids"],
    ];
    for (const [path, body, code, detail] of refused) {
      const answer = await control(fixture, `/control/${path}`, { body });
      assertEquals(answer.status, code, JSON.stringify(body));
      assertStringIncludes(answer.json.detail, detail);
    }
    assertEquals((await control(fixture, "/control/chunk/x/status")).status, 422);
    assertEquals((await control(fixture, "/control/chunk/-1/status")).status, 422);
    const byGroup = await control(fixture, "/control/assign", { body: { ...assign, chunk_id: foreign, pg_id: pgId } });
    assertEquals(byGroup.json.status, "ASSIGNED", "the group that the MDM names has a copy here");
    for (const path of ["assign", "replicate", "chunks", "device/add"]) {
      assertEquals((await ask(fixture, `http://sds-1:9100/control/${path}`, { body: {} })).status, 401, path);
    }
  });
});

Deno.test("/control/replicate tells a copy that is under way, and refuses another source", async () => {
  await withSds({}, async (fixture) => {
    const { chunkId } = await written(fixture);
    const { primary, secondary } = fixture.sdc.sdssOf(0);
    const limit = { rebuild_rate_limit_mbps: 1 };
    const limited = await ask(fixture, `${fixture.mdm.url}/api/v1/rebuild/1/limit`, { method: "PUT", body: limit });
    assertEquals(limited.status, 200);
    secondary.crash({ hostDown: false });
    await fixture.until(
      "the member is removed",
      async () => (await fixture.pgs()).every((pg) => pg.members.length === 1),
    );
    await fixture.sdc.refresh();
    await fixture.sdc.write({ chunkIndex: 0, offsetBytes: 0 }, new Uint8Array(CHUNK_BYTES / 2).fill(7));
    secondary.start();
    const status = () => control(fixture, `/control/chunk/${chunkId}/status`, { name: secondary.name });
    await fixture.until("it is being copied", async () => (await status()).json.status === "REBUILDING");
    const [sourceId, otherId] = [primary, secondary].map(({ name }) =>
      sdsOfComponent(fixture.mdm.context.db, asComponentId(name))!.sdsId
    );
    const call = { chunk_id: chunkId, volume_id: 1, source_sds_address: primary.name, rebuild_token: "t" };
    const replicate = (source_sds_id: unknown) =>
      control(fixture, "/control/replicate", { name: secondary.name, body: { ...call, source_sds_id } });
    const underWay = await replicate(sourceId);
    assertEquals([underWay.status, underWay.json.success], [200, false]);
    assertStringIncludes(underWay.json.error_message, "is being copied");
    const refused = await replicate(otherId);
    assertEquals(refused.status, 409);
    assertStringIncludes(refused.json.detail, `its group is copied from SDS ${sourceId}`);
    await fixture.untilFull();
    assertEquals((await replicate(sourceId)).json.success, true);
  });
});

Deno.test("scenario: a device that is added at an SDS is taken over by the MDM, and stays over a restart", async () => {
  await withSds({}, async (fixture) => {
    const [sds] = fixture.sdss;
    const add = (query: string) =>
      control(fixture, `/control/device/add${query === "" ? "" : `?${query}`}`, { method: "POST" });
    const refused: [string, number, string][] = [
      ["", 422, "device_name"],
      ["device_name=blk1&device_path=blk1", 422, "capacity_gb"],
      ["device_name=blk1&device_path=blk1&capacity_gb=0", 422, "capacity_gb"],
      ["device_name=..%2Fx&device_path=x&capacity_gb=1", 422, "device_name"],
      ["device_name=blk1&device_path=%2Fetc&capacity_gb=1", 400, "must be sds-1/blk1"],
      ["device_name=blk0&device_path=blk0&capacity_gb=1", 409, "of that name"],
    ];
    for (const [query, code, detail] of refused) {
      const answer = await add(query);
      assertEquals(answer.status, code, query);
      assertStringIncludes(answer.json.detail, detail);
    }
    const added = await add("device_name=blk1&device_path=sds-1%2Fblk1&capacity_gb=0.125");
    assertEquals(added.json, { id: 1, device_name: "blk1", status: "MAINTENANCE" });
    assertEquals((await add("device_name=blk1&device_path=blk1&capacity_gb=0.125")).status, 409);
    await fixture.until("the device is open", () => sds!.devices.length === 2);
    const { json: devices } = await mgmt(fixture, "/mgmt/devices");
    assertEquals(devices.map((device: JsonLine) => [device.name, device.status]), [["blk0", "ONLINE"], [
      "blk1",
      "ONLINE",
    ]]);
    const { json: servers } = await ask(fixture, `${fixture.mdm.url}/sds/list`, {});
    const shown = servers.find((row: JsonLine) => row["component_id"] === "sds-1");
    const { json: [, blk1] } = await mgmt(fixture, "/mgmt/devices");
    assertEquals(shown.devices, "blk0,blk1");
    assertEquals(shown.total_capacity_gb * 2 ** 30, devices[0].total_bytes + blk1.total_bytes);
    sds!.crash({ hostDown: false });
    sds!.start();
    await fixture.until("it is open again", () => sds!.devices.length === 2);
    assertEquals((await add("device_name=blk1&device_path=blk1&capacity_gb=0.125")).status, 409);
  });
});

Deno.test("managementRoutes() of an SDS answer with the fields of the predecessor", async () => {
  await withSds({}, async (fixture) => {
    const { chunkId } = await written(fixture);
    await fixture.sleep(3_000);
    const { json: health } = await mgmt(fixture, "/mgmt/health");
    assertEquals([health.component_id, health.status, health.online_devices, health.total_devices], [
      "sds-1",
      "HEALTHY",
      1,
      1,
    ]);
    assertEquals((await mgmt(fixture, "/health")).json.sds_id, health.sds_id);
    const stats = await Promise.all(
      ["sds-1", "sds-2"].map(async (name) => (await mgmt(fixture, "/mgmt/stats", { name })).json),
    );
    assertEquals(Object.keys(stats[0]), [
      "total_io_operations",
      "total_bytes_read",
      "total_bytes_written",
      "total_errors",
      "tokens_consumed",
      "pending_acks",
    ]);
    const sum = (field: string) => stats.reduce((total, row) => total + row[field], 0);
    assertEquals([sum("total_io_operations"), sum("total_bytes_written"), sum("tokens_consumed")], [1, 3, 1]);
    assertEquals([sum("total_errors"), sum("pending_acks")], [1, 0]);
    const { json: page } = await mgmt(fixture, "/mgmt/replicas?limit=1");
    assertEquals(page.replicas.map((row: JsonLine) => [row.chunk_id, row.status]), [[chunkId, "ACTIVE"]]);
    assertEquals(page.next_cursor, null);
    for (const query of ["limit=0", "limit=1001", "cursor=x"]) {
      assertEquals((await mgmt(fixture, `/mgmt/replicas?${query}`)).status, 422, query);
    }
    const beyond = await mgmt(fixture, "/mgmt/replicas?cursor=9-9-9");
    assertEquals(beyond.json, { replicas: [], next_cursor: null });
    for (const path of ["/healthz", "/readyz", "/mgmt/groups"]) assertEquals((await mgmt(fixture, path)).status, 200);
    const text = await mgmt(fixture, "/metrics", { headers: { Accept: "text/plain" } });
    assertStringIncludes(text.json, "powerflex_sds_tokens_consumed_total");
    assertEquals((await mgmt(fixture, "/metrics")).json, (await mgmt(fixture, "/mgmt/stats")).json);
    const { json: { tables } } = await mgmt(fixture, "/mgmt/tables");
    for (const { name } of tables) assertEquals((await mgmt(fixture, `/mgmt/tables/${name}`)).status, 200, name);
    const peers = await Promise.all(
      ["sds-1", "sds-2"].map(async (name) => (await mgmt(fixture, "/mgmt/tables/peer_health", { name })).json.rows),
    );
    assertEquals(peers.map((rows) => rows.map((row: JsonLine) => [row.host, row.open_links])), [
      [["sds-2", 1]],
      [["sds-1", 1]],
    ]);
    const { json: metadata } = await mgmt(fixture, "/mgmt/tables/sds_metadata");
    assertEquals(metadata.rows, [{ name: "node_key", value: "(secret)" }]);
  });
});

Deno.test("managementRoutes() of an SDS stop it for a manager only", async () => {
  await withSds({}, async (fixture) => {
    const [sds] = fixture.sdss;
    const ask = (headers: Record<string, string>) => mgmt(fixture, "/mgmt/shutdown", { body: {}, headers });
    assertEquals((await ask({})).status, 401);
    assertEquals((await ask({ Authorization: "Bearer wrong" })).status, 401);
    assertEquals(sds!.stopWantedCount, 0);
    assertEquals((await ask({ Authorization: `Bearer ${MANAGEMENT_TOKEN}` })).json, { status: "stopping" });
    assertEquals(sds!.stopWantedCount, 1);
  });
});

Deno.test("an SDS is ready once it was added and while one of its devices is online", async () => {
  await withSds({}, async (fixture) => {
    const ready = async (name: string) => {
      const { status, json } = await mgmt(fixture, "/readyz", { name });
      return status === 200 ? json.status : `${status} ${json.detail}`;
    };
    assertEquals(await ready("sds-1"), "ready");
    const stranger = fixture.startSds("sds-9");
    await fixture.sleep(1_000);
    assertEquals(await ready("sds-9"), "503 Not ready: nobody has added this SDS at the MDM so far");
    await fixture.post("/sds/add", {
      name: "sds-9",
      total_capacity_gb: 0.25,
      devices: "blk0",
      protection_domain_id: 1,
    });
    await fixture.until("it has its device", () => stranger.devices.length === 1);
    assertEquals(await ready("sds-9"), "ready");
    stranger.crash({ hostDown: false });
    stranger.close();
  });
});
