/**
 * What a member does for the primary's repair: verifies blocks, gives one, writes one anew. Each is an operation of the link
 * session and of the group, under the lock of its blocks.
 *
 * @module
 */
import { blockCrc } from "@/shared/checksum.ts";
import { BLOCK_BYTES } from "@/shared/constants.ts";
import { StorageError } from "@/shared/errors.ts";
import type { LinkRequest } from "@/shared/wire/control.ts";
import type { ChunkId } from "@/sds/device/chunk.ts";
import type { Group } from "@/sds/replication/group.ts";
import { type GoodBlock, goodBlock, replaceBlock, statesOf } from "@/sds/replication/local_blocks.ts";
import { LockWait } from "@/sds/replication/lock_wait.ts";

export type RepairRequest = LinkRequest & { kind: "verify_blocks" | "fetch_block" | "mend_block" };

/** Answers a request of a primary that was admitted. @throws {StorageError} bad_request, checksum_mismatch, device_failed */
export async function repairForPrimary(group: Group, request: RepairRequest): Promise<object> {
  const region = group.device.regionOf(group, request.chunk);
  const id: ChunkId = { ...request.chunk, region };
  const { first, end } = request.kind === "verify_blocks" ? request : { first: request.block, end: request.block + 1 };
  if (first >= end) throw new StorageError("bad_request", `Cannot look at blocks ${first} to ${end}: there are none`);
  const place = { ...id, offsetBytes: first * BLOCK_BYTES, lengthBytes: (end - first) * BLOCK_BYTES };
  using lock = await LockWait.take(group.device.locks, place);
  void lock;
  switch (request.kind) {
    case "verify_blocks": {
      const states = await statesOf(group, { id, first, end });
      const page = new DataView(new ArrayBuffer(4 * states.length));
      states.forEach((state, index) => page.setUint32(4 * index, state === "bad" ? 0 : state));
      const bad = states.flatMap((state, index) => state === "bad" ? [first + index] : []);
      return { kind: "blocks_verified", crcsHex: new Uint8Array(page.buffer).toHex(), bad };
    }
    case "fetch_block": {
      const { crc, data } = await goodBlock(group, { id, block: first });
      return { kind: "block_fetched", crc, dataHex: data.toHex() };
    }
    case "mend_block":
      await replaceBlock(group, { id, block: first, content: contentOf(request) });
      return { kind: "done" };
  }
}

function contentOf({ crc, dataHex, block }: RepairRequest & { kind: "mend_block" }): GoodBlock | "damaged" {
  if (dataHex === null) return "damaged";
  const data = Uint8Array.fromHex(dataHex);
  if (crc !== 0 && (blockCrc(data, 0, BLOCK_BYTES) || 1) !== crc) {
    throw new StorageError("checksum_mismatch", `Cannot mend block ${block}: what came differs from its checksum`);
  }
  return { crc, data };
}
