/**
 * A file-system exerciser for a block device, after the idea of fsx: one request after the other of random kind, place and length,
 * every read compared with a mirror. A run that fails is shrunk to few operations that still fail, each of which can be read.
 *
 * @module
 */

/** The kinds of operation, with how often they are drawn. */
const WEIGHTS = { write: 40, read: 30, zero: 10, trim: 10, flush: 5, reopen: 5 } as const;

/** The kind of an operation. */
export type FsxKind = keyof typeof WEIGHTS;

/** One operation; `offsetBytes` and `lengthBytes` mean nothing for flush and reopen. */
export interface FsxOperation {
  readonly kind: FsxKind;
  readonly offsetBytes: number;
  readonly lengthBytes: number;
  /** Force unit access, for what changes data. */
  readonly fua: boolean;
  /** The byte that a write fills its range with, 1 to 255. */
  readonly fill: number;
}

/** The device under test. Each call resolves when it is answered, and rejects with the error that the device gave. */
export interface FsxDevice {
  read(offsetBytes: number, lengthBytes: number): Promise<Uint8Array>;
  write(offsetBytes: number, data: Uint8Array, fua: boolean): Promise<void>;
  /** Afterwards the range reads as zeros. */
  zero(offsetBytes: number, lengthBytes: number, fua: boolean): Promise<void>;
  /** Afterwards the whole blocks in the range read as zeros, and the rest as before. */
  trim(offsetBytes: number, lengthBytes: number, fua: boolean): Promise<void>;
  flush(): Promise<void>;
  /** Closes the connection and opens another. */
  reopen(): Promise<void>;
}

/** Which part of the device is used; it is overwritten. */
export interface FsxRange {
  readonly sizeBytes: number;
  /** Whole blocks of this size are what a trim removes, bytes. */
  readonly blockBytes: number;
}

/** What went wrong: the place of the operation in the list, and how. */
export interface FsxProblem {
  readonly operationIndex: number;
  readonly text: string;
}

/** `count` operations drawn from `seed`: equal seeds give equal lists. */
export function drawOperations(seed: number, { count, range }: { count: number; range: FsxRange }): FsxOperation[] {
  let state = seed >>> 0;
  const below = (limit: number) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * limit);
  };
  const kinds = Object.entries(WEIGHTS).flatMap(([kind, weight]) => Array<FsxKind>(weight).fill(kind as FsxKind));
  const lengths = [512, 4096, 65536, 1 << 20];
  return Array.from({ length: count }, () => {
    const kind = kinds[below(kinds.length)]!;
    const lengthBytes = 1 + below(lengths[below(lengths.length)]!);
    const place = below(range.sizeBytes - lengthBytes + 1);
    const isAligned = below(2) === 0;
    return {
      kind,
      lengthBytes,
      offsetBytes: isAligned ? place - place % range.blockBytes : place,
      fua: below(8) === 0,
      fill: 1 + below(255),
    };
  });
}

/** Runs the operations on a range that is zeroed first, and reads it all at the end; undefined if every byte was right. */
export async function runOperations(
  operations: readonly FsxOperation[],
  { device, range }: { readonly device: FsxDevice; readonly range: FsxRange },
): Promise<FsxProblem | undefined> {
  const mirror = new Uint8Array(range.sizeBytes);
  await device.zero(0, range.sizeBytes, false);
  for (const [operationIndex, operation] of operations.entries()) {
    try {
      const text = await runOne(operation, { device, range, mirror });
      if (text !== undefined) return { operationIndex, text };
    } catch (error) {
      return { operationIndex, text: `${describe(operation)} failed: ${error}` };
    }
  }
  const text = difference(mirror, await device.read(0, range.sizeBytes), 0);
  return text === undefined ? undefined : { operationIndex: operations.length, text: `the last reading: ${text}` };
}

/** What `operation` does, for a person. */
export function describe({ kind, offsetBytes, lengthBytes, fua, fill }: FsxOperation): string {
  if (kind === "flush" || kind === "reopen") return kind;
  const value = kind === "write" ? ` of ${fill}` : "";
  return `${kind}${value} ${lengthBytes} bytes at ${offsetBytes}${fua ? " with FUA" : ""}`;
}

/** Fewer operations of which `fails` says the same: drops ever smaller parts, with at most `runsMax` tries. */
export async function shrink(
  operations: readonly FsxOperation[],
  { fails, runsMax }: { readonly fails: (part: readonly FsxOperation[]) => Promise<boolean>; readonly runsMax: number },
): Promise<readonly FsxOperation[]> {
  let kept = operations;
  let runs = 0;
  for (let size = Math.ceil(kept.length / 2); size >= 1; size = size === 1 ? 0 : Math.ceil(size / 2)) {
    for (let start = 0; start < kept.length && runs < runsMax;) {
      const part = [...kept.slice(0, start), ...kept.slice(start + size)];
      runs++;
      if (await fails(part)) kept = part;
      else start += size;
    }
  }
  return kept;
}

async function runOne(
  operation: FsxOperation,
  { device, range, mirror }: { device: FsxDevice; range: FsxRange; mirror: Uint8Array },
): Promise<string | undefined> {
  const { kind, offsetBytes, lengthBytes, fua, fill } = operation;
  const end = offsetBytes + lengthBytes;
  switch (kind) {
    case "write":
      mirror.fill(fill, offsetBytes, end);
      await device.write(offsetBytes, mirror.slice(offsetBytes, end), fua);
      return undefined;
    case "zero":
      mirror.fill(0, offsetBytes, end);
      await device.zero(offsetBytes, lengthBytes, fua);
      return undefined;
    case "trim": {
      const first = Math.ceil(offsetBytes / range.blockBytes) * range.blockBytes;
      const last = Math.floor(end / range.blockBytes) * range.blockBytes;
      if (first < last) mirror.fill(0, first, last);
      await device.trim(offsetBytes, lengthBytes, fua);
      return undefined;
    }
    case "read": {
      const problem = difference(
        mirror.subarray(offsetBytes, end),
        await device.read(offsetBytes, lengthBytes),
        offsetBytes,
      );
      return problem === undefined ? undefined : `${describe(operation)}: ${problem}`;
    }
    case "flush":
      await device.flush();
      return undefined;
    case "reopen":
      await device.reopen();
      return undefined;
  }
}

function difference(expected: Uint8Array, actual: Uint8Array, offsetBytes: number): string | undefined {
  for (let index = 0; index < expected.length; index++) {
    if (expected[index] !== actual[index]) {
      return `the byte at ${offsetBytes + index} is ${actual[index]} and should be ${expected[index]}`;
    }
  }
  return undefined;
}
