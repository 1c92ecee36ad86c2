/**
 * Replication as an SDC sees it, request by request: merging, order, locks, lanes, epochs, and a member that goes and returns.
 *
 * @module
 */
import { assert, assertEquals, assertRejects } from "@std/assert";
import { TIMES } from "@/shared/constants.ts";
import { errorTraits, StorageError } from "@/shared/errors.ts";
import { FRAME_FLAGS } from "@/shared/wire/header.ts";
import { SeededRandom } from "@/tests/sim/seeded_random.ts";
import type { SdsHost } from "@/tests/sim/sds_host.ts";
import { filled, type RawSdc, type SdsFixture, withSds } from "@/tests/support/sds_fixture.ts";
import { type FrameAnswer, writePayload } from "@/tests/support/session_client.ts";

const BLOCK = 4096;
const FRAGMENT = 64 * 1024;
const START = { chunkIndex: 0, offsetBytes: 0 };

function at(offsetBytes: number, chunkIndex = 0, flags = 0) {
  return { chunkIndex, offsetBytes, flags };
}

/** The first 64 KiB of a chunk. */
async function content(sdc: RawSdc, chunkIndex = 0): Promise<Uint8Array> {
  const { code, data } = await sdc.read(at(0, chunkIndex), FRAGMENT);
  assertEquals(code, undefined);
  return data;
}

function codesOf(answers: readonly FrameAnswer[]): (string | undefined)[] {
  return answers.map(({ code }) => code);
}

/** Chunks that each SDS stores. */
function chunkCounts(fixture: SdsFixture): number[] {
  return fixture.sdss.map((sds) => {
    let count = 0;
    for (const pg of fixture.deviceOf(sds).store.pgs()) count += pg.chunkCount;
    return count;
  });
}

/** Notes when a request is answered. */
function watched(request: Promise<FrameAnswer>): { readonly request: Promise<FrameAnswer>; answered: boolean } {
  const watch = { request, answered: false };
  request.then(() => watch.answered = true);
  return watch;
}

/** Counts the syncs of a device from now on. */
function countSyncs(fixture: SdsFixture, sds: SdsHost): () => number {
  const { store } = fixture.deviceOf(sds);
  const sync = store.sync.bind(store);
  let count = 0;
  store.sync = () => {
    count++;
    return sync();
  };
  return () => count;
}

Deno.test("scenario: what was never written reads as zeros and makes no chunk", async () => {
  await withSds({}, async (fixture) => {
    assertEquals(await content(fixture.sdc), filled(0, FRAGMENT));
    assertEquals(chunkCounts(fixture), [0, 0]);
    assertEquals((await fixture.sdc.remove("trim", START, FRAGMENT)).code, undefined);
    assertEquals(chunkCounts(fixture), [0, 0]);
  });
});

Deno.test("scenario: writes of different blocks of a new chunk at once make one chunk", async () => {
  await withSds({}, async (fixture) => {
    const { sdc } = fixture;
    const answers = await Promise.all(
      Array.from({ length: 16 }, (_, block) => sdc.write(at(block * BLOCK), filled(block + 1, BLOCK))),
    );
    assertEquals(codesOf(answers), answers.map(() => undefined));
    assertEquals(chunkCounts(fixture), [1, 1]);
    const expected = new Uint8Array(FRAGMENT).map((_, index) => Math.floor(index / BLOCK) + 1);
    assertEquals(await content(sdc), expected);
    // The other copy has the same.
    sdc.sdssOf(0).primary.crash({ hostDown: false });
    await fixture.until("the secondary has taken over", async () => (await fixture.pgs()).every(isAlone));
    await sdc.refresh();
    assertEquals(await content(sdc), expected);
  });
});

function isAlone(pg: { readonly members: unknown[] }): boolean {
  return pg.members.length === 1;
}

Deno.test("scenario: parts of blocks are merged with what is there, and overlapping writes take effect in order", async () => {
  await withSds({}, async ({ sdc }) => {
    const random = new SeededRandom("overlapping writes");
    const expected = new Uint8Array(FRAGMENT);
    const answers = [];
    for (let number = 1; number <= 200; number++) {
      const offsetBytes = random.integer(0, FRAGMENT - 1);
      const lengthBytes = Math.min(FRAGMENT - offsetBytes, random.integer(1, 3 * BLOCK));
      expected.fill(number, offsetBytes, offsetBytes + lengthBytes);
      // Not awaited: as many are under way at once as the order of sending allows.
      answers.push(sdc.write(at(offsetBytes), filled(number, lengthBytes)));
      if (number % 40 === 0) assertEquals(new Set(codesOf(await Promise.all(answers))), new Set([undefined]));
    }
    assertEquals(await content(sdc), expected);
  });
});

Deno.test("scenario: trim and write_zeroes leave zeros, in whole blocks only", async () => {
  await withSds({}, async (fixture) => {
    const { sdc } = fixture;
    const expected = filled(9, FRAGMENT);
    await sdc.write(START, expected);
    const steps = [["trim", 1, 0], ["write_zeroes", 3, 0], ["write_zeroes", 5, FRAME_FLAGS.noHole]] as const;
    for (const [kind, block, flags] of steps) {
      assertEquals((await sdc.remove(kind, at(block * BLOCK, 0, flags), BLOCK)).code, undefined);
      expected.fill(0, block * BLOCK, (block + 1) * BLOCK);
      assertEquals(await content(sdc), expected);
      assertEquals((await sdc.remove(kind, at(1), BLOCK)).code, "bad_request");
      assertEquals((await sdc.remove(kind, at(0), 512)).code, "bad_request");
    }
    assertEquals((await sdc.remove("trim", START, 2 ** 20)).code, undefined);
    assertEquals(await content(sdc), filled(0, FRAGMENT));
    assertEquals(chunkCounts(fixture), [0, 0], "a chunk that is trimmed whole is gone on both");
  });
});

Deno.test("scenario: data that differs from its checksum changes nothing and ends the connection", async () => {
  await withSds({}, async ({ sdc }) => {
    await sdc.write(START, filled(1, BLOCK));
    const { session, handle } = await sdc.to(0);
    const payload = writePayload(0, filled(2, BLOCK));
    payload[payload.length - 1]! ^= 1;
    const header = { ...sdc.fields(START, BLOCK), handle, opSession: sdc.sdcSession, opSeq: 1 };
    assertEquals((await session.send({ kind: "write", ...header }, payload)).code, "closed");
    assertEquals((await sdc.read(START, BLOCK)).data, filled(1, BLOCK));
  });
});

Deno.test("scenario: FUA and FLUSH are answered after both members have synced, a plain write before", async () => {
  await withSds({}, async (fixture) => {
    const { sdc, sdss } = fixture;
    await sdc.write(START, filled(1, BLOCK));
    await sdc.flush(0);
    const counts = sdss.map((sds) => countSyncs(fixture, sds));
    await sdc.write(START, filled(2, BLOCK));
    assertEquals(counts.map((count) => count()), [0, 0]);
    await sdc.write(at(0, 0, FRAME_FLAGS.fua), filled(3, BLOCK));
    assertEquals(counts.map((count) => count()), [1, 1]);
    const { pgId, lossGeneration } = sdc.pgOf(0);
    assertEquals((await sdc.flush(0)).groups, [{ pgId, value: 0, lossGeneration }]);
    assertEquals(counts.map((count) => count()), [2, 2]);
  });
});

Deno.test("scenario: a flush of writes that were seen under another loss generation is told flush_lost", async () => {
  await withSds({}, async ({ sdc }) => {
    assertEquals((await sdc.write(START, filled(1, BLOCK))).lossGeneration, sdc.pgOf(0).lossGeneration);
    const { pgId, lossGeneration } = sdc.pgOf(0);
    const { groups } = await sdc.flush(0, lossGeneration + 1);
    assertEquals(groups, [{ pgId, value: errorTraits("flush_lost").wire, lossGeneration }]);
    const { session, handle } = await sdc.to(0);
    assertEquals((await session.send({ kind: "flush", handle })).groups, [], "nothing to flush is flushed");
  });
});

Deno.test("scenario: a request under an older or newer epoch, or of a chunk of another group, changes nothing", async () => {
  await withSds({}, async (fixture) => {
    const { sdc } = fixture;
    await sdc.write(START, filled(1, BLOCK));
    const { session, handle } = await sdc.to(0);
    const fields = sdc.fields(START, BLOCK);
    const ask = (changes: object) =>
      session.send(
        { kind: "write", ...fields, handle, opSession: 1, opSeq: 9, ...changes },
        writePayload(0, filled(2, BLOCK)),
      );
    assertEquals((await ask({ epoch: fields.epoch + 1 })).code, "not_ready");
    assertEquals((await ask({ pgId: 4_000 })).code, "not_primary");
    assertEquals((await ask({ chunkIndex: 1 })).code, "bad_request");
    // The epoch grows when a member goes.
    sdc.sdssOf(0).secondary.crash({ hostDown: false });
    await fixture.until("the member is removed", async () => (await fixture.pgs()).every(isAlone));
    assertEquals((await ask({})).code, "stale_epoch");
    await sdc.refresh();
    assertEquals((await sdc.read(START, BLOCK)).data, filled(1, BLOCK));
  });
});

Deno.test("scenario: a read waits for a write of its blocks that is not on all members, others do not", async () => {
  await withSds({}, async (fixture) => {
    const { sdc } = fixture;
    await sdc.write(START, filled(1, FRAGMENT));
    const { primary, secondary } = sdc.sdssOf(0);
    fixture.partition(primary, secondary, "cut");
    const write = watched(sdc.write(at(BLOCK), filled(2, BLOCK)));
    const overlapping = watched(sdc.read(START, 2 * BLOCK));
    const beside = watched(sdc.read(at(2 * BLOCK), BLOCK));
    await fixture.sleep(300);
    assertEquals([write.answered, overlapping.answered, beside.answered], [false, false, true]);
    assertEquals((await beside.request).data, filled(1, BLOCK));
    fixture.partition(primary, secondary, "heal");
    assertEquals((await write.request).code, undefined);
    const expected = filled(1, 2 * BLOCK).fill(2, BLOCK);
    assertEquals((await overlapping.request).data, expected);
    await fixture.untilFull();
  });
});

Deno.test("scenario: a higher lane makes requests of the older one void that have not started, and no others", async () => {
  await withSds({}, async (fixture) => {
    const { sdc } = fixture;
    await sdc.write(START, filled(1, FRAGMENT));
    const { primary, secondary } = sdc.sdssOf(0);
    fixture.partition(primary, secondary, "cut");
    const started = sdc.write(START, filled(2, 2 * BLOCK));
    const unstarted = sdc.write(at(BLOCK), filled(3, 2 * BLOCK));
    await fixture.sleep(100);
    const newer = await sdc.connect(0);
    assertEquals(codesOf(await Promise.all([started, unstarted])), ["closed", "closed"]);
    const refused = await assertRejects(() => sdc.connect(0, { lane: 1 }), StorageError);
    assertEquals(refused.code, "stale_lane");
    const handle = await newer.openVolume(sdc.token);
    const read = newer.send({ kind: "read", handle, ...sdc.fields(START, 3 * BLOCK) });
    fixture.partition(primary, secondary, "heal");
    assertEquals((await read).data, filled(2, 3 * BLOCK).fill(1, 2 * BLOCK));
  });
});

Deno.test("scenario: a member that is lost delays writes until it is removed, and returns by what it missed alone", async () => {
  await withSds({}, async (fixture) => {
    const { sdc, world } = fixture;
    // One chunk before, one after: a delta brings the second alone.
    for (const chunkIndex of [0, 4]) {
      assertEquals((await sdc.write(at(0, chunkIndex), filled(1, BLOCK))).code, undefined);
    }
    const { primary, secondary } = sdc.sdssOf(0);
    secondary.crash({ hostDown: false });
    const beforeMs = world.time.nowMs;
    const write = watched(sdc.write(START, filled(2, BLOCK)));
    await fixture.sleep(200);
    assertEquals(write.answered, false, "one member alone does not acknowledge under the old epoch");
    assertEquals((await write.request).code, undefined);
    assert(world.time.nowMs - beforeMs < 7_000, `${world.time.nowMs - beforeMs} ms`);
    assert((await fixture.pgs()).some(isAlone), "the MDM recorded it first");
    await sdc.refresh();
    assertEquals((await sdc.write(at(BLOCK), filled(3, BLOCK))).code, undefined);

    secondary.start();
    await fixture.untilFull();
    // What it holds now is looked at by taking the other away.
    primary.crash({ hostDown: false });
    await fixture.until(
      "the returned member serves alone",
      async () => (await fixture.pgs()).every(isAlone) && fixture.deviceOf(secondary).servingCount === 4,
    );
    await sdc.refresh();
    const expected = new Uint8Array(FRAGMENT).fill(2, 0, BLOCK).fill(3, BLOCK, 2 * BLOCK);
    assertEquals(await content(sdc), expected);
    assertEquals(await content(sdc, 4), new Uint8Array(FRAGMENT).fill(1, 0, BLOCK));
  });
});

Deno.test("scenario: a device that stays away is replaced by another, which gets everything", async () => {
  await withSds({ sdsCount: 3, outAfterMs: 5_000 }, async (fixture) => {
    const { sdc, sdss } = fixture;
    for (let chunkIndex = 0; chunkIndex < 8; chunkIndex++) {
      assertEquals((await sdc.write(at(0, chunkIndex), filled(chunkIndex + 1, FRAGMENT))).code, undefined);
    }
    const { primary, secondary } = sdc.sdssOf(0);
    const spare = sdss.find((sds) => sds !== primary && sds !== secondary)!;
    secondary.crash({ hostDown: true });
    await fixture.sleep(10_000);
    await fixture.untilFull();
    primary.crash({ hostDown: true });
    await fixture.until("the spare serves all", async () => (await fixture.pgs()).every(isAlone));
    await sdc.refresh();
    assertEquals(sdc.map.devices.map(({ deviceId }) => deviceId), [fixture.deviceOf(spare).deviceId]);
    for (let chunkIndex = 0; chunkIndex < 8; chunkIndex++) {
      assertEquals(await content(sdc, chunkIndex), filled(chunkIndex + 1, FRAGMENT));
    }
  });
});

Deno.test("scenario: a clean stop leaves no region dirty and none to resync, also of what was just written", async () => {
  await withSds({}, async (fixture) => {
    const { sdc, sdss } = fixture;
    for (let chunkIndex = 0; chunkIndex < 8; chunkIndex++) await sdc.write(at(0, chunkIndex), filled(1, BLOCK));
    const groups = sdss.flatMap((sds) => [...fixture.deviceOf(sds).store.pgs()]);
    const resync = () => groups.map((pg) => countBits(pg.intents.resync));
    const dirty = () => groups.map((pg) => countBits(pg.intents.dirty));
    // Two rounds of clearing later nothing is dirty; the newest regions of each group stay in resync while it serves.
    assert(dirty().every((count) => count > 0), `${dirty()}`);
    await fixture.sleep(4 * TIMES.intentClearMs);
    assertEquals(dirty(), groups.map(() => 0));
    assert(resync().every((count) => count > 0), `${resync()}`);
    await Promise.all(sdss.map((sds) => sds.stop()));
    assertEquals(resync(), groups.map(() => 0));
  });
  await withSds({}, async (fixture) => {
    const groups = fixture.sdss.flatMap((sds) => [...fixture.deviceOf(sds).store.pgs()]);
    await fixture.sdc.write(START, filled(1, BLOCK));
    await Promise.all(fixture.sdss.map((sds) => sds.stop()));
    assertEquals(groups.map((pg) => countBits(pg.intents.dirty)), groups.map(() => 0));
    assertEquals(groups.map((pg) => countBits(pg.intents.resync)), groups.map(() => 0));
  });
});

function countBits(bitmap: Uint8Array): number {
  let count = 0;
  for (const byte of bitmap) for (let bit = 0; bit < 8; bit++) count += byte >> bit & 1;
  return count;
}
