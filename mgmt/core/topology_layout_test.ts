import { assert, assertEquals } from "@std/assert";
import { type Box, dotStates, SERVERS_SHOWN, topologyLayout } from "@/mgmt/core/topology_layout.ts";
import { overviewFixture, sdsFixture } from "@/tests/support/mgmt_fixture.ts";

function overlap(a: Box, b: Box): boolean {
  return a.x < b.x + b.width && b.x < a.x + a.width && a.y < b.y + b.height && b.y < a.y + a.height;
}

for (const orientation of ["wide", "tall"] as const) {
  for (const serverCount of [1, 2, 3, 5, 20]) {
    Deno.test(`topologyLayout() keeps boxes apart and inside, ${orientation}, ${serverCount} servers`, () => {
      const sdss = Array.from({ length: serverCount }, (_, index) => sdsFixture(index + 1));
      const layout = topologyLayout(overviewFixture({ sdss }), orientation);
      const boxes = [...layout.clients, ...layout.pools, ...layout.servers].map(({ box }) => box);
      assertEquals(layout.servers.length, Math.min(serverCount, SERVERS_SHOWN));
      assertEquals(layout.hidden.servers, Math.max(0, serverCount - SERVERS_SHOWN));
      for (const [index, box] of boxes.entries()) {
        assert(box.x >= 0 && box.y >= 0, "within the picture");
        assert(box.x + box.width <= layout.width && box.y + box.height <= layout.height + 0.01, "within the picture");
        for (const other of boxes.slice(index + 1)) assert(!overlap(box, other), "boxes do not overlap");
      }
      assertEquals(layout.edges.length, 1 + layout.servers.length);
    });
  }
}

Deno.test("dotStates() shows a single lost group among thousands", () => {
  const dots = dotStates({ total: 4096, full: 4094, degraded: 1, joining: 0, unavailable: 1 });
  assertEquals(dots.length, 128);
  assertEquals(dots.slice(0, 3), ["unavailable", "degraded", "full"]);
  assertEquals(dotStates({ total: 0, full: 0, degraded: 0, joining: 0, unavailable: 0 }), []);
  const exact = dotStates({ total: 128, full: 79, degraded: 37, joining: 12, unavailable: 0 });
  assertEquals(exact.filter((state) => state === "full").length, 79);
});
