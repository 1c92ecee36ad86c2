import { assertEquals } from "@std/assert";
import { filled, type SdsFixture, withSds } from "@/tests/support/sds_fixture.ts";

async function usedMib({ sdc, mdm }: SdsFixture): Promise<number | null> {
  const answer = await sdc.ports.http({ method: "GET", url: `${mdm.url}/api/v1/overview`, timeoutMs: 10_000 });
  const bytes = JSON.parse(answer.body).volumes[0].usedBytes;
  return bytes === null ? null : bytes / 2 ** 20;
}

Deno.test("scenario: the MDM knows what a volume uses, also after the death of an SDS and after its own", async () => {
  await withSds({}, async (fixture) => {
    const { sdc, sdss, mdm } = fixture;
    for (let chunkIndex = 0; chunkIndex < 5; chunkIndex++) {
      assertEquals((await sdc.write({ chunkIndex, offsetBytes: 8192 }, filled(1, 4096))).code, undefined);
    }
    await fixture.sleep(2_500);
    assertEquals(await usedMib(fixture), 5);
    sdss[0]!.crash({ hostDown: false });
    await fixture.sleep(15_000);
    assertEquals(await usedMib(fixture), 5, "the other SDS leads every group");
    mdm.crash({ hostDown: false });
    mdm.start();
    await fixture.sleep(5_000);
    assertEquals(await usedMib(fixture), 5, "it is told again");
  });
});
