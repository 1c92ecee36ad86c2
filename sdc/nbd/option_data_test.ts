import { assertEquals } from "@std/assert";
import { decodeExportName, decodeInfoQuery, decodeMetaContextQuery } from "@/sdc/nbd/option_data.ts";
import { contextData, infoData, packed } from "@/tests/support/nbd_client.ts";

Deno.test("decodeInfoQuery() gives name and information types", () => {
  assertEquals(decodeInfoQuery(infoData("dämo", [1, 3])), {
    ok: true,
    value: { exportName: "dämo", infoTypes: [1, 3] },
  });
});

Deno.test("decodeMetaContextQuery() gives name and queries", () => {
  assertEquals(decodeMetaContextQuery(contextData("demo", ["base:", ""])), {
    ok: true,
    value: { exportName: "demo", queries: ["base:", ""] },
  });
});

Deno.test("decoders say which field is wrong", () => {
  const problems = [
    decodeInfoQuery(packed([2, 0])),
    decodeInfoQuery(packed([4, 8], "demo", [2, 0])),
    decodeInfoQuery(packed([4, 4097])),
    decodeInfoQuery(packed([4, 0], [2, 2], [2, 1])),
    decodeInfoQuery(packed([4, 0], [2, 0], "more")),
    decodeMetaContextQuery(packed([4, 0], [4, 0xffffffff])),
    decodeExportName(new Uint8Array([0xc3, 0x28])),
    decodeExportName(new Uint8Array(4097)),
  ].map((decoded) => decoded.ok ? "no problem" : decoded.problem);
  assertEquals(problems, [
    "export name length ends behind the data",
    "export name ends behind the data",
    "export name is 4097 bytes, at most 4096 are allowed",
    "information type ends behind the data",
    "4 bytes follow the last field",
    "query length ends behind the data",
    "export name is not UTF-8",
    "export name is 4097 bytes, at most 4096 are allowed",
  ]);
});
