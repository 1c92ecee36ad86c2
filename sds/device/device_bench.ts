/**
 * Time of 4 KiB and 64 KiB operations of a device in the page cache of a real disk: `deno bench -A sds/device/device_bench.ts`.
 *
 * @module
 */
import { type Chunk, chunkKey } from "@/sds/device/chunk.ts";
import { formatDevice } from "@/sds/device/format_device.ts";
import { blockChecksum } from "@/sds/device/layout.ts";
import { openDevice } from "@/sds/device/open_device.ts";
import { systemClock } from "@/shared/clock.ts";
import { BLOCK_BYTES, FRAGMENT_BYTES_MAX } from "@/shared/constants.ts";
import { openDirectory } from "@/shared/disk_deno.ts";
import { assert } from "@/shared/errors.ts";
import { asId, type DeviceId, type NodeId, type PgId, type SdsId, type VtreeId } from "@/shared/ids.ts";
import { systemRandom } from "@/shared/random.ts";

const CHUNK_COUNT = 128;
const NODE_ID = asId<NodeId>(1);
const REGION = 0;

const path = await Deno.makeTempDir();
globalThis.addEventListener("unload", () => Deno.removeSync(path, { recursive: true }));

const disk = openDirectory(path);
const identity = { clusterId: "bench", sdsId: asId<SdsId>(1), deviceId: asId<DeviceId>(1) };
await formatDevice({ disk, ...identity, capacityBytes: 2 * CHUNK_COUNT * 2 ** 20 });
// Every read stays on the event loop: those off it would share the one buffer below.
const limits = { coldReadMs: Infinity };
const device = await openDevice({ disk, identity, clock: systemClock, random: systemRandom, limits });
const pg = device.createPg(asId<PgId>(1), { epoch: 1, complete: true });
await device.commitFull();
device.beginWrite(pg, REGION);
await new Promise((resolve) => device.setIntent(pg, REGION, resolve));

const data = systemRandom.bytes(FRAGMENT_BYTES_MAX);
const block = data.subarray(0, BLOCK_BYTES);
const into = new Uint8Array(FRAGMENT_BYTES_MAX);
const crcs = Uint32Array.from(
  { length: FRAGMENT_BYTES_MAX / BLOCK_BYTES },
  (_, index) => blockChecksum(data.subarray(index * BLOCK_BYTES, (index + 1) * BLOCK_BYTES)),
);

for (let chunkIndex = 0; chunkIndex < CHUNK_COUNT; chunkIndex++) {
  let chunk: Chunk | undefined;
  while (chunk === undefined) {
    chunk = device.createChunk(pg, { vtreeId: asId<VtreeId>(1), nodeId: NODE_ID, chunkIndex, region: REGION });
    if (chunk === undefined) await new Promise((resolve) => device.whenSlotReady(resolve));
  }
  for (let offsetBytes = 0; offsetBytes < 2 ** 20; offsetBytes += data.length) {
    device.writeBlocks(chunk, { offsetBytes, data, crcs, crcIndex: 0 });
  }
}
await device.sync();

function randomChunk(): Chunk {
  const chunk = device.chunk(pg, chunkKey(NODE_ID, Math.floor(systemRandom.fraction() * CHUNK_COUNT)));
  assert(chunk !== undefined, "the chunk was stored above");
  return chunk;
}

function randomOffset(lengthBytes: number): number {
  return Math.floor(systemRandom.fraction() * (2 ** 20 / lengthBytes)) * lengthBytes;
}

for (const bytes of [block, data]) {
  const kib = bytes.length / 1024;
  Deno.bench(`write ${kib} KiB at random`, { group: "write" }, () => {
    device.writeBlocks(randomChunk(), { offsetBytes: randomOffset(bytes.length), data: bytes, crcs, crcIndex: 0 });
  });
  Deno.bench(`read and verify ${kib} KiB at random`, { group: "read" }, () => {
    const read = { offsetBytes: randomOffset(bytes.length), lengthBytes: bytes.length, into, intoOffset: 0 };
    device.readBlocks(randomChunk(), read, (error) => assert(error === undefined, "the block is as it was written"));
  });
}

Deno.bench("sync after one write of 4 KiB", async () => {
  device.writeBlocks(randomChunk(), { offsetBytes: 0, data: block, crcs, crcIndex: 0 });
  await device.sync();
});
