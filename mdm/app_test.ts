import { assert, assertEquals } from "@std/assert";
import { tokenKeys } from "@/mdm/store/token_keys.ts";
import { openToken } from "@/shared/auth.ts";
import { asId, type Epoch, type PgId } from "@/shared/ids.ts";
import { pgKey } from "@/tests/support/mdm_fakes.ts";
import { MdmFixture, servedFixture } from "@/tests/support/mdm_fixture.ts";

Deno.test("scenario: three SDSs register, a pool gets its groups with the first volume, fresh is dropped, a token is issued", async (t) => {
  await using fixture = new MdmFixture();
  await fixture.topology(3);
  const sdc = await fixture.addSdc();
  for (const sds of fixture.sdss) sds.storesRows = false;
  const volume = await fixture.ok("POST", "/vol/create", { name: "v", size_gb: 0.5, pool_id: 1 });
  assertEquals(volume, { id: 1, name: "v" });
  await fixture.ok("POST", "/vol/map?volume_id=1&sdc_id=1");
  const session = (await sdc.register()).body;
  const ask = { sdcSession: session.sdcSession, volumeId: 1 };
  await t.step("every group has two members of different SDSs at epoch 1, fresh", async () => {
    await fixture.run(1_000);
    for (const pg of await fixture.pgs()) {
      assertEquals([pg.epoch, pg.fresh, new Set(pg.members.map((m: { sds_id: number }) => m.sds_id)).size], [
        1,
        true,
        2,
      ]);
    }
    assertEquals((await fixture.ok("GET", "/vol/1")).state, "CREATING");
    const refused = await sdc.call("/internal/v1/sdc/token", ask);
    assertEquals([refused.status, refused.body.code], [503, "not_ready"]);
  });
  await t.step("when all rows are reported the mark goes, at the same epoch", async () => {
    for (const sds of fixture.sdss) {
      sds.storesRows = true;
      for (const config of sds.configs.values()) {
        if (config.members.some((member) => member.deviceId === sds.deviceId)) {
          sds.rows.set(config.pgId, { pgId: config.pgId, epoch: config.epoch, complete: true });
        }
      }
    }
    await fixture.run(1_000);
    assertEquals((await fixture.pgs()).map((pg) => [pg.epoch, pg.fresh, pg.state]), Array(4).fill([1, false, "full"]));
    assert([...fixture.sdss[0]!.configs.values()].every((config) => !config.fresh), "the SDSs have fetched it");
  });
  await t.step("then a token says what the mapping allows", async () => {
    const { status, body } = await sdc.call("/internal/v1/sdc/token", ask);
    assertEquals([status, body.accessMode, body.sizeBytes], [200, "readWrite", 2 ** 29]);
    const keys = new Map(tokenKeys(fixture.mdm.context.db).map((key) => [key.keyId, key]));
    const opened = openToken(body.token, keys);
    assert(opened.kind === "ok");
    assertEquals([opened.token.volumeId, opened.token.mode, opened.token.sdcSession], [
      1,
      "readWrite",
      session.sdcSession,
    ]);
    assertEquals(opened.token.expiresAtMs - opened.token.issuedAtMs, 60_000);
    const map = (await sdc.call("/internal/v1/sdc/map", ask)).body;
    assertEquals([map.pgCount, map.pgs.length, map.sdss.length], [
      4,
      4,
      new Set(map.devices.map((d: { sdsId: number }) => d.sdsId)).size,
    ]);
  });
  await t.step("an older session gets none", async () => {
    await sdc.register();
    const { status, body } = await sdc.call("/internal/v1/sdc/token", ask);
    assertEquals([status, body.code], [409, "stale_session"]);
  });
});

Deno.test("scenario: primary and secondary ask at once, the first wins, the other gets the new configuration", async () => {
  await using fixture = await servedFixture();
  const [pg] = await fixture.pgs();
  const primary = fixture.sdsOf(pg.members[0]);
  const secondary = fixture.sdsOf(pg.members[1]);
  const removed = await primary.change([{ kind: "remove_secondary", ...pgKey(pg), deviceId: secondary.deviceId! }]);
  const taken = await secondary.change([{ kind: "take_over", ...pgKey(pg) }]);
  assertEquals(removed.results[0]!.outcome, "changed");
  assertEquals([taken.results[0]!.outcome, taken.results[0]!.reason], ["refused", "stale_epoch"]);
  assertEquals(taken.results[0]!.config, removed.results[0]!.config);
  assertEquals(taken.results[0]!.config!.members.map((member) => member.deviceId), [primary.deviceId!]);
  const [after] = await fixture.pgs();
  assertEquals(
    after.departed.map((copy: { device_id: number; last_epoch: number }) => [copy.device_id, copy.last_epoch]),
    [
      [secondary.deviceId!, 1],
    ],
  );
  const foreign = await secondary.call("/internal/v1/pg/change", {
    asker: { deviceId: primary.deviceId, incarnation: primary.incarnation },
    changes: [{ kind: "bump", ...pgKey(after) }],
  });
  assertEquals(foreign.status, 403, "nobody asks for a device of another SDS");
});

Deno.test("scenario: unmap waits for every SDS, a silent member keeps it unconfirmed, addMember waits for the generation", async (t) => {
  await using fixture = await servedFixture({ waitMs: 2_000 });
  await fixture.addSdc();
  await fixture.ok("POST", "/vol/map?volume_id=1&sdc_id=1");
  await t.step("all answer: done, and each was told", async () => {
    await fixture.ok("POST", "/vol/unmap?volume_id=1&sdc_id=1");
    assertEquals(new Set(fixture.callsTo("/control/revoke").map((call) => call.port)), new Set([9100, 9101, 9102]));
    await fixture.ok("POST", "/vol/map?volume_id=1&sdc_id=1");
  });
  await t.step("one is silent: 503, but the mapping is gone and deletion waits too", async () => {
    fixture.silentPorts.add(9100);
    const answer = await fixture.call("POST", "/vol/unmap?volume_id=1&sdc_id=1");
    assertEquals([answer.status, answer.body.code], [503, "unavailable"]);
    assert(answer.body.detail.includes("sds-1"));
    assertEquals((await fixture.ok("GET", "/vol/1")).mapping_count, 0);
    assertEquals((await fixture.call("DELETE", "/vol/1")).status, 503);
  });
  await t.step("it answers later: confirmed", async () => {
    fixture.silentPorts.clear();
    await fixture.run(1_000);
    await fixture.ok("POST", "/vol/map?volume_id=1&sdc_id=1");
  });
});

Deno.test("scenario: addMember is not recorded before the joiner enforces all mapping generations", async () => {
  await using fixture = await servedFixture();
  await fixture.addSdc();
  const [pg] = await fixture.pgs();
  const primary = fixture.sdsOf(pg.members[0]);
  const secondary = fixture.sdsOf(pg.members[1]);
  await primary.change([{ kind: "remove_secondary", ...pgKey(pg), deviceId: secondary.deviceId! }]);
  secondary.mappingVersion = 0;
  await fixture.ok("POST", "/vol/map?volume_id=1&sdc_id=1");
  await secondary.beat();
  const key = { ...pgKey(pg), epoch: pgKey({ ...pg, epoch: 2 }).epoch };
  const join = {
    kind: "add_member" as const,
    ...key,
    joiner: { deviceId: secondary.deviceId!, incarnation: secondary.incarnation },
  };
  assertEquals((await primary.change([join])).results[0]!.outcome, "not_yet");
  secondary.mappingVersion = undefined;
  await secondary.beat();
  await secondary.beat();
  assertEquals((await primary.change([join])).results[0]!.outcome, "changed");
});

Deno.test("scenario: a deleted volume is gone at once and its rows go when every group reported", async () => {
  await using fixture = await servedFixture();
  assertEquals(await fixture.ok("DELETE", "/vol/1"), { status: "deleted" });
  assertEquals(await fixture.ok("GET", "/vol/list"), []);
  assertEquals((await fixture.call("GET", "/vol/1")).status, 404);
  await fixture.run(500);
  const asked = fixture.sdss.filter((sds) => sds.last!.nodeDeletions.length > 0);
  assert(asked.length > 0);
  const pgs = await fixture.pgs();
  for (const sds of fixture.sdss) {
    const led = pgs.filter((pg) => pg.members[0].device_id === sds.deviceId).map((pg) => pg.pg_id);
    sds.extra = { deletedNodes: [{ nodeId: 1, pgIds: led }] };
  }
  await fixture.run(1_000);
  assertEquals(fixture.sdss.flatMap((sds) => sds.last!.nodeDeletions), []);
  const { db } = fixture.mdm.context;
  assertEquals(
    db.get(
      "SELECT (SELECT COUNT(*) FROM volumes) + (SELECT COUNT(*) FROM node) + (SELECT COUNT(*) FROM vtree) AS rows",
    ),
    Object.assign(Object.create(null), { rows: 0 }),
  );
  await fixture.ok("POST", "/vol/create", { name: "v", size_gb: 0.5, pool_id: 1 });
});

Deno.test("scenario: the MDM restarts: term grows, groups stay, SDSs register again, running joins are adopted", async () => {
  await using fixture = await servedFixture();
  const before = await fixture.pgs();
  const [pg] = before;
  const primary = fixture.sdsOf(pg.members[0]);
  await primary.change([{ kind: "remove_secondary", ...pgKey(pg), deviceId: pg.members[1].device_id }]);
  await fixture.run(1_000);
  const [task] = primary.last!.joinTasks;
  assert(task !== undefined);
  const timeBefore = primary.last!.mdmTimeMs;
  await fixture.restartMdm();
  const { incarnation: _incarnation, mode: _mode, sdsId: _sdsId, ...report } = task;
  primary.joins = [{
    ...report,
    state: "running",
    alarm: false,
    unreachable: false,
    chunksCopied: 3,
    bytesCopied: 3 * 2 ** 20,
    message: "",
  }];
  assertEquals(
    (await fixture.sdss[1]!.call("/internal/v1/sds/heartbeat", {
      ...{ sequence: 99, configVersion: 0, mappingVersion: 0, stopping: false, joins: [], io: [], devices: [] },
    })).body.registered,
    false,
  );
  for (const sds of fixture.sdss) if (sds !== primary) await sds.beat();
  await primary.beat();
  await fixture.run(500);
  assertEquals(primary.last!.mdmTerm, 2);
  assert(primary.last!.mdmTimeMs >= timeBefore);
  assertEquals(primary.last!.joinTasks, [task]);
  const [now] = await fixture.pgs();
  assertEquals([now.epoch, now.join.bytes_copied], [2, 3 * 2 ** 20]);
});

Deno.test("scenario: a device reports a higher epoch than the database has: its group is refused, with an alert", async () => {
  await using fixture = await servedFixture();
  const [pg] = await fixture.pgs();
  const primary = fixture.sdsOf(pg.members[0]);
  primary.rows.set(pgKey(pg).pgId, { pgId: pgKey(pg).pgId, epoch: 9, complete: true });
  await primary.beat();
  const answer = await primary.change([{ kind: "bump", ...pgKey(pg) }]);
  assertEquals([answer.results[0]!.outcome, answer.results[0]!.reason], ["refused", "epoch_ahead"]);
  const { alerts } = await fixture.ok("GET", "/api/v1/overview");
  assertEquals(alerts.map((alert: { key: string }) => alert.key), [`epoch_ahead/pg-${pg.pg_id}`]);
  assertEquals((await fixture.pgs())[0].state, "down");
});

Deno.test("scenario: starts are refused that go back, run twice, or moved to another host", async (t) => {
  await using fixture = await servedFixture();
  const sds = fixture.sdss[0]!;
  const first = sds.incarnation;
  sds.restart();
  assertEquals((await sds.register()).status, 200);
  await t.step("an older counter", async () => {
    const now = sds.incarnation;
    sds.incarnation = first;
    const { status, body } = await sds.register();
    assertEquals([status, body.detail.includes("newest known")], [409, true]);
    sds.incarnation = now;
  });
  await t.step("a copy of the directory beside the running process", async () => {
    const { incarnation } = sds;
    sds.incarnation = { counter: incarnation.counter + 1, random: "ffffffffffffffff" };
    sds.inode = 8;
    assertEquals((await sds.register()).status, 409);
    [sds.incarnation, sds.inode] = [incarnation, 7];
  });
  await t.step("another host, until an operator confirms", async () => {
    sds.up = false;
    await fixture.run(6_000);
    sds.restart();
    sds.hostId = "host-2";
    const { status, body } = await sds.register();
    assertEquals([status, body.detail.includes("confirm_host")], [409, true]);
    await fixture.ok("POST", `/api/v1/devices/${sds.deviceId}/confirm_host`);
    assertEquals((await sds.register()).status, 200);
  });
});

Deno.test("scenario: what a volume uses is the sum of what its living SDSs lead", async () => {
  await using fixture = await servedFixture();
  const usedMib = async () => {
    const bytes = (await fixture.ok("GET", "/api/v1/overview")).volumes[0].usedBytes;
    return bytes === null ? null : bytes / 2 ** 20;
  };
  assertEquals(await usedMib(), null, "nobody has said");
  const [first, second] = fixture.sdss;
  first!.extra = { nodeUsage: [] };
  await first!.beat();
  assertEquals(await usedMib(), 0);
  first!.extra = { nodeUsage: [{ nodeId: asId(1), chunkCount: 3 }, { nodeId: asId(9), chunkCount: 50 }] };
  second!.extra = { nodeUsage: [{ nodeId: asId(1), chunkCount: 4 }] };
  await fixture.run(500);
  assertEquals(await usedMib(), 7);
  for (const sds of fixture.sdss) sds.extra = {};
  await fixture.run(1_000);
  assertEquals(await usedMib(), 7, "left out: as it was told before");
  first!.up = false;
  await fixture.run(5_500);
  assertEquals(await usedMib(), 4, "others lead the groups of a silent SDS");
});

Deno.test("scenario: a change of a group that there is none of is refused alone, the others of the call are made", async () => {
  await using fixture = await servedFixture();
  const [pg] = await fixture.pgs();
  const primary = fixture.sdsOf(pg.members[0]);
  const unknown = { kind: "bump" as const, pgId: asId<PgId>(4711), epoch: asId<Epoch>(1) };
  const answer = await primary.change([unknown, { kind: "bump", ...pgKey(pg) }]);
  assertEquals(answer.results.map(({ pgId, outcome, reason }) => [pgId, outcome, reason]), [
    [4711, "refused", "no_such_group"],
    [pg.pg_id, "changed", ""],
  ]);
  assertEquals(answer.results[0]!.config, null);
});

Deno.test("scenario: a revocation that an SDS has not confirmed is waited for after a restart of the MDM too", async () => {
  await using fixture = await servedFixture({ waitMs: 2_000 });
  await fixture.addSdc();
  await fixture.ok("POST", "/vol/map?volume_id=1&sdc_id=1");
  fixture.silentPorts.add(9100);
  assertEquals((await fixture.call("POST", "/vol/unmap?volume_id=1&sdc_id=1")).status, 503);
  await fixture.restartMdm();
  for (const sds of fixture.sdss) await sds.beat();
  assertEquals(
    (await fixture.call("POST", "/vol/map?volume_id=1&sdc_id=1")).status,
    503,
    "sds-1 may serve older tokens",
  );
  assertEquals((await fixture.call("DELETE", "/vol/1")).status, 503);
  fixture.silentPorts.clear();
  await fixture.run(1_000);
  await fixture.ok("POST", "/vol/map?volume_id=1&sdc_id=1");
  await fixture.restartMdm();
  const told = fixture.callsTo("/control/revoke").length;
  await fixture.run(1_000);
  assertEquals(fixture.callsTo("/control/revoke").length, told, "what was confirmed is not asked for again");
});
