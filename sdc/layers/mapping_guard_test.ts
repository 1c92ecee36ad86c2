import { assertEquals, assertRejects } from "@std/assert";
import type { BlockOperation, BlockRequest } from "@/sdc/block_device.ts";
import { MappingGuard } from "@/sdc/layers/mapping_guard.ts";
import type { SdcMapping } from "@/shared/api/sdc.ts";
import { type ErrorCode, StorageError } from "@/shared/errors.ts";
import { asId } from "@/shared/ids.ts";
import { MemoryBlockDevice } from "@/tests/support/memory_block_device.ts";

const MIB = 1048576;

function mappingOf(accessMode: SdcMapping["accessMode"]): SdcMapping {
  return { volumeId: asId(1), volumeName: "vol", sizeBytes: 4 * MIB, accessMode, mappingGeneration: 1 };
}

function requestOf(operation: BlockOperation, options: Partial<BlockRequest> = {}) {
  const outcomes: (ErrorCode | "ok")[] = [];
  const request: BlockRequest = {
    operation,
    offsetBytes: 0,
    lengthBytes: operation === "flush" ? 0 : 4096,
    forceUnitAccess: false,
    noHole: false,
    data: new Uint8Array(operation === "read" || operation === "write" ? 4096 : 0),
    complete: (error) => outcomes.push(error ?? "ok"),
    ...options,
  };
  return { request, outcomes };
}

function outcomeOf(guard: MappingGuard, operation: BlockOperation, options: Partial<BlockRequest> = {}) {
  const { request, outcomes } = requestOf(operation, options);
  guard.submit(request);
  return outcomes.join();
}

Deno.test("MappingGuard lets through what the mapping allows", () => {
  const guard = new MappingGuard(mappingOf("readOnly"), new MemoryBlockDevice({ sizeBytes: 4 * MIB }));
  assertEquals(guard.readOnly, true);
  assertEquals(["read", "flush"].map((operation) => outcomeOf(guard, operation as BlockOperation)), ["ok", "ok"]);
  for (const operation of ["write", "trim", "write_zeroes"] as const) {
    assertEquals(outcomeOf(guard, operation), "read_only", operation);
  }
  guard.update(mappingOf("readWrite"));
  assertEquals([guard.readOnly, outcomeOf(guard, "write")], [false, "ok"]);
  assertEquals(outcomeOf(guard, "read", { offsetBytes: 4 * MIB - 4095 }), "bad_request");
});

Deno.test("MappingGuard refuses everything once the mapping ended", async () => {
  const guard = new MappingGuard(mappingOf("readWrite"), new MemoryBlockDevice({ sizeBytes: 4 * MIB }));
  guard.end("fenced");
  guard.end("shutting_down");
  for (const operation of ["read", "write", "flush"] as const) assertEquals(outcomeOf(guard, operation), "fenced");
  await assertRejects(() => guard.extents(0, 10), StorageError, "not mapped any more");
});

Deno.test("MappingGuard calls whole chunks fast to zero, unless their space must stay", () => {
  const guard = new MappingGuard(mappingOf("readWrite"), new MemoryBlockDevice({ sizeBytes: 4 * MIB - 4096 }));
  const isFast = (options: Partial<BlockRequest>) => guard.zeroesFast(requestOf("write_zeroes", options).request);
  assertEquals(isFast({ offsetBytes: MIB, lengthBytes: 2 * MIB }), true);
  assertEquals(isFast({ offsetBytes: 3 * MIB, lengthBytes: MIB - 4096 }), true, "the end of the volume");
  assertEquals(isFast({ offsetBytes: MIB, lengthBytes: 2 * MIB, noHole: true }), false);
  assertEquals(isFast({ offsetBytes: MIB, lengthBytes: MIB + 4096 }), false);
  assertEquals(isFast({ offsetBytes: 4096, lengthBytes: MIB }), false);
});
