import { assert, assertEquals } from "@std/assert";
import { TIMES } from "@/shared/constants.ts";
import { MdmFixture, servedFixture } from "@/tests/support/mdm_fixture.ts";

Deno.test("scenario: a killed SDS returns: secondaries are told at once, its copies come back by delta, the rows go", async () => {
  await using fixture = await servedFixture();
  const victim = fixture.sdss[0]!;
  const led = (await fixture.pgs()).filter((pg) => pg.members[0].device_id === victim.deviceId);
  assert(led.length > 0, "the first SDS leads some group");
  victim.restart();
  const listed = led[0].members[0].incarnation;
  await victim.beat();
  const dead = fixture.callsTo("/control/peer_dead");
  assertEquals(dead[0]?.body, { mdmTerm: 1, deviceId: victim.deviceId!, incarnation: listed });
  await fixture.excludeFromGroups(victim);
  assertEquals((await fixture.ok("GET", "/pool/1/health")).health, "DEGRADED");
  await fixture.run(1_000);
  const tasks = fixture.sdss.flatMap((sds) => sds.last!.joinTasks);
  assert(tasks.length > 0 && tasks.every((task) => task.mode === "delta" && task.deviceId === victim.deviceId));
  for (const sds of fixture.sdss) await sds.finishJoins();
  await fixture.run(1_500);
  const pgs = await fixture.pgs();
  assertEquals(pgs.map((pg) => [pg.state, pg.departed.length, pg.join]), Array(4).fill(["full", 0, null]));
  const overview = await fixture.ok("GET", "/api/v1/overview");
  assertEquals([overview.health, overview.pools[0].rebuild, overview.pools[0].pgs.full], ["healthy", null, 4]);
  assert(overview.events.some((event: { type: string }) => event.type === "rebuild_complete"));
});

Deno.test("scenario: all SDSs restart on the same boot: every group is activated at once, nothing is lost", async () => {
  await using fixture = await servedFixture();
  const before = await fixture.pgs();
  for (const sds of fixture.sdss) sds.restart();
  for (const sds of fixture.sdss) await sds.beat();
  const after = await fixture.pgs();
  assertEquals(
    after.map((pg) => [pg.epoch, pg.loss_generation, pg.members.length, pg.departed.length]),
    Array(4).fill([2, 0, 1, 1]),
  );
  assertEquals(after.map((pg) => pg.members[0].device_id), before.map((pg) => pg.members[0].device_id));
  for (let round = 0; round < 6; round++) {
    await fixture.run(500);
    for (const sds of fixture.sdss) await sds.finishJoins();
  }
  assertEquals((await fixture.pgs()).map((pg) => pg.state), Array(4).fill("full"));
});

Deno.test("scenario: one of two members returns after a restart of both: it waits for grace, then goes on alone", async () => {
  await using fixture = await servedFixture();
  for (const sds of fixture.sdss) sds.up = false;
  await fixture.run(6_000);
  const one = fixture.sdss[0]!;
  one.restart();
  await fixture.run(4_000);
  const mine = (pgs: { members: { device_id: number }[]; epoch: number }[]) =>
    pgs.filter((pg) => pg.members.some((member) => member.device_id === one.deviceId));
  assertEquals(mine(await fixture.pgs()).map((pg) => pg.epoch), mine(await fixture.pgs()).map(() => 1));
  await fixture.run(2_000);
  const activated = mine(await fixture.pgs());
  assert(activated.length > 0 && activated.every((pg) => pg.epoch === 2 && pg.members.length === 1));
});

Deno.test("scenario: power loss of all hosts raises the loss generation and an alert", async () => {
  await using fixture = await servedFixture();
  for (const sds of fixture.sdss) sds.restart({ newBoot: true });
  for (const sds of fixture.sdss) await sds.beat();
  assertEquals((await fixture.pgs()).map((pg) => [pg.epoch, pg.loss_generation]), Array(4).fill([2, 1]));
  const { alerts } = await fixture.ok("GET", "/api/v1/overview");
  assertEquals(alerts.map((alert: { key: string; severity: string }) => [alert.key, alert.severity]), [
    ["unflushed_writes_lost/pool-1", "critical"],
  ]);
});

Deno.test("scenario: a clean stop before a reboot loses nothing", async () => {
  await using fixture = await servedFixture();
  for (const sds of fixture.sdss) {
    sds.cleanFor = sds.incarnation;
    sds.restart({ newBoot: true });
  }
  for (const sds of fixture.sdss) await sds.beat();
  assertEquals((await fixture.pgs()).map((pg) => [pg.epoch, pg.loss_generation]), Array(4).fill([2, 0]));
});

Deno.test("scenario: an SDS stays away: after outAfterMs its groups get a full copy elsewhere", async () => {
  await using fixture = await servedFixture({
    times: { ...TIMES, outAfterMs: 20_000 },
  });
  const victim = fixture.sdss[0]!;
  victim.up = false;
  await fixture.run(5_500);
  await fixture.excludeFromGroups(victim);
  await fixture.run(10_000);
  assertEquals(fixture.sdss.flatMap((sds) => sds.up ? sds.last!.joinTasks : []), [], "the copy may come back");
  for (let round = 0; round < 15; round++) {
    await fixture.run(1_000);
    for (const sds of fixture.sdss) if (sds.up) await sds.finishJoins();
  }
  const pgs = await fixture.pgs();
  assert(pgs.every((pg) => pg.state === "full" && pg.departed.length === 0));
  assert(pgs.every((pg) => pg.members.every((member: { device_id: number }) => member.device_id !== victim.deviceId)));
});

Deno.test("scenario: a pool with one SDS works with one copy and gets its second by itself", async () => {
  await using fixture = new MdmFixture();
  await fixture.topology(1);
  await fixture.ok("POST", "/vol/create", { name: "v", size_gb: 0.5, pool_id: 1 });
  await fixture.run(1_000);
  assertEquals(
    (await fixture.pgs()).map((pg) => [pg.members.length, pg.fresh, pg.state]),
    Array(4).fill([1, false, "degraded"]),
  );
  assertEquals((await fixture.ok("GET", "/pool/1/health")).health, "DEGRADED");
  await fixture.addSds();
  for (let round = 0; round < 6; round++) {
    await fixture.run(500);
    assert(fixture.sdss[0]!.last!.joinTasks.length <= 2, "two full joins at a time");
    await fixture.sdss[0]!.finishJoins();
  }
  assertEquals((await fixture.pgs()).map((pg) => pg.state), Array(4).fill("full"));
});

Deno.test("scenario: a failed device leaves no departed rows and is replaced at once", async () => {
  await using fixture = await servedFixture();
  const victim = fixture.sdss[0]!;
  victim.failed = true;
  await victim.beat();
  await fixture.excludeFromGroups(victim);
  assertEquals((await fixture.pgs()).flatMap((pg) => pg.departed), []);
  await fixture.run(1_000);
  const tasks = fixture.sdss.flatMap((sds) => sds.last!.joinTasks);
  assert(tasks.length > 0 && tasks.every((task) => task.mode === "full" && task.deviceId !== victim.deviceId));
  assertEquals((await fixture.ok("GET", "/sds/1")).state, "DEGRADED");
});

Deno.test("scenario: a restart of the MDM is no event of the pools: they are judged once the SDSs had time to register", async () => {
  await using fixture = await servedFixture();
  await fixture.restartMdm();
  await fixture.clock.advance(2_000);
  await fixture.run(10_000);
  const { events, health } = await fixture.ok("GET", "/api/v1/overview");
  assertEquals(events.filter((event: { type: string }) => event.type === "pool_health_change"), []);
  assertEquals(health, "healthy");
});

Deno.test("scenario: an SDS dies: nobody is asked to copy to it until it returns, then at once", async () => {
  // The loops do not turn within this test: what happens, happens because of what was said.
  await using fixture = await servedFixture({ loopMs: 3_600_000 });
  const victim = fixture.sdss[0]!;
  victim.up = false;
  await fixture.clock.advance(5);
  await fixture.excludeFromGroups(victim);
  await fixture.run(1_000);
  const tasks = () => fixture.sdss.filter((sds) => sds.up).flatMap((sds) => sds.last!.joinTasks);
  assertEquals(tasks(), [], "the last beat was before the copies departed");
  victim.up = true;
  victim.restart();
  await victim.beat();
  const noticesBefore = fixture.callsTo("/control/notice").length;
  await fixture.clock.advance(50);
  assert(fixture.callsTo("/control/notice").length > noticesBefore, "primaries are told to beat");
  for (const sds of fixture.sdss) await sds.beat();
  assert(tasks().length > 0 && tasks().every((task) => task.mode === "delta" && task.deviceId === victim.deviceId));
});

Deno.test("scenario: a member that was lost is given no copy before it is heard again", async () => {
  await using fixture = await servedFixture();
  const victim = fixture.sdss[0]!;
  await victim.beat();
  victim.up = false;
  await fixture.excludeFromGroups(victim);
  await fixture.run(1_000);
  const tasks = () => fixture.sdss.flatMap((sds) => sds.last!.joinTasks);
  assertEquals(tasks(), []);
  victim.up = true;
  await fixture.run(1_000);
  assert(tasks().length > 0);
});

Deno.test("scenario: joins rest of a device that the MDM hears and primaries do not reach, longer each time", async () => {
  await using fixture = await servedFixture();
  const victim = fixture.sdss[0]!;
  await fixture.excludeFromGroups(victim);
  const tasks = () => fixture.sdss.flatMap((sds) => sds.last!.joinTasks.map((task) => ({ sds, task })));
  const failAll = async () => {
    for (const { sds, task } of tasks()) {
      const failed = { state: "failed", alarm: false, unreachable: true, message: "no link" } as const;
      sds.joins = [...sds.joins, { ...task, ...failed, chunksCopied: 0, bytesCopied: 0 }];
    }
    for (const sds of fixture.sdss) {
      await sds.beat();
      sds.joins = [];
    }
  };
  await fixture.run(1_000);
  assert(tasks().length > 0);
  await failAll();
  await fixture.run(500);
  assertEquals(tasks(), []);
  await fixture.run(1_000);
  assert(tasks().length > 0, "after a second it is tried again");
  await failAll();
  await fixture.run(1_500);
  assertEquals(tasks(), []);
  await fixture.run(1_000);
  for (const sds of fixture.sdss) await sds.finishJoins();
  await fixture.run(500);
  assertEquals((await fixture.pgs()).map((pg) => pg.state), Array(4).fill("full"));
});

Deno.test("scenario: a group whose primary fell silent is being taken over, and cannot be served only when nobody does", async () => {
  await using fixture = await servedFixture();
  const victim = fixture.sdss[0]!;
  const led = (await fixture.pgs()).filter((pg) => pg.members[0].device_id === victim.deviceId).length;
  victim.up = false;
  const pool = async () => (await fixture.ok("GET", "/api/v1/overview")).pools[0];
  await fixture.run(TIMES.memberHeardMs + 500);
  const soon = await pool();
  assertEquals([soon.pgs.unavailable, soon.pgs.takingOver, soon.health], [0, led, "degraded"]);
  await fixture.run(TIMES.graceMs + 2_000);
  const late = await pool();
  assertEquals([late.pgs.unavailable, late.pgs.takingOver, late.health], [led, 0, "failed"]);
});
