/**
 * Reads and writes of the JSON port: a segment is cut into fragments, each an operation of the group as those of sessions are.
 * A write is answered when every fragment is on every copy that counts.
 *
 * @module
 */
import { blockCrc } from "@/shared/checksum.ts";
import { BLOCK_BYTES, FRAGMENT_BYTES_MAX } from "@/shared/constants.ts";
import type { ErrorCode } from "@/shared/errors.ts";
import type { NodeId, VtreeId } from "@/shared/ids.ts";
import { FRAME_KINDS } from "@/shared/wire/header.ts";
import type { Group } from "@/sds/replication/group.ts";
import { takeOperation } from "@/sds/replication/primary_operation.ts";
import { takeRead } from "@/sds/replication/read_operation.ts";

/** Which bytes of which chunk. */
export interface ChunkRange {
  readonly vtreeId: VtreeId;
  readonly nodeId: NodeId;
  readonly chunkIndex: number;
  readonly offsetBytes: number;
  readonly lengthBytes: number;
}

interface Fragment {
  readonly offsetBytes: number;
  readonly lengthBytes: number;
}

/** Fragments of a range: none crosses a multiple of {@linkcode FRAGMENT_BYTES_MAX}. */
export function fragmentsOf(range: Fragment): Fragment[] {
  const fragments: Fragment[] = [];
  const endBytes = range.offsetBytes + range.lengthBytes;
  for (let at = range.offsetBytes; at < endBytes;) {
    const next = Math.min(endBytes, (Math.floor(at / FRAGMENT_BYTES_MAX) + 1) * FRAGMENT_BYTES_MAX);
    fragments.push({ offsetBytes: at, lengthBytes: next - at });
    at = next;
  }
  return fragments;
}

/** Writes `data`, which is `range.lengthBytes` long and stays as it is until this resolves; all begins in this turn. */
export async function writeRange(
  group: Group,
  range: ChunkRange,
  data: Uint8Array,
): Promise<ErrorCode | undefined> {
  const codes = await Promise.all(
    fragmentsOf(range).map((fragment) =>
      writeFragment(group, { ...range, ...fragment }, { bytes: data, at: fragment.offsetBytes - range.offsetBytes })
    ),
  );
  return codes.find((code) => code !== undefined);
}

function writeFragment(
  group: Group,
  range: ChunkRange,
  data: { readonly bytes: Uint8Array; readonly at: number },
): Promise<ErrorCode | undefined> {
  return new Promise((resolve) => {
    let outcome: ErrorCode | undefined;
    const operation = takeOperation();
    writeCrcs(operation.crcs, range, data);
    operation.init(group, {
      owner: {
        alive: true,
        operationDone: (_operation, code) => outcome = code,
        operationEnded: () => resolve(outcome),
      },
      fields: {
        kind: FRAME_KINDS.replicate,
        flags: 0,
        requestId: 0,
        ...range,
        region: group.device.regionOf(group, range),
        opSession: 0,
        opSeq: 0,
        traceId: 0,
      },
    });
    operation.borrow(data.bytes, data.at);
    operation.start();
  });
}

/** One checksum per block that the fragment touches, of the part of it that is written. */
function writeCrcs(crcs: Uint32Array, range: Fragment, data: { bytes: Uint8Array; at: number }): void {
  const endAt = data.at + range.lengthBytes;
  let end = Math.min(endAt, data.at + BLOCK_BYTES - range.offsetBytes % BLOCK_BYTES);
  for (let start = data.at, block = 0; start < endAt; block++) {
    crcs[block] = blockCrc(data.bytes, start, end);
    start = end;
    end = Math.min(endAt, end + BLOCK_BYTES);
  }
}

/** Reads into `into`, which is `range.lengthBytes` long; all begins in this turn. */
export async function readRange(
  group: Group,
  range: ChunkRange,
  into: Uint8Array,
): Promise<ErrorCode | undefined> {
  const codes = await Promise.all(
    fragmentsOf(range).map((fragment) => readFragment(group, { range, fragment, into })),
  );
  return codes.find((code) => code !== undefined);
}

function readFragment(
  group: Group,
  read: { readonly range: ChunkRange; readonly fragment: Fragment; readonly into: Uint8Array },
): Promise<ErrorCode | undefined> {
  const { range, fragment, into } = read;
  return new Promise((resolve) => {
    takeRead().begin(group, {
      owner: {
        alive: true,
        readDone(_requestId, { code, bytes, at, lengthBytes }) {
          if (code === undefined) {
            into.set(bytes.subarray(at, at + lengthBytes), fragment.offsetBytes - range.offsetBytes);
          }
          resolve(code);
        },
      },
      fields: { requestId: 0, ...range, ...fragment },
    });
  });
}
