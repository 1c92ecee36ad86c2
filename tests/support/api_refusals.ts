/**
 * What tests of the MDM's API share: a small cluster, and requests that must be refused.
 *
 * @module
 */
import { assert, assertEquals } from "@std/assert";
import { MdmFixture } from "@/tests/support/mdm_fixture.ts";

/** What a request that is wrong must be answered with. */
export interface Refusal {
  readonly method?: string;
  readonly path: string;
  readonly body?: unknown;
  readonly status: number;
  /** Part of `detail`. */
  readonly says: RegExp;
}

/** Each refusal is answered with its status, in the body too, and a detail that says why. */
export async function assertRefused(
  t: Deno.TestContext,
  fixture: MdmFixture,
  refusals: readonly Refusal[],
): Promise<void> {
  for (const { method = "POST", path, body, status, says } of refusals) {
    await t.step(`${method} ${path} ${JSON.stringify(body) ?? ""}: ${status}`, async () => {
      const answer = await fixture.call(method, path, body === undefined ? {} : { body });
      assertEquals([answer.status, answer.body.status], [status, status], JSON.stringify(answer.body));
      assert(says.test(answer.body.detail), answer.body.detail);
    });
  }
}

/** Domain, pool of 10 GB, two SDSs, one SDC; ids 1 and 2. */
export async function served(): Promise<MdmFixture> {
  const fixture = new MdmFixture();
  await fixture.topology(2);
  await fixture.addSdc();
  return fixture;
}
