/**
 * Bits that flip on a device: reads, merges and joins mend them from the other copy, and what no copy has fails until it is
 * written again (C5, I23; replication design, section 5.6).
 *
 * @module
 */
import { assertEquals, assertStringIncludes } from "@std/assert";
import { overviewOf } from "@/mdm/operations/overview.ts";
import { DATA_FILE, SLOT_BYTES } from "@/sds/device/layout.ts";
import { chunkKey } from "@/sds/device/chunk.ts";
import type { SdsHost } from "@/tests/sim/sds_host.ts";
import { filled, type SdsFixture, VOLUME_CHUNKS, withSds } from "@/tests/support/sds_fixture.ts";

const BLOCK = 4096;

function at(block: number, within = 0) {
  return { chunkIndex: 0, offsetBytes: block * BLOCK + within };
}

/** The stored chunk 0 of volume 1. */
function chunkOf(fixture: SdsFixture, sds: SdsHost) {
  const { store } = fixture.deviceOf(sds);
  return store.chunk(store.pg(fixture.sdc.pgOf(0).pgId)!, chunkKey(fixture.sdc.map.nodeId, 0))!;
}

function flip(fixture: SdsFixture, options: { sds: SdsHost; block: number }): void {
  const { slot } = chunkOf(fixture, options.sds);
  options.sds.disk.flipBit(DATA_FILE, { positionBytes: slot * SLOT_BYTES + options.block * BLOCK + 77, bit: 3 });
}

function counts(fixture: SdsFixture, sds: SdsHost) {
  const { store } = fixture.deviceOf(sds);
  return { repaired: store.repairedBlockCount, damaged: store.totals().damagedBlockCount };
}

async function badHere(fixture: SdsFixture, sds: SdsHost): Promise<number[]> {
  return await fixture.deviceOf(sds).store.findBadBlocks(chunkOf(fixture, sds), { first: 0, end: 256 });
}

Deno.test("scenario: a read that meets a flipped bit gives good data, and the block is good again", async () => {
  await withSds({}, async (fixture) => {
    const { sdc } = fixture;
    await sdc.write(at(0), filled(1, 16 * BLOCK));
    const { primary, secondary } = sdc.sdssOf(0);
    flip(fixture, { sds: primary, block: 3 });
    flip(fixture, { sds: primary, block: 7 });
    flip(fixture, { sds: secondary, block: 5 });
    const { code, data } = await sdc.read(at(0), 16 * BLOCK);
    assertEquals([code, data], [undefined, filled(1, 16 * BLOCK)]);
    assertEquals(counts(fixture, primary), { repaired: 2, damaged: 0 });
    assertEquals(counts(fixture, secondary), { repaired: 1, damaged: 0 }, "the other copy was looked at, and mended");
    assertEquals([await badHere(fixture, primary), await badHere(fixture, secondary)], [[], []]);
  });
});

Deno.test("scenario: a write of a part of a block mends the block before it merges", async () => {
  await withSds({}, async (fixture) => {
    const { sdc } = fixture;
    await sdc.write(at(0), filled(1, BLOCK));
    flip(fixture, { sds: sdc.sdssOf(0).primary, block: 0 });
    assertEquals((await sdc.write(at(0, 100), filled(2, 10))).code, undefined);
    const expected = filled(1, BLOCK).fill(2, 100, 110);
    assertEquals((await sdc.read(at(0), BLOCK)).data, expected);
  });
});

Deno.test("scenario: a block that is bad on both copies fails until it is written, the others do not", async () => {
  await withSds({}, async (fixture) => {
    const { sdc, sdss } = fixture;
    await sdc.write(at(0), filled(1, 4 * BLOCK));
    for (const sds of sdss) flip(fixture, { sds, block: 2 });
    for (let count = 0; count < 20; count++) assertEquals((await sdc.read(at(0), 4 * BLOCK)).code, "checksum_mismatch");
    assertEquals((await sdc.write(at(2, 5), filled(3, 5))).code, "checksum_mismatch", "the rest of the block is lost");
    for (const sds of sdss) assertEquals(counts(fixture, sds), { repaired: 0, damaged: 1 });
    assertEquals((await sdc.read(at(0), 2 * BLOCK)).data, filled(1, 2 * BLOCK));
    await sdc.write(at(2), filled(9, BLOCK));
    assertEquals((await sdc.read(at(2), BLOCK)).data, filled(9, BLOCK));
    for (const sds of sdss) assertEquals(counts(fixture, sds), { repaired: 0, damaged: 0 });
  });
});

Deno.test("scenario: a join copies a damaged block as damaged, not as zeros", async () => {
  await withSds({}, async (fixture) => {
    const { sdc } = fixture;
    await sdc.write(at(0), filled(1, 4 * BLOCK));
    const { primary, secondary } = sdc.sdssOf(0);
    secondary.crash({ hostDown: false });
    await fixture.until(
      "the primary is alone",
      async () => (await fixture.pgs()).every((pg) => pg.members.length === 1),
    );
    await sdc.refresh();
    await sdc.write(at(3), filled(2, BLOCK));
    flip(fixture, { sds: primary, block: 1 });
    assertEquals((await sdc.read(at(1), BLOCK)).code, "checksum_mismatch");
    secondary.start();
    await fixture.untilFull();
    assertEquals(counts(fixture, secondary).damaged, 1);
    await sdc.refresh();
    assertEquals((await sdc.read(at(1), BLOCK)).code, "checksum_mismatch");
    assertEquals((await sdc.read(at(3), BLOCK)).data, filled(2, BLOCK));
  });
});

Deno.test("scenario: a scrub mends what nobody reads, on every copy, once per interval", async () => {
  const scrub = { intervalMs: 60_000, bytesPerSecond: 2 * 2 ** 20 };
  await withSds({ scrub }, async (fixture) => {
    const { sdc } = fixture;
    for (let chunkIndex = 0; chunkIndex < VOLUME_CHUNKS; chunkIndex++) {
      await sdc.write({ chunkIndex, offsetBytes: 0 }, filled(chunkIndex + 1, 16 * BLOCK));
    }
    const { primary, secondary } = sdc.sdssOf(0);
    flip(fixture, { sds: primary, block: 3 });
    flip(fixture, { sds: secondary, block: 3 + 1 });
    await fixture.sleep(55_000);
    assertEquals([counts(fixture, primary).repaired, counts(fixture, secondary).repaired], [0, 0], "not due");
    await fixture.sleep(40_000);
    assertEquals([counts(fixture, primary).repaired, counts(fixture, secondary).repaired], [1, 1]);
    assertEquals([await badHere(fixture, primary), await badHere(fixture, secondary)], [[], []]);
    const chunks = () => fixture.sdss.reduce((sum, sds) => sum + fixture.deviceOf(sds).scrub.counts.chunks, 0);
    assertEquals(chunks(), VOLUME_CHUNKS, "each once, by who leads it");
    for (const sds of fixture.sdss) {
      for (const row of fixture.deviceOf(sds).scrub.rows()) assertEquals([row.run, row.afterKey], [1, -1]);
    }
  });
});

Deno.test("scenario: a scrub that is asked for begins at once; a block without a good copy is marked, and fails until written", async () => {
  await withSds({}, async (fixture) => {
    const { sdc } = fixture;
    await sdc.write(at(0), filled(1, 4 * BLOCK));
    const { primary, secondary } = sdc.sdssOf(0);
    for (const sds of [primary, secondary]) flip(fixture, { sds, block: 2 });
    await fixture.post("/api/v1/pools/1/scrub", {});
    const device = fixture.deviceOf(primary);
    await fixture.until("the block is found", () => device.scrub.counts.damagedBlocks === 1);
    await fixture.sleep(2_000);
    const told = (await fixture.events()).filter(({ type }) => type === "blocks_damaged");
    assertEquals(told.length, 2, "of both devices");
    assertStringIncludes(told[0]!.message, "has 1 blocks of which no copy is good");
    assertEquals(counts(fixture, secondary), { repaired: 0, damaged: 1 });
    assertEquals((await sdc.read(at(2), BLOCK)).code, "checksum_mismatch");
    assertEquals((await sdc.write(at(2), filled(5, BLOCK))).code, undefined);
    assertEquals((await sdc.read(at(0), 4 * BLOCK)).code, undefined);
    assertEquals(counts(fixture, secondary), { repaired: 0, damaged: 0 });
    const alerts = () => overviewOf(fixture.mdm.context).alerts.map(({ key }) => key.split("/")[0]);
    assertEquals(alerts(), ["blocks_damaged", "blocks_damaged"]);
    await fixture.sleep(2_000);
    assertEquals(alerts(), []);
  });
});
