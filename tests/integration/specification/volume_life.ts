/** Group "volume life" of the specification: 6 tests. @module */
import { assert, assertEquals } from "@std/assert";
import { eventually, GIB, type SpecificationCluster } from "@/tests/integration/specification/cluster.ts";

/** Declares the group's tests. */
export function volumeLifeTests(cluster: () => SpecificationCluster): void {
  Deno.test("volume life: a thin volume is created and uses nothing before it is written", async () => {
    const { poolId } = await cluster().cleanSlate();
    const id = await cluster().volume("thin", 1);
    const volume = await cluster().ok("GET", `/vol/${id}`);
    assertEquals([volume.name, volume.size_gb, volume.pool_id, volume.provisioning, volume.mapping_count], [
      "thin",
      1,
      poolId,
      "thin",
      0,
    ]);
    assertEquals(volume.used_capacity_gb, 0);
    const same = { name: "thin", size_gb: 1, pool_id: poolId };
    await cluster().refused({ path: "/vol/create", body: same }, { status: 409, says: /taken|of that name/ });
    await cluster().refused({ path: "/vol/create", body: { ...same, name: "none", size_gb: 0 } }, {
      status: 422,
      says: /size_gb/,
    });
  });

  Deno.test("volume life: a thick volume reserves its size when it is created", async () => {
    const { poolId } = await cluster().cleanSlate();
    const id = await cluster().volume("thick", 0.5, { provisioning: "thick" });
    assertEquals((await cluster().ok("GET", `/vol/${id}`)).provisioning, "thick");
    assertEquals((await cluster().ok("GET", `/pool/${poolId}`)).reserved_capacity_gb, 0.5);
    await cluster().ok("DELETE", `/vol/${id}`);
    assertEquals((await cluster().ok("GET", `/pool/${poolId}`)).reserved_capacity_gb, 0);
  });

  Deno.test("volume life: a volume is mapped to an SDC, which serves it", async () => {
    const { volumeId, sdcId } = await cluster().mapped();
    const read = () => cluster().ok("GET", `/vol/${volumeId}`);
    const volume = await eventually(read, ({ state }) => state !== "CREATING");
    assertEquals([volume.state, volume.mapping_count, volume.mappings[0].sdc_id], ["IN_USE", 1, sdcId]);
    assertEquals(volume.mappings[0].access_mode, "readWrite");
    const device = await cluster().device(volumeId);
    device.close();
    const query = `volume_id=${volumeId}&sdc_id=999&access_mode=readWrite`;
    await cluster().refused({ path: `/vol/map?${query}` }, { status: 404, says: /no SDC 999/ });
  });

  Deno.test("volume life: a mapped volume grows, its clients see it, and it does not shrink", async () => {
    const { volumeId, sdcId } = await cluster().mapped();
    const grown = `volume_id=${volumeId}&new_size_gb=0.5`;
    assertEquals(await cluster().ok("POST", `/vol/extend?${grown}`), { status: "extended" });
    assertEquals((await cluster().ok("GET", `/vol/${volumeId}`)).size_gb, 0.5);
    const device = await cluster().device(volumeId);
    const lastByte = GIB / 2 - 1;
    assertEquals((await device.ask({ command: "WRITE", offset_bytes: lastByte, data_b64: "IQ==" })).ok, true);
    device.close();
    const smaller = `volume_id=${volumeId}&new_size_gb=0.25`;
    await cluster().refused({ path: `/vol/extend?${smaller}` }, { status: 400, says: /0\.25|larger|shrink/ });
    const shrink = await cluster().call("POST", `/vol/shrink?${smaller}`);
    assert(shrink.status >= 400, "shrinking is refused until it checks that no data is lost");
    assertEquals((await cluster().ok("GET", `/vol/${volumeId}`)).size_gb, 0.5);
    await cluster().unmap(volumeId, sdcId);
  });

  Deno.test("volume life: an unmapped volume is served no longer", async () => {
    const { volumeId, sdcId } = await cluster().mapped();
    const device = await cluster().device(volumeId);
    await cluster().unmap(volumeId, sdcId);
    const read = await device.ask({ command: "READ", offset_bytes: 0, length_bytes: 16 });
    assert(read === undefined || read.ok === false, "an open connection reads nothing any more");
    device.close();
    const volume = await cluster().ok("GET", `/vol/${volumeId}`);
    assertEquals([volume.state, volume.mapping_count, volume.mappings], ["AVAILABLE", 0, []]);
    const again = `volume_id=${volumeId}&sdc_id=${sdcId}`;
    await cluster().refused({ path: `/vol/unmap?${again}` }, { status: 404, says: /not mapped/ });
  });

  Deno.test("volume life: a volume is deleted once it is unmapped, not before", async () => {
    const { volumeId, sdcId } = await cluster().mapped();
    const path = `/vol/${volumeId}`;
    await cluster().refused({ method: "DELETE", path }, { status: 400, says: /mapped/ });
    assertEquals((await cluster().ok("GET", path)).state, "IN_USE");
    await cluster().unmap(volumeId, sdcId);
    assertEquals(await cluster().ok("DELETE", path), { status: "deleted" });
    await cluster().refused({ method: "GET", path }, { status: 404, says: /no volume/ });
  });
}
