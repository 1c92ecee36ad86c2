import { assertEquals } from "@std/assert";
import { poolList } from "@/mgmt/core/lists.ts";
import { overviewFixture } from "@/tests/support/mgmt_fixture.ts";

const GIB = 2 ** 30;

Deno.test("poolList() counts as the MDM does: thin volumes use what is written, thick ones reserve their size", () => {
  const overview = overviewFixture();
  const [volume] = overview.volumes;
  const thin = { ...volume!, sizeBytes: 4 * GIB, usedBytes: GIB };
  const thick = { ...volume!, provisioning: "thick" as const, sizeBytes: 2 * GIB, usedBytes: GIB };
  const [pool] = poolList({ ...overview, volumes: [thin, thick] });
  assertEquals([pool!.used_capacity_gb, pool!.reserved_capacity_gb], [1, 2]);
});
