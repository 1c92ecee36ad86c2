import { assertEquals } from "@std/assert";
import { sdsHeartbeatCallSchema } from "@/shared/api/sds.ts";

const BEAT = { sequence: 0, configVersion: 0, mappingVersion: 0, stopping: false, devices: [], joins: [], io: [] };

Deno.test("sdsHeartbeatCallSchema fills in what an SDS may leave out", () => {
  assertEquals(sdsHeartbeatCallSchema.parse(BEAT), { ...BEAT, deletedNodes: [] });
});

Deno.test("sdsHeartbeatCallSchema refuses ids that are none", () => {
  for (const nodeId of [0, -1, 1.5, "1"]) {
    const message = { ...BEAT, nodeUsage: [{ nodeId, chunkCount: 1 }] };
    assertEquals(sdsHeartbeatCallSchema.safeParse(message).success, false, String(nodeId));
  }
});
