/**
 * Properties of the NBD server under any bytes: its decoders answer instead of throwing, a connection ends with a reason,
 * every buffer comes back, and nothing is allocated beyond the limits. A failing run prints its seed.
 */
import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { NbdConnection } from "@/sdc/nbd/connection.ts";
import { NBD_LIMITS } from "@/sdc/nbd/limits.ts";
import { decodeExportName, decodeInfoQuery, decodeMetaContextQuery } from "@/sdc/nbd/option_data.ts";
import { COMMAND, COMMAND_FLAG, EXPORT_FLAG } from "@/sdc/nbd/protocol.ts";
import { emptyRequestHeader, requestErrno } from "@/sdc/nbd/request_header.ts";
import { RECEIVE_BUFFER_BYTES } from "@/sdc/nbd/receive_buffer.ts";
import { BufferPool, type PooledBuffer } from "@/shared/buffers.ts";
import { systemClock } from "@/shared/clock.ts";
import { SEND_BUFFER_BYTES } from "@/shared/net/send_queue.ts";
import type { Connection } from "@/shared/transport.ts";
import { MemoryBlockDevice, shuffledSchedule } from "@/tests/support/memory_block_device.ts";
import { contextData, infoData, optionBytes, packed, requestBytes } from "@/tests/support/nbd_client.ts";

/** A pool that knows what is out. */
class CountingPool extends BufferPool {
  outBytes = 0;
  outBytesMax = 0;

  override take(byteCount: number): PooledBuffer {
    const buffer = super.take(byteCount);
    this.outBytes += buffer.length;
    this.outBytesMax = Math.max(this.outBytesMax, this.outBytes);
    return buffer;
  }

  override give(buffer: PooledBuffer): void {
    super.give(buffer);
    this.outBytes -= buffer.length;
  }
}

/** A client that sends `parts`, one per read at most, then leaves; it takes all that it is sent. */
class ScriptedConnection implements Connection {
  readonly peer = "script";
  readonly #parts: Uint8Array[];
  #closed = false;

  constructor(parts: readonly Uint8Array[]) {
    this.#parts = parts.filter((part) => part.length > 0);
  }

  read(into: Uint8Array): Promise<number | null> {
    if (this.#closed) return Promise.reject(new Error("closed"));
    const part = this.#parts.shift();
    if (part === undefined) return Promise.resolve(null);
    const count = Math.min(part.length, into.length);
    into.set(part.subarray(0, count));
    if (count < part.length) this.#parts.unshift(part.subarray(count));
    return Promise.resolve(count);
  }

  write(bytes: Uint8Array): Promise<number> {
    if (this.#closed) return Promise.reject(new Error("closed"));
    return Promise.resolve(bytes.length);
  }

  close(): void {
    this.#closed = true;
  }
}

const DEVICE_BYTES = 1 << 20;

/** Serves the script to its end. */
async function serve(parts: readonly Uint8Array[]): Promise<{ reason: string; pool: CountingPool }> {
  let state = 1;
  const random = {
    bytes: (count: number) => new Uint8Array(count),
    fraction: () => (state = (state * 48_271) % 2_147_483_647) / 2_147_483_647,
  };
  const device = new MemoryBlockDevice({
    name: "demo",
    sizeBytes: DEVICE_BYTES,
    schedule: shuffledSchedule(random),
    tellsFastZeroes: true,
  });
  const pool = new CountingPool();
  const totals = { readCount: 0, writeCount: 0, readBytes: 0, writtenBytes: 0, errorCount: 0 };
  const client = new NbdConnection(new ScriptedConnection(parts), {
    exports: { list: () => ["demo"], open: (name) => name === "demo" ? device : undefined },
    clock: systemClock,
    buffers: pool,
    limits: NBD_LIMITS,
    totals,
  });
  const reason = await client.run();
  return { reason, pool };
}

/** Bytes cut at random places, as a network may. */
function cut(bytes: Uint8Array, places: readonly number[]): Uint8Array[] {
  const sorted = [0, ...places.map((place) => place % (bytes.length + 1)).sort((a, b) => a - b), bytes.length];
  return sorted.slice(1).map((end, index) => bytes.subarray(sorted[index], end));
}

const HELLO = packed([4, 3]);
const GO = packed(
  HELLO,
  optionBytes(8),
  optionBytes(10, contextData("demo", ["base:allocation"])),
  optionBytes(7, infoData("demo")),
);

/** A request that is right or nearly right. */
const request = fc.record({
  type: fc.oneof({ arbitrary: fc.integer({ min: 0, max: 8 }), weight: 20 }, { arbitrary: fc.nat(0xffff), weight: 1 }),
  flags: fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 63 })),
  offsetBytes: fc.oneof(fc.nat(DEVICE_BYTES), fc.bigInt({ min: 0n, max: 2n ** 64n - 1n })),
  lengthBytes: fc.oneof(fc.nat(10_000), fc.nat(DEVICE_BYTES), fc.nat(0xffffffff)),
  payload: fc.boolean(),
});

Deno.test("option decoders answer for any bytes, and undo the encoders", () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
    for (const decode of [decodeExportName, decodeInfoQuery, decodeMetaContextQuery]) {
      const decoded = decode(bytes);
      assert(decoded.ok || decoded.problem !== "");
    }
  }));
  const text = fc.string({ unit: "grapheme-ascii", maxLength: 40 });
  fc.assert(fc.property(text, fc.array(text, { maxLength: 5 }), (exportName, queries) => {
    assertEquals(decodeMetaContextQuery(contextData(exportName, queries)), {
      ok: true,
      value: { exportName, queries },
    });
  }));
  fc.assert(fc.property(text, fc.array(fc.nat(0xffff), { maxLength: 5 }), (exportName, infoTypes) => {
    assertEquals(decodeInfoQuery(infoData(exportName, infoTypes)), { ok: true, value: { exportName, infoTypes } });
  }));
});

Deno.test("requestErrno() lets nothing through that lies outside of the export or changes a read-only one", () => {
  const header = fc.record({
    type: fc.integer({ min: 0, max: 9 }),
    flags: fc.nat(63),
    offsetBytes: fc.oneof(fc.nat(2 * DEVICE_BYTES), fc.maxSafeNat()),
    lengthBytes: fc.oneof(fc.nat(2 * DEVICE_BYTES), fc.nat(0xffffffff)),
  });
  fc.assert(fc.property(header, fc.nat(0xfff), (fields, flags) => {
    const checked = { ...emptyRequestHeader(), ...fields };
    if (requestErrno(checked, { sizeBytes: DEVICE_BYTES, flags, allocationContext: true }) !== 0) return;
    assert(fields.type === COMMAND.flush || fields.offsetBytes + fields.lengthBytes <= DEVICE_BYTES);
    if ((flags & EXPORT_FLAG.readOnly) !== 0) {
      const reading: number[] = [COMMAND.read, COMMAND.flush, COMMAND.cache, COMMAND.blockStatus];
      assert(reading.includes(fields.type));
    }
    if ((fields.flags & COMMAND_FLAG.fastZero) !== 0) assert((flags & EXPORT_FLAG.sendFastZero) !== 0);
  }));
});

Deno.test("NbdConnection ends with a reason and returns every buffer, whatever arrives in the handshake", async () => {
  const option = fc.oneof(
    fc.tuple(fc.nat(12), fc.uint8Array({ maxLength: 60 })).map(([type, data]) => optionBytes(type, data)),
    fc.tuple(fc.nat(12), fc.nat(0xffffffff)).map(([type, length]) => packed("IHAVEOPT", [4, type], [4, length])),
    fc.uint8Array({ maxLength: 40 }),
  );
  const places = fc.array(fc.nat(), { maxLength: 8 });
  await fc.assert(
    fc.asyncProperty(fc.array(option, { maxLength: 6 }), places, async (options, cuts) => {
      const { reason, pool } = await serve(cut(packed(HELLO, ...options), cuts));
      assert(reason.length > 0);
      assertEquals(pool.outBytes, 0);
      assert(pool.outBytesMax <= RECEIVE_BUFFER_BYTES + 2 * SEND_BUFFER_BYTES);
    }),
    { numRuns: 200 },
  );
});

Deno.test("NbdConnection ends with a reason and returns every buffer, whatever requests arrive", async () => {
  const places = fc.array(fc.nat(), { maxLength: 8 });
  const garbage = fc.uint8Array({ maxLength: 40 });
  await fc.assert(
    fc.asyncProperty(fc.array(request, { maxLength: 12 }), garbage, places, async (requests, tail, cuts) => {
      const frames = requests.map((fields) => {
        const payloadBytes = fields.payload && fields.type === COMMAND.write && fields.lengthBytes <= 100_000
          ? fields.lengthBytes
          : 0;
        return packed(requestBytes(fields), new Uint8Array(payloadBytes));
      });
      const { reason, pool } = await serve(cut(packed(GO, ...frames, tail), cuts));
      assert(reason.length > 0);
      assertEquals(pool.outBytes, 0);
      // Buffers are at most twice as large as what they hold.
      assert(pool.outBytesMax <= 2 * NBD_LIMITS.bytesInFlightMax + RECEIVE_BUFFER_BYTES + 8 * SEND_BUFFER_BYTES);
    }),
    { numRuns: 150 },
  );
});
