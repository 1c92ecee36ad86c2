/**
 * Rules of the replication protocol whose breach needs more bad luck than the simulator has in a few hundred runs: a takeover
 * whose outcome is not known yet, requests of a connection that is gone, a member that stands still, a chunk without data.
 *
 * @module
 */
import { assert, assertEquals } from "@std/assert";
import { signPgConfig } from "@/shared/api/pg.ts";
import { CHUNK_BYTES, TIMES } from "@/shared/constants.ts";
import { StorageError } from "@/shared/errors.ts";
import { asId, type Epoch } from "@/shared/ids.ts";
import { FRAME_FLAGS } from "@/shared/wire/header.ts";
import type { SlotCallback } from "@/sds/device/slot_pool.ts";
import type { Group } from "@/sds/replication/group.ts";
import type { LinkIn } from "@/sds/replication/link_in.ts";
import type { SdsHost } from "@/tests/sim/sds_host.ts";
import { filled, type SdsFixture, VOLUME_CHUNKS, withSds } from "@/tests/support/sds_fixture.ts";

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

Deno.test("scenario: a FUA removal of a chunk that is not there is answered after every member has synced", async () => {
  await withSds({}, async (fixture) => {
    const { sdc, sdss } = fixture;
    await fixture.untilFull();
    const counts = sdss.map((sds) => {
      const { store } = fixture.deviceOf(sds);
      const sync = store.sync.bind(store);
      const counted = { count: 0 };
      store.sync = () => {
        counted.count++;
        return sync();
      };
      return counted;
    });
    const kinds = ["trim", "write_zeroes"] as const;
    for (const [index, kind] of kinds.entries()) {
      assertEquals((await sdc.remove(kind, START, CHUNK_BYTES)).code, undefined);
      assertEquals(counts.map(({ count }) => count), [index, index]);
      assertEquals((await sdc.remove(kind, { ...START, flags: FRAME_FLAGS.fua }, BLOCK)).code, undefined);
      assertEquals(counts.map(({ count }) => count), [index + 1, index + 1]);
    }
  });
});

Deno.test("scenario: a member that was asked twice for a new chunk does not refuse it: it may apply the second frame", async () => {
  await withSds({}, async (fixture) => {
    const { sdc } = fixture;
    const { primary, secondary } = sdc.sdssOf(0);
    const { store } = fixture.deviceOf(secondary);
    const [create, whenSlotReady] = [store.createChunk, store.whenSlotReady];
    const waiting: SlotCallback[] = [];
    store.createChunk = () => undefined;
    store.whenSlotReady = (callback) => void waiting.push(callback);
    const write = sdc.write(START, filled(1, BLOCK));
    await fixture.sleep(200);
    const { epoch } = groupAt(fixture, primary);
    const { pgId } = groupAt(fixture, primary);
    await fixture.deviceOf(primary).changes.ask({ kind: "bump", pgId, epoch: asId<Epoch>(epoch) });
    await fixture.until("the group is open under the new epoch", () => groupAt(fixture, primary).primary!.mayServe());
    await fixture.sleep(200);
    Object.assign(store, { createChunk: create, whenSlotReady });
    assertEquals(waiting.length, 1);
    waiting[0]!("pool_full");
    assertEquals((await write).code, undefined);
    await fixture.untilFull();
    for (const sds of [primary, secondary]) assertEquals(groupAt(fixture, sds).storage!.chunkCount, 1, sds.name);
  });
});

Deno.test("scenario: word of a dead primary's process concerns its groups alone", async () => {
  await withSds({ sdsCount: 3, pgCount: 12 }, async (fixture) => {
    await fixture.untilFull();
    const device = fixture.deviceOf(fixture.sdss[0]!);
    const seconded = [...device.groups.values()].filter(({ secondary }) => secondary !== undefined);
    const primaries = new Map(seconded.map(({ config }) => [config!.members[0]!.deviceId, config!.members[0]!]));
    assertEquals(primaries.size, 2);
    // As after a stall: nothing was read from any primary for longer than the grace.
    for (const { secondary } of seconded) secondary!.sinceMs = -Infinity;
    device.linkFrom = () => ({ heardMs: () => -Infinity }) as unknown as LinkIn;
    device.changes.ask = () => new Promise(() => {});
    const [dead] = [...primaries.values()];
    device.peerDead(dead!);
    for (const { config, secondary } of seconded) {
      assertEquals(secondary!.takeOverPending, config!.members[0]!.deviceId === dead!.deviceId);
    }
  });
});

Deno.test("scenario: an answer to a pulse from before a member covered a group changes nothing, a later one does", async () => {
  await withSds({}, async (fixture) => {
    await fixture.untilFull();
    const { primary } = fixture.sdc.sdssOf(0);
    const role = groupAt(fixture, primary).primary!;
    const target = role.targets[0]!;
    target.link.notCovered(target, target.coveredSinceMs);
    assertEquals([target.covered, role.mayServe()], [true, true]);
    target.link.notCovered(target, target.coveredSinceMs + 1);
    assertEquals([target.covered, role.mayServe()], [false, false]);
    await fixture.until("the group is opened again", () => role.mayServe());
  });
});

Deno.test("scenario: a link that is down keeps intents of its groups alone", async () => {
  await withSds({ sdsCount: 3, pgCount: 12 }, async (fixture) => {
    const { sdc } = fixture;
    await fixture.untilFull();
    for (let chunkIndex = 0; chunkIndex < VOLUME_CHUNKS; chunkIndex++) {
      assertEquals((await sdc.write({ chunkIndex, offsetBytes: 0 }, filled(1, BLOCK))).code, undefined);
    }
    for (const sds of fixture.sdss) await fixture.deviceOf(sds).settle();
    for (const sds of fixture.sdss) {
      const device = fixture.deviceOf(sds);
      const led = [...device.groups.values()].filter((group) =>
        group.primary !== undefined && group.storage!.intents.resync.some((bits) => bits !== 0)
      );
      const links = new Set(led.map(({ primary }) => primary!.targets[0]!.link));
      if (links.size < 2) continue;
      const [down] = links;
      down!.request = () => {
        throw new StorageError("unavailable", "the link is down");
      };
      await device.clearIntents(0);
      for (const { primary, storage } of led) {
        const isSet = storage!.intents.resync.some((bits) => bits !== 0);
        assertEquals(isSet, primary!.targets[0]!.link === down);
      }
      return;
    }
    throw new Error("no device leads written groups over two links");
  });
});

Deno.test("scenario: a group whose invariant is broken is served by the other member, the process and other groups go on", async () => {
  await withSds({}, async (fixture) => {
    const { sdc } = fixture;
    await fixture.untilFull();
    assertEquals((await sdc.write(START, filled(1, BLOCK))).code, undefined);
    const { primary, secondary } = sdc.sdssOf(0);
    const group = groupAt(fixture, primary);
    const others = [...fixture.deviceOf(primary).groups.values()].filter((other) => other.primary && other !== group);
    // As if the role had stayed behind the configuration.
    group.config = { ...group.config! };
    assertEquals((await sdc.read(START, BLOCK)).code, "not_ready");
    assertEquals([group.primary, others.every(({ primary }) => primary!.mayServe())], [undefined, true]);
    await fixture.until("the other leads", () => groupAt(fixture, secondary).primary?.mayServe() === true);
    await sdc.refresh();
    assertEquals((await sdc.read(START, BLOCK)).data, filled(1, BLOCK));
  });
});

Deno.test("scenario: a loss generation that would decrease is not adopted, and the group stops", async () => {
  await withSds({}, async (fixture) => {
    await fixture.untilFull();
    const { primary } = fixture.sdc.sdssOf(0);
    const group = groupAt(fixture, primary);
    const { config } = group;
    group.config = { ...config!, lossGeneration: config!.lossGeneration + 1 };
    const device = fixture.deviceOf(primary);
    const next = { ...config!, epoch: asId<Epoch>(config!.epoch + 1) };
    device.adopt(signPgConfig(next, device.context.keys.configKeyHex));
    assertEquals([group.primary, group.epoch], [undefined, config!.epoch]);
  });
});
