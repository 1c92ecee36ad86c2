import { assertEquals } from "@std/assert";
import { sdsOfComponent } from "@/mdm/store/sds.ts";
import { signRequest } from "@/shared/http/node_auth.ts";
import { asComponentId } from "@/shared/ids.ts";
import { withSds } from "@/tests/support/sds_fixture.ts";

Deno.test("scenario: an SDS that comes back knows the MDM's calls before it could enrol again", async () => {
  await withSds({}, async (fixture) => {
    const { mdm, sdss, sdc } = fixture;
    const [sds] = sdss;
    const nodeKeyHex = sdsOfComponent(mdm.context.db, asComponentId(sds!.name))!.nodeKeyHex;
    mdm.crash({ hostDown: false });
    sds!.crash({ hostDown: false });
    sds!.start();
    const path = "/control/notice";
    const body = JSON.stringify({ mdmTerm: 1 });
    const statusWith = async (key: string) => {
      const headers = {
        "Content-Type": "application/json",
        ...signRequest({ method: "POST", path, body, nodeKeyHex: key, componentId: sds!.name }),
      };
      return (await sdc.ports.http({
        method: "POST",
        url: `http://${sds!.name}:9100${path}`,
        headers,
        body,
        timeoutMs: 5_000,
      }))
        .status;
    };
    assertEquals(await statusWith("00".repeat(32)), 401);
    assertEquals(await statusWith(nodeKeyHex) < 300, true);
    mdm.start();
  });
});
