import { assertEquals } from "@std/assert";
import { ChunkStore, type ChunkStoreOptions, FILLED_PER_TURN } from "@/sds/device/chunk_store.ts";
import { DevicePg } from "@/sds/device/device_pg.ts";
import type { Turns } from "@/sds/device/turns.ts";
import { asId, type PgId } from "@/shared/ids.ts";
import { NODE_ID, VTREE_ID } from "@/tests/support/device_fixture.ts";

Deno.test("ChunkStore.fill() counts every row, and gives the turn away between many", async () => {
  const rowCount = 2 * FILLED_PER_TURN + 1;
  const pgId = asId<PgId>(1);
  let used = 0;
  const catalogue = {
    *everyChunk() {
      for (let slot = 0; slot < rowCount; slot++) {
        yield { pgId, nodeId: NODE_ID, vtreeId: VTREE_ID, chunkIndex: slot, region: 0, slot, unverified: slot === 3 };
      }
    },
    everyMarkedSlot: () => [],
  };
  const slots = { noteUsed: () => used++ };
  // Only what filling touches.
  const store = new ChunkStore({ chunksMax: 1, catalogue, slots } as unknown as ChunkStoreOptions);
  const pg = new DevicePg(pgId, { intentSlot: 0, epoch: 1, complete: true });
  let pauses = 0;
  const turns = { pause: () => Promise.resolve(void pauses++) } as unknown as Turns;
  await store.fill(new Map([[pgId, pg]]), turns);
  assertEquals([store.count, pg.chunkCount, used, pauses], [rowCount, rowCount, rowCount, 2]);
  assertEquals(pg.unverifiedCounts.get(0), 1);
});
