import { assertEquals } from "@std/assert";
import { filled, withSds } from "@/tests/support/sds_fixture.ts";

Deno.test("scenario: what is written is read back", async () => {
  await withSds({}, async ({ sdc }) => {
    const place = { chunkIndex: 0, offsetBytes: 0 };
    assertEquals((await sdc.write(place, filled(7, 4096))).code, undefined);
    assertEquals((await sdc.read(place, 4096)).data, filled(7, 4096));
  });
});
