import { assert, assertEquals, assertThrows } from "@std/assert";
import { type Exchange, SlotTable } from "@/sdc/remote/exchange.ts";

function exchange(): Exchange {
  return {
    lane: undefined,
    requestId: 0,
    wanted: true,
    transmit() {},
    acknowledged() {},
    dataArrived() {},
    flushAnswered() {},
    refused() {},
    connectionLost() {},
    late() {},
    rerouted() {},
  };
}

Deno.test("SlotTable finds a request by its id, once", () => {
  const slots = new SlotTable(2);
  const [a, b] = [exchange(), exchange()];
  const [idA, idB] = [slots.take(a, 5), slots.take(b, 5)];
  assertEquals([slots.freeCount, slots.inFlightCount], [0, 2]);
  assertThrows(() => slots.take(exchange(), 5), Error, "when a slot is free");
  assert(slots.has(idA) && slots.has(idB) && !slots.has(0));
  assert(slots.release(idA) === a);
  assertEquals(slots.has(idA), false, "an answer that comes twice is noticed");
  const idC = slots.take(exchange(), 5);
  assertEquals([idC & 255, idC === idA, slots.has(idA)], [idA & 255, false, false]);
});

Deno.test("SlotTable never gives the id 0 and stays below the ids of control messages", () => {
  const slots = new SlotTable(1);
  const ids = new Set<number>();
  for (let round = 0; round < 2 ** 23 + 10; round++) {
    const id = slots.take(exchange0, 1);
    if (round < 1000 || round > 2 ** 23 - 3) ids.add(id);
    slots.release(id);
  }
  assert(!ids.has(0) && [...ids].every((id) => id < 0x8000_0000));
});
const exchange0 = exchange();

Deno.test("SlotTable keeps the slot of a forgotten request until its answer came", () => {
  const slots = new SlotTable(1);
  const id = slots.take(exchange(), 5);
  slots.forget(id);
  assertEquals([slots.freeCount, slots.has(id)], [0, true]);
  assertEquals(slots.takeAll(), []);
  const other = new SlotTable(1);
  const otherId = other.take(exchange(), 5);
  other.forget(otherId);
  assertEquals([other.release(otherId), other.freeCount], [undefined, 1]);
});

Deno.test("SlotTable tells late and expired requests by its ticks", () => {
  const slots = new SlotTable(4);
  const [quick, slow] = [exchange(), exchange()];
  slots.take(quick, 3);
  assertEquals(slots.tick(2), { expired: false, late: [] });
  slots.take(slow, 60);
  const second = slots.tick(2);
  assertEquals([second.expired, second.late.length, second.late[0] === quick], [false, 1, true]);
  const third = slots.tick(2);
  assertEquals([third.expired, third.late.length], [true, 2]);
});
