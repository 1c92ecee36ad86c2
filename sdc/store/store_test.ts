import { assertEquals } from "@std/assert";
import { FAILURE_WRITE_MS, FailureLog } from "@/sdc/store/failure_log.ts";
import { type LoggedFailure, SdcStore } from "@/sdc/store/store.ts";
import { asId } from "@/shared/ids.ts";
import { FakeClock } from "@/tests/support/fake_clock.ts";

Deno.test("SdcStore keeps mappings and flush generations over a restart", () => {
  const directory = Deno.makeTempDirSync();
  const paths = { chunks: `${directory}/sdc_chunks.db`, local: `${directory}/sdc_local.db` };
  const mapping = {
    volumeId: asId<never>(4),
    volumeName: "vol-4",
    sizeBytes: 1048576,
    accessMode: "readOnly" as const,
    mappingGeneration: 3,
    mappedAtMs: 1_700_000_000_000,
    devicePath: "naa.6abc",
  };
  try {
    {
      using store = new SdcStore(paths);
      store.saveMappings([{ ...mapping, volumeId: asId<never>(9) }]);
      store.saveMappings([mapping]);
      store.saveFlushGenerations(4, [[100, 1], [101, 2]]);
      store.saveFlushGenerations(4, [[101, 5]]);
    }
    using store = new SdcStore(paths);
    assertEquals(store.loadMappings(), [mapping]);
    assertEquals([...store.flushGenerations(4)], [[100, 1], [101, 5]]);
    assertEquals(store.flushGenerations(5).size, 0);
  } finally {
    Deno.removeSync(directory, { recursive: true });
  }
});

Deno.test("FailureLog writes what failed a second later, in one go", async () => {
  using store = new SdcStore({ chunks: ":memory:", local: ":memory:" });
  const clock = new FakeClock();
  const log = new FailureLog(store, clock);
  const failure: LoggedFailure = {
    atMs: 5,
    volumeId: 7,
    operation: "write",
    offsetBytes: 0,
    lengthBytes: 4096,
    code: "io_error",
    message: "no",
  };
  log.add(failure);
  log.add({ ...failure, atMs: 6 });
  assertEquals(store.recentFailures(10), []);
  await clock.advance(FAILURE_WRITE_MS);
  assertEquals(store.recentFailures(10).map(({ atMs }) => atMs), [6, 5]);
  assertEquals(store.recentFailures(1), [{ ...failure, atMs: 6 }]);
});
