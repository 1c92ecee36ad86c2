import { assertEquals, assertThrows } from "@std/assert";
import { BufferPool } from "@/shared/buffers.ts";
import { SEND_BUFFER_BYTES, SendQueue } from "@/shared/net/send_queue.ts";
import { FakeClock } from "@/tests/support/fake_clock.ts";
import type { Connection } from "@/shared/transport.ts";

/** A connection whose writes settle when the test says so. */
class HeldConnection implements Connection {
  readonly peer = "held";
  readonly writes: Uint8Array[] = [];
  #settle: ((writtenBytes: number | Error) => void) | undefined;

  read(): Promise<number | null> {
    return Promise.resolve(null);
  }

  write(bytes: Uint8Array): Promise<number> {
    this.writes.push(bytes.slice());
    return new Promise((resolve, reject) => {
      this.#settle = (outcome) => typeof outcome === "number" ? resolve(outcome) : reject(outcome);
    });
  }

  close(): void {
    this.#settle?.(new Error("closed"));
  }

  /** Ends the write in flight: all of it, `writtenBytes` of it, or with an error; then lets the queue go on. */
  async settle(outcome: number | Error = this.writes.at(-1)!.length): Promise<void> {
    this.#settle!(outcome);
    await turn();
  }
}

/** Lets every microtask that is due run. */
function turn(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 0));
}

function heldQueue(queuedBytesMax?: number) {
  const connection = new HeldConnection();
  const errors: unknown[] = [];
  const progress: number[] = [];
  const buffers = new BufferPool();
  const queue: SendQueue = new SendQueue(connection, {
    buffers,
    onError: (error) => errors.push(error),
    onProgress: () => progress.push(queue.queuedBytes),
    ...(queuedBytesMax !== undefined && { queuedBytesMax }),
  });
  return { connection, queue, errors, progress, buffers };
}

/** An owner that counts how often it got its bytes back. */
function owner() {
  return {
    sentCount: 0,
    segmentSent() {
      this.sentCount++;
    },
  };
}

function reserveUint32(queue: SendQueue, value: number): void {
  const offset = queue.reserve(4);
  queue.view.setUint32(offset, value);
}

Deno.test("SendQueue sends what one wakeup appends in one write, and gathers behind a write in flight", async () => {
  const { connection, queue, progress } = heldQueue();
  reserveUint32(queue, 0x01020304);
  queue.append(new Uint8Array([5, 6]));
  assertEquals(queue.queuedBytes, 6);
  await turn();
  assertEquals(connection.writes.map((bytes) => [...bytes]), [[1, 2, 3, 4, 5, 6]]);

  queue.append(new Uint8Array([7]));
  await turn();
  queue.append(new Uint8Array([8]));
  await turn();
  assertEquals(connection.writes.length, 1, "nothing overtakes the write in flight");
  await connection.settle();
  assertEquals([...connection.writes[1]!], [7, 8]);
  await connection.settle();
  assertEquals(queue.queuedBytes, 0);
  assertEquals(progress, [2, 0]);
});

Deno.test("SendQueue goes on after a write that took only a part", async () => {
  const { connection, queue } = heldQueue();
  queue.append(new Uint8Array([1, 2, 3, 4]));
  await turn();
  await connection.settle(3);
  assertEquals([...connection.writes[1]!], [4]);
  assertEquals(queue.queuedBytes, 1);
  await connection.settle();
  assertEquals(queue.queuedBytes, 0);
});

Deno.test("SendQueue.appendSegment() keeps the order and returns each segment after its write", async () => {
  const { connection, queue } = heldQueue();
  const first = owner();
  const second = owner();
  queue.append(new Uint8Array([1]));
  queue.appendSegment(new Uint8Array([2, 2]), first);
  queue.appendSegment(new Uint8Array([3]), second);
  queue.append(new Uint8Array([4]));
  await turn();
  await connection.settle();
  assertEquals(first.sentCount, 0, "its write is in flight");
  await connection.settle();
  assertEquals([first.sentCount, second.sentCount], [1, 0]);
  await connection.settle();
  await connection.settle();
  assertEquals(connection.writes.map((bytes) => [...bytes]), [[1], [2, 2], [3], [4]]);
  assertEquals([first.sentCount, second.sentCount], [1, 1]);
});

Deno.test("SendQueue.append() spreads more than one buffer over several writes", async () => {
  const { connection, queue, buffers } = heldQueue();
  const bytes = new Uint8Array(2 * SEND_BUFFER_BYTES + 10).map((_, index) => index % 251);
  queue.append(new Uint8Array([9]));
  queue.append(bytes);
  await turn();
  while (queue.queuedBytes > 0) await connection.settle();
  const sent = connection.writes.flatMap((part) => [...part]);
  assertEquals(sent.length, bytes.length + 1);
  assertEquals(sent.slice(1), [...bytes]);
  assertEquals(buffers.idleBytes, 4 * SEND_BUFFER_BYTES, "every gathering buffer went back to the pool");
  assertThrows(() => queue.reserve(SEND_BUFFER_BYTES + 1), Error, "fits one send buffer");
});

Deno.test("SendQueue.unreserve() takes a reservation back", async () => {
  const { connection, queue } = heldQueue();
  queue.append(new Uint8Array([1]));
  const offset = queue.reserve(100);
  queue.unreserve(offset);
  queue.append(new Uint8Array([2]));
  await turn();
  assertEquals([...connection.writes[0]!], [1, 2]);
  await connection.settle();
  assertEquals(queue.queuedBytes, 0);
});

Deno.test("SendQueue.drained() resolves when all has left, or never will", async (t) => {
  await t.step("nothing queued: at once", async () => await heldQueue().queue.drained());
  await t.step("queued: after the last write", async () => {
    const { connection, queue } = heldQueue();
    queue.append(new Uint8Array([1]));
    let drained = false;
    const waiting = queue.drained().then(() => drained = true);
    await turn();
    assertEquals(drained, false);
    await connection.settle();
    await waiting;
  });
  await t.step("closed: at once", async () => {
    const { queue } = heldQueue();
    queue.append(new Uint8Array([1]));
    const waiting = queue.drained();
    queue.close();
    await waiting;
  });
});

Deno.test("SendQueue.drainedWithin() gives up on a peer that does not read, and only then", async () => {
  const clock = new FakeClock();
  const { connection, queue } = heldQueue();
  let givenUpCount = 0;
  const giveUp = () => {
    givenUpCount++;
    queue.close();
  };
  queue.append(new Uint8Array([1]));
  const slow = queue.drainedWithin(clock, { limitMs: 100, giveUp });
  await turn();
  await connection.settle();
  await slow;
  await clock.advance(100);
  assertEquals(givenUpCount, 0);
  queue.append(new Uint8Array([1]));
  const silent = queue.drainedWithin(clock, { limitMs: 100, giveUp });
  await clock.advance(100);
  await silent;
  assertEquals(givenUpCount, 1);
  await connection.settle();
});

Deno.test("SendQueue.close() returns waiting segments at once and the one in flight when its write settles", async () => {
  const { connection, queue, errors } = heldQueue();
  const inFlight = owner();
  const waiting = owner();
  queue.appendSegment(new Uint8Array([1]), inFlight);
  await turn();
  queue.appendSegment(new Uint8Array([2]), waiting);
  queue.close();
  assertEquals([inFlight.sentCount, waiting.sentCount], [0, 1]);
  connection.close();
  await turn();
  assertEquals([inFlight.sentCount, waiting.sentCount], [1, 1]);
  assertEquals(errors, [], "closing is not a failure");

  const late = owner();
  queue.appendSegment(new Uint8Array([3]), late);
  reserveUint32(queue, 4);
  await turn();
  assertEquals(late.sentCount, 1);
  assertEquals(connection.writes.length, 1, "nothing leaves a closed queue");
  assertEquals(queue.queuedBytes, 0);
});

Deno.test("SendQueue reports a failed write once and returns every segment", async () => {
  const { connection, queue, errors } = heldQueue();
  const inFlight = owner();
  const waiting = owner();
  queue.appendSegment(new Uint8Array([1]), inFlight);
  queue.appendSegment(new Uint8Array([2]), waiting);
  await turn();
  await connection.settle(new Error("broken pipe"));
  assertEquals(errors.map((error) => (error as Error).message), ["broken pipe"]);
  assertEquals([inFlight.sentCount, waiting.sentCount], [1, 1]);
  assertEquals(queue.closed, true);
});

Deno.test("SendQueue fails when its peer lets more than the limit pile up", async () => {
  const { connection, queue, errors } = heldQueue(100);
  queue.append(new Uint8Array(60));
  await turn();
  queue.append(new Uint8Array(60));
  await turn();
  assertEquals(errors.map((error) => (error as Error).message), [
    "Cannot send to held: 120 bytes wait, it does not read",
  ]);
  connection.close();
  await turn();
  assertEquals(connection.writes.length, 1);
});
