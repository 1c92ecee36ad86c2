import { assertEquals } from "@std/assert";
import { DatabaseSync } from "node:sqlite";
import { LocalStore, USES_KEPT_MS } from "@/sds/store/local_store.ts";
import { restoreDatabase } from "@/shared/backup.ts";
import { PRIVATE_FILE_MODE } from "@/shared/private_files.ts";

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
    const used = new DatabaseSync(`${folder}/used.db`);
    used.exec("PRAGMA journal_mode = WAL");
    const store = new LocalStore(used);
    store.save("ab".repeat(32));
    const device = { name: "blk1", path: "root/blk1", capacityBytes: 1 << 30, addedAtMs: 7 };
    assertEquals(store.addDevice(device), 1);
    store.noteUse({ ...USE, atMs: 1 });
    assertEquals(await store.backup(folder), ["sds_local.db"]);
    assertEquals(Deno.statSync(`${folder}/sds_local.db`).mode! & 0o777, PRIVATE_FILE_MODE, "it holds the node key");
    assertEquals([...Deno.readDirSync(folder)].map(({ name }) => name).filter((name) => name.startsWith("sds_local")), [
      "sds_local.db",
    ], "one file, whatever the journal mode is");
    store.addDevice({ ...device, name: "blk2", path: "root/blk2" });
    store.close();
    restoreDatabase(`${folder}/sds_local.db`, `${folder}/used.db`);
    const restored = new LocalStore(new DatabaseSync(`${folder}/used.db`));
    assertEquals([restored.load(), restored.devices()], ["ab".repeat(32), [device]]);
    assertEquals(restored.rowsOf("consumed_tokens", { limit: 10, offset: 0 }).length, 1);
    assertEquals(restored.metadata().map((row) => row["value"]), ["(secret)"]);
    restored.close();
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
});
