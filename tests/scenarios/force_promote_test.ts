import { assert, assertEquals, assertRejects } from "@std/assert";
import { forcePromote } from "@/mdm/operations/force_promote.ts";
import { BLOCK_BYTES } from "@/shared/constants.ts";
import { StorageError } from "@/shared/errors.ts";
import { filled, withSds } from "@/tests/support/sds_fixture.ts";

const START = { chunkIndex: 0, offsetBytes: 0 };

Deno.test("scenario: a stale copy never serves by itself, only when an operator gives up what is newer, and then says so", async () => {
  await withSds({}, async (fixture) => {
    const { sdc, mdm } = fixture;
    const { primary, secondary } = sdc.sdssOf(0);
    const { pgId } = sdc.pgOf(0);
    const deviceId = fixture.deviceOf(secondary).deviceId;
    assertEquals((await sdc.write(START, filled(1, BLOCK_BYTES))).code, undefined);
    secondary.crash({ hostDown: false });
    assertEquals((await sdc.write(START, filled(2, BLOCK_BYTES))).code, undefined, "the primary goes on alone");
    const seen = sdc.pgOf(0).lossGeneration;
    primary.crash({ hostDown: true });
    secondary.start();
    await fixture.sleep(20_000);
    const serves = () => fixture.deviceOf(secondary).groups.get(pgId)?.primary?.mayServe() ?? false;
    assertEquals(serves(), false);

    const ask = (acceptsDataLoss: boolean, membersAreDestroyed: boolean) =>
      forcePromote(mdm.context, { pgId, deviceId, acceptsDataLoss, membersAreDestroyed });
    const refusal = async (...answers: [boolean, boolean]) =>
      (await assertRejects(async () => await Promise.resolve(ask(...answers)), StorageError)).message;
    assert((await refusal(true, false)).includes("may serve clients unheard"));
    assert((await refusal(false, true)).includes("is lost"));
    assertEquals(serves(), false, "a refusal changes nothing");
    ask(true, true);
    await fixture.until("the stale copy serves", serves);
    await sdc.refresh();
    const answer = await sdc.read(START, BLOCK_BYTES);
    assertEquals(answer.code, undefined);
    assertEquals(sdc.pgOf(0).lossGeneration, seen + 1);

    primary.start();
    await fixture.until(
      "the old primary is a member again, with a full copy",
      async () => (await fixture.pgs()).find((pg) => pg.pg_id === pgId)?.members.length === 2,
    );
  });
});
