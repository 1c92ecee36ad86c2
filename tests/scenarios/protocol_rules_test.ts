/**
 * Rules of the replication protocol whose breach needs more bad luck than the simulator has in a few hundred runs: a takeover
 * whose outcome is not known yet, requests of a connection that is gone, a member that stands still, a chunk without data.
 *
 * @module
 */
import { assert, assertEquals } from "@std/assert";
import { CHUNK_BYTES, TIMES } from "@/shared/constants.ts";
import type { Group } from "@/sds/replication/group.ts";
import type { SdsHost } from "@/tests/sim/sds_host.ts";
import { filled, type SdsFixture, withSds } from "@/tests/support/sds_fixture.ts";

const BLOCK = 4096;
const START = { chunkIndex: 0, offsetBytes: 0 };
const SECOND_HALF = { chunkIndex: 0, offsetBytes: CHUNK_BYTES / 2 };

/** The group of chunk 0 at an SDS. */
function groupAt(fixture: SdsFixture, sds: SdsHost): Group {
  const group = fixture.deviceOf(sds).groups.get(fixture.sdc.pgOf(0).pgId);
  assert(group !== undefined, `${sds.name} has the group`);
  return group;
}

/** From now on the MDM does not answer this SDS's requests for changes. */
function holdChanges(fixture: SdsFixture, sds: SdsHost): void {
  fixture.deviceOf(sds).changes.ask = () => new Promise(() => {});
}

Deno.test("scenario: a group is not opened again while a takeover is under way", async () => {
  await withSds({}, async (fixture) => {
    const { primary, secondary } = fixture.sdc.sdssOf(0);
    holdChanges(fixture, primary);
    holdChanges(fixture, secondary);
    fixture.partition(primary, secondary, "cut");
    await fixture.until("the secondary asks", () => groupAt(fixture, secondary).secondary!.takeOverPending);
    fixture.partition(primary, secondary, "heal");
    await fixture.sleep(5_000);
    // The MDM may grant the request at any time, so no lease may be given.
    assertEquals(groupAt(fixture, secondary).secondary!.session, undefined);
    assertEquals(groupAt(fixture, primary).primary!.mayServe(), false);
  });
});

Deno.test("scenario: a member that was restarted covers nobody before it knows who leads", async () => {
  await withSds({}, async (fixture) => {
    await fixture.untilFull();
    const { primary, secondary } = fixture.sdc.sdssOf(0);
    const { deviceId, incarnation } = fixture.deviceOf(primary);
    const group = groupAt(fixture, secondary);
    const link = fixture.deviceOf(secondary).linkFrom(deviceId);
    assertEquals(link.pulse(incarnation), []);
    // As after a start: the row is there, the configuration is not.
    group.stop();
    group.config = undefined;
    assertEquals(link.pulse(incarnation), [group.pgId]);
  });
});

Deno.test("scenario: a chunk whose blocks were all trimmed is copied to a new member", async () => {
  await withSds({ sdsCount: 3, outAfterMs: 10_000 }, async (fixture) => {
    const { sdc } = fixture;
    const { primary, secondary } = sdc.sdssOf(0);
    assertEquals((await sdc.write(START, filled(1, BLOCK))).code, undefined);
    assertEquals((await sdc.remove("trim", START, CHUNK_BYTES / 2)).code, undefined);
    assertEquals((await sdc.remove("trim", SECOND_HALF, CHUNK_BYTES / 2)).code, undefined);
    assertEquals(groupAt(fixture, primary).storage!.chunkCount, 1);
    secondary.crash({ hostDown: false });
    await fixture.sleep(12_000);
    await fixture.untilFull();
    const third = fixture.sdss.find((sds) => sds !== primary && sds !== secondary)!;
    assertEquals(groupAt(fixture, third).storage!.chunkCount, 1);
  });
});

Deno.test("scenario: a member that stands still holds neither a flush nor a chunk's lock", async () => {
  await withSds({}, async (fixture) => {
    const { sdc } = fixture;
    const { secondary } = sdc.sdssOf(0);
    assertEquals((await sdc.write(START, filled(1, BLOCK))).code, undefined);
    await fixture.sleep(2_000);
    secondary.process.pause();
    const startedMs = fixture.world.time.nowMs;
    const { code, data } = await sdc.flush(0);
    // It is over once the member is removed; the frame tells of the group that the SDC has to ask again.
    assertEquals(code, undefined);
    assertEquals(new DataView(data.buffer, data.byteOffset).getUint32(4) === 0, false);
    assert(fixture.world.time.nowMs - startedMs < 2 * TIMES.replicationTimeoutMs);
    secondary.process.resume();
  });
});

Deno.test("scenario: requests of a connection that is gone do not hold up a clean stop", async () => {
  await withSds({}, async (fixture) => {
    const { sdc } = fixture;
    const { primary, secondary } = sdc.sdssOf(0);
    assertEquals((await sdc.write(START, filled(1, BLOCK))).code, undefined);
    await fixture.sleep(2_000);
    secondary.process.pause();
    // The second one waits for the first one's lock, and the first one for a member.
    const writes = [2, 3].map((value) => sdc.write(START, filled(value, BLOCK)).catch(() => undefined));
    const read = sdc.read(START, BLOCK).catch(() => undefined);
    await fixture.sleep(300);
    const startedMs = fixture.world.time.nowMs;
    let stopped = false;
    primary.stop().then(() => stopped = true);
    await fixture.sleep(TIMES.stopMs + 5_000);
    assert(stopped, `still stopping after ${fixture.world.time.nowMs - startedMs} ms`);
    await Promise.all([...writes, read]);
    secondary.process.resume();
  });
});
