import { assertEquals } from "@std/assert";
import { DatabaseSync } from "node:sqlite";
import { LocalStore, USES_KEPT_MS } from "@/sds/store/local_store.ts";

const USE = {
  tokenId: "6f1d1b0e-6d3b-4a57-9d51-2f3c6f1d1b0e",
  chunkId: 5,
  success: true,
  bytesProcessed: 3,
  errorMessage: "",
  durationMs: 0.5,
};

Deno.test("LocalStore.purge() drops uses of more than seven days ago, a thousand at a time", () => {
  const store = new LocalStore(new DatabaseSync(":memory:"));
  const nowMs = USES_KEPT_MS + 5_000;
  for (let count = 0; count < 1_200; count++) store.noteUse({ ...USE, atMs: count });
  store.noteUse({ ...USE, atMs: nowMs });
  assertEquals(store.rowsOf("consumed_tokens", { limit: 10, offset: 0 }).length, 0, "written in batches");
  store.flush();
  assertEquals([store.purge(nowMs), store.purge(nowMs), store.purge(nowMs)], [1_000, 200, 0]);
  const [kept] = store.rowsOf("consumed_tokens", { limit: 10, offset: 0 });
  assertEquals([kept!["token_id"], kept!["consumed_at_ms"]], [USE.tokenId, nowMs]);
  store.close();
});

Deno.test("LocalStore.backup() copies the database while it is used; devices and key come back from it", async () => {
  const folder = Deno.makeTempDirSync();
  try {
    const store = new LocalStore(new DatabaseSync(`${folder}/used.db`));
    store.save("ab".repeat(32));
    const device = { name: "blk1", path: "root/blk1", capacityBytes: 1 << 30, addedAtMs: 7 };
    assertEquals(store.addDevice(device), 1);
    store.noteUse({ ...USE, atMs: 1 });
    assertEquals(await store.backup(folder), ["sds_local.db"]);
    store.close();
    const restored = new LocalStore(new DatabaseSync(`${folder}/sds_local.db`));
    assertEquals([restored.load(), restored.devices()], ["ab".repeat(32), [device]]);
    assertEquals(restored.rowsOf("consumed_tokens", { limit: 10, offset: 0 }).length, 1);
    assertEquals(restored.metadata().map((row) => row["value"]), ["(secret)"]);
    restored.close();
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
});
