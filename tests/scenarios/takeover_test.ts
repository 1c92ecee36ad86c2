/**
 * Taking over from a primary that is silent, with the MDM away at the wrong moment.
 *
 * @module
 */
import { assert, assertEquals } from "@std/assert";
import { TIMES } from "@/shared/constants.ts";
import type { PgId } from "@/shared/ids.ts";
import type { SdsHost } from "@/tests/sim/sds_host.ts";
import { type SdsFixture, withSds } from "@/tests/support/sds_fixture.ts";

/** Whether the SDS may serve a group now. */
function serves(fixture: SdsFixture, sds: SdsHost, pgId: PgId): boolean {
  return fixture.deviceOf(sds).groups.get(pgId)?.primary?.mayServe() ?? false;
}

Deno.test("scenario: a group that waits for the answer to its takeover is not opened for the old primary", async () => {
  await withSds({}, async (fixture) => {
    const { sdc, mdm } = fixture;
    const { primary, secondary } = sdc.sdssOf(0);
    const { pgId } = sdc.pgOf(0);
    await fixture.until("the primary serves", () => serves(fixture, primary, pgId));

    primary.process.pause();
    await fixture.sleep(TIMES.graceMs - 300);
    mdm.crash({ hostDown: false });
    const pending = () => fixture.deviceOf(secondary).groups.get(pgId)?.secondary?.takeOverPending === true;
    await fixture.until("the secondary asks to take over", pending);
    primary.process.resume();
    // The old primary opens its groups again and again; the MDM's answer may still be "yes".
    for (let step = 0; step < 60; step++) {
      await fixture.sleep(50);
      assertEquals(serves(fixture, primary, pgId), false, "the old primary has no lease for this group");
      assert(pending(), "the request is repeated until it is answered");
    }
    mdm.start();
    for (let step = 0; step < 100; step++) {
      await fixture.sleep(20);
      const both = serves(fixture, primary, pgId) && serves(fixture, secondary, pgId);
      assertEquals(both, false, "I3: two devices serve one group");
    }
    await fixture.until("somebody serves", () => serves(fixture, primary, pgId) || serves(fixture, secondary, pgId));
  });
});
