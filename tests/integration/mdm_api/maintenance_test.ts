/**
 * Events, clean-up, backups and computed tables of the MDM's native API.
 */
import { assert, assertEquals } from "@std/assert";
import { createMdm } from "@/mdm/app.ts";
import { openDatabase } from "@/mdm/store/database.ts";
import { listBackups, restoreDatabase } from "@/shared/backup.ts";
import { systemClock } from "@/shared/clock.ts";
import { logger } from "@/shared/log.ts";
import { systemRandom } from "@/shared/random.ts";
import { assertRefused, served } from "@/tests/support/api_refusals.ts";
import { MdmFixture } from "@/tests/support/mdm_fixture.ts";

async function withVolumes(test: (fixture: MdmFixture) => Promise<void>): Promise<void> {
  await using fixture = await served();
  await fixture.run(2_000);
  for (const name of ["test-a", "test-b", "kept"]) {
    await fixture.ok("POST", "/vol/create", { name, size_gb: 4 / 1024, pool_id: 1 });
  }
  await fixture.run(2_000);
  await fixture.ok("POST", "/vol/map?volume_id=1&sdc_id=1");
  await test(fixture);
}

// deno-lint-ignore no-explicit-any -- a test looks at what it expects
async function typesOf(fixture: MdmFixture, query = ""): Promise<any[]> {
  const events = await fixture.ok("GET", `/api/v1/events${query}`);
  return events.map(({ type }: { type: string }) => type);
}

Deno.test("/api/v1/events gives the newest first, filtered and by pages", async (t) => {
  await withVolumes(async (fixture) => {
    const all = await fixture.ok("GET", "/api/v1/events");
    assertEquals([all[0].type, all[0].subject, all[0].severity], ["volume_map", "test-a", "info"]);
    assertEquals(await typesOf(fixture, "?type=volume_create"), Array(3).fill("volume_create"));
    assertEquals((await typesOf(fixture, "?subject=test-a")).toSorted(), ["volume_create", "volume_map"]);
    const page = await fixture.ok("GET", `/api/v1/events?limit=2&before_id=${all[1].eventId}`);
    assertEquals(page, all.slice(2, 4));
    assertEquals(await typesOf(fixture, "?severity=critical"), []);
    assertEquals((await typesOf(fixture, "?type=component_registered")).length, 3);
    await assertRefused(t, fixture, [
      { method: "GET", path: "/api/v1/events?limit=0", status: 422, says: /limit/ },
      { method: "GET", path: "/api/v1/events?severity=bad", status: 422, says: /severity/ },
    ]);
  });
});

Deno.test("/api/v1/events tells of lost copies once per incident", async () => {
  await withVolumes(async (fixture) => {
    const [victim] = fixture.sdss;
    assert(victim !== undefined);
    victim.up = false;
    await fixture.excludeFromGroups(victim);
    const degraded = await fixture.ok("GET", "/api/v1/events?type=replica_degraded");
    assertEquals([degraded.length, degraded[0].subject], [1, "sds-1"]);
  });
});

Deno.test("/api/v1/events tells of IO that failed at an SDC, by volume", async () => {
  await using fixture = new MdmFixture();
  await fixture.topology(2);
  const sdc = await fixture.addSdc();
  await fixture.ok("POST", "/vol/create", { name: "test-a", size_gb: 4 / 1024, pool_id: 1 });
  const message = "Cannot read 512 bytes at 0 of volume test-a";
  const place = { operation: "read", offsetBytes: 0, lengthBytes: 512 };
  const beat = { sdcSession: null, mappingVersion: 0, io: [] };
  const ioFailures = [{ volumeId: 1, count: 3, code: "io_error", message, ...place }];
  assertEquals((await sdc.call("/internal/v1/sdc/heartbeat", { ...beat, ioFailures })).status, 200);
  assertEquals((await sdc.call("/internal/v1/sdc/heartbeat", beat)).status, 200);
  const [event, ...others] = await fixture.ok("GET", "/api/v1/events?type=io_error");
  assertEquals([event.subject, event.severity, others], ["test-a", "error", []]);
  assertEquals(event.message, `3 requests of sdc-1 to test-a failed; the last: ${message}`);
});

Deno.test("/api/v1/cleanup/test_data deletes volumes and keeps the topology", async (t) => {
  await withVolumes(async (fixture) => {
    const topology = async () => {
      const { health: _health, ...pool } = await fixture.ok("GET", "/pool/1");
      return [pool, await fixture.ok("GET", "/sds/list"), await fixture.ok("GET", "/pd/1")];
    };
    const before = await topology();
    await assertRefused(t, fixture, [
      { path: "/api/v1/cleanup/test_data", body: {}, status: 422, says: /confirm: must be true/ },
      { path: "/api/v1/cleanup/test_data", body: { confirm: "yes" }, status: 422, says: /confirm/ },
    ]);
    const prefixed = { confirm: true, name_prefix: "test-" };
    const done = { status: "done", volumes_deleted: 2, mappings_removed: 1, tokens_deleted: 0, events_deleted: 0 };
    assertEquals(await fixture.ok("POST", "/api/v1/cleanup/test_data", prefixed), done);
    assertEquals((await fixture.ok("GET", "/vol/list")).map(({ name }: { name: string }) => name), ["kept"]);
    await fixture.ok("POST", "/vol/map?volume_id=3&sdc_id=1");
    const range = { volume_id: 3, sdc_id: 1, operation: "read", offset_bytes: 0, length_bytes: 1 };
    await fixture.ok("POST", "/io/authorize", range);
    const revoked = await fixture.ok("POST", "/io/authorize", range);
    await fixture.ok("DELETE", `/io/token/${revoked.token_id}/revoke`);
    const all = await fixture.ok("POST", "/api/v1/cleanup/test_data", { confirm: true });
    assertEquals([all.volumes_deleted, all.mappings_removed, all.tokens_deleted], [1, 1, 1]);
    assertEquals((await fixture.ok("GET", `/io/token/${revoked.token_id}`)).status, "REVOKED");
    assertEquals(await typesOf(fixture), []);
    await fixture.run(5_000);
    assertEquals(await topology(), before);
  });
});

Deno.test("/api/v1/cleanup/old deletes what is older than asked for", async (t) => {
  await withVolumes(async (fixture) => {
    const count = (await typesOf(fixture)).length;
    assertEquals((await fixture.ok("POST", "/api/v1/cleanup/old", {})).events_deleted, 0);
    await fixture.clock.advance(1_000);
    assertEquals((await fixture.ok("POST", "/api/v1/cleanup/old", { older_than_days: 0 })).events_deleted, count);
    await assertRefused(t, fixture, [
      { path: "/api/v1/cleanup/old", body: { older_than_days: -1 }, status: 422, says: /older_than_days/ },
      { path: "/api/v1/backups", status: 501, says: /in memory/ },
    ]);
  });
});

Deno.test("/api/v1/tables/{name} computes the tables that have no rows of their own", async (t) => {
  await withVolumes(async (fixture) => {
    const rows = async (name: string) => (await fixture.ok("GET", `/api/v1/tables/${name}`)).rows;
    assertEquals((await rows("chunks")).length, 12);
    assertEquals((await rows("replicas")).length, 24);
    const page = await fixture.ok("GET", "/api/v1/tables/chunks?offset=3&limit=3");
    assertEquals(page.rows.map((row: Record<string, number>) => [row["volume_id"], row["chunk_index"]]), [
      [1, 3],
      [2, 0],
      [2, 1],
    ]);
    assertEquals((await rows("sds_heartbeats")).length, 2);
    assertEquals((await rows("sdc_heartbeats"))[0].component_id, "sdc-1");
    assertEquals((await rows("component_health")).length, 3);
    assertEquals((await rows("registration_history")).length, 3);
    await fixture.run(60_000);
    assertEquals((await rows("heartbeat_log")).length, 2, "the SDC fell silent: STALE, then DOWN");
    assert((await rows("cluster_metrics")).length > 3);
    await fixture.ok("POST", "/cluster/bootstrap/minimal", {});
    assertEquals(await rows("node_metadata"), []);
    const range = { volume_id: 1, sdc_id: 1, operation: "read", offset_bytes: 0, length_bytes: 1 };
    const { token_id } = await fixture.ok("POST", "/io/authorize", range);
    assertEquals((await rows("io_plan_cache"))[0].token_id, token_id);
    await assertRefused(t, fixture, [
      { method: "GET", path: "/api/v1/tables/secrets", status: 422, says: /name/ },
      { method: "GET", path: "/api/v1/tables/chunks?limit=1001", status: 422, says: /limit/ },
    ]);
  });
});

Deno.test("/api/v1/backups copies the running MDM's database; a restored one goes on where the copy was made", async () => {
  const directory = Deno.makeTempDirSync();
  const path = `${directory}/powerflex.db`;
  const started = () => {
    const db = openDatabase(path);
    const options = { auth: "open" as const, backupDirectory: `${directory}/backups` };
    const send = () => Promise.reject(new Error("nobody is called"));
    const mdm = createMdm({ db, clock: systemClock, random: systemRandom, send, log: logger("test"), options });
    const post = (name: string) => mdm.app.request("/pd/create", { method: "POST", body: JSON.stringify({ name }) });
    return { db, mdm, post };
  };
  const stopped = async ({ db, mdm }: ReturnType<typeof started>) => {
    await mdm.stop();
    db.close();
  };
  try {
    const first = started();
    await first.post("before");
    const answer = await first.mdm.app.request("/api/v1/backups", { method: "POST" });
    const made = await answer.json();
    assertEquals([answer.status, made.size_bytes > 0, made.sha256.length], [201, true, 64]);
    await first.post("after");
    const listed = await (await first.mdm.app.request("/api/v1/backups")).json();
    assertEquals(listed.map((file: { path: string }) => file.path), [made.path]);
    assertEquals(listBackups(`${directory}/backups`, "powerflex").length, 1);
    await stopped(first);
    restoreDatabase(made.path, path);
    const second = started();
    const domains = await (await second.mdm.app.request("/pd/list")).json();
    assertEquals(domains.map((domain: { name: string }) => domain.name), ["before"]);
    await stopped(second);
  } finally {
    Deno.removeSync(directory, { recursive: true });
  }
});
