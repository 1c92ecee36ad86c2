import { assert, assertEquals } from "@std/assert";
import type { BlockDevice } from "@/sdc/block_device.ts";
import type { NbdExports } from "@/sdc/nbd/exports.ts";
import { answerOption, type HaggleState, type OptionAnswer } from "@/sdc/nbd/option_answers.ts";
import { EXPORT_FLAG } from "@/sdc/nbd/protocol.ts";
import { MemoryBlockDevice } from "@/tests/support/memory_block_device.ts";
import { contextData, infoData, packed } from "@/tests/support/nbd_client.ts";

const FRESH: HaggleState = {
  fixedNewstyle: true,
  noZeroes: true,
  structuredReplies: false,
  allocationOf: undefined,
};
const STRUCTURED: HaggleState = { ...FRESH, structuredReplies: true };

function exportsOf(...devices: BlockDevice[]): NbdExports {
  return {
    list: () => devices.map((device) => device.name),
    open: (name) => devices.find((device) => device.name === name),
  };
}

const demo = new MemoryBlockDevice({ name: "demo", sizeBytes: 1 << 20, tellsFastZeroes: true });
const archive = new MemoryBlockDevice({ name: "archive", sizeBytes: 1 << 21, readOnly: true });
const both = exportsOf(demo, archive);

/** Types and data of the replies. */
function replies(answer: OptionAnswer): { type: number; data: Uint8Array }[] {
  return answer.frames.map((frame) => {
    const view = new DataView(frame.buffer, frame.byteOffset);
    return { type: view.getUint32(12), data: frame.subarray(20) };
  });
}

function types(answer: OptionAnswer): number[] {
  return replies(answer).map((reply) => reply.type);
}

function ask(option: number, data: Uint8Array, more: { state?: HaggleState; exports?: NbdExports } = {}): OptionAnswer {
  return answerOption({ option, data }, { state: more.state ?? FRESH, exports: more.exports ?? both });
}

const NONE = new Uint8Array(0);

Deno.test("answerOption() starts the transmission with GO and only describes with INFO", () => {
  const info = ask(6, infoData("demo", [1, 3, 77]));
  assertEquals(info.kind, "haggle");
  assertEquals(replies(info).map((reply) => [reply.type, reply.data[1]]), [[3, 0], [3, 1], [3, 3], [1, undefined]]);
  const go = ask(7, infoData("demo"));
  assert(go.kind === "transmit");
  assertEquals(types(go), [3, 3, 1], "size, block size, acknowledgement; the name was not asked for");
  assertEquals(go.agreement.device, demo);
  assertEquals(go.agreement.structuredReplies, false);
});

Deno.test("answerOption() announces the flags that work", () => {
  const flagsOf = (name: string, state: HaggleState) => {
    const answer = ask(7, infoData(name), { state });
    assert(answer.kind === "transmit");
    return answer.agreement.flags;
  };
  const always = EXPORT_FLAG.hasFlags | EXPORT_FLAG.sendFlush | EXPORT_FLAG.sendFua | EXPORT_FLAG.canMultiConn |
    EXPORT_FLAG.sendCache;
  const changing = EXPORT_FLAG.sendTrim | EXPORT_FLAG.sendWriteZeroes | EXPORT_FLAG.sendFastZero;
  assertEquals(flagsOf("demo", FRESH), always | changing);
  assertEquals(flagsOf("demo", STRUCTURED), always | changing | EXPORT_FLAG.sendDf);
  assertEquals(flagsOf("archive", FRESH), always | EXPORT_FLAG.readOnly);
  const plain = new MemoryBlockDevice({ name: "plain", sizeBytes: 4096 });
  const answer = ask(7, infoData("plain"), { exports: exportsOf(plain) });
  assert(answer.kind === "transmit");
  assertEquals(answer.agreement.flags & EXPORT_FLAG.sendFastZero, 0, "it does not tell which zeroes are fast");
});

Deno.test("answerOption() takes the empty name for the only export", () => {
  const alone = ask(7, infoData(""), { exports: exportsOf(demo) });
  assert(alone.kind === "transmit");
  assertEquals(alone.agreement.device, demo);
  assertEquals(types(ask(7, infoData(""))), [0x80000006]);
  assertEquals(types(ask(7, infoData(""), { exports: exportsOf() })), [0x80000006]);
});

Deno.test("answerOption() lists all exports", () => {
  const answer = ask(3, NONE);
  assertEquals(replies(answer).map((reply) => [reply.type, new TextDecoder().decode(reply.data.subarray(4))]), [
    [2, "demo"],
    [2, "archive"],
    [1, ""],
  ]);
  assertEquals(types(ask(3, packed("x"))), [0x80000003]);
});

Deno.test("answerOption() selects base:allocation for one export, after structured replies", async (t) => {
  const select = (queries: string[], state = STRUCTURED) => ask(10, contextData("demo", queries), { state });
  await t.step("before structured replies: refused", () => {
    assertEquals(types(select(["base:allocation"], FRESH)), [0x80000003]);
  });
  const selected = select(["qemu:dirty-bitmap:x", "base:allocation"]);
  await t.step("selected among contexts that nobody knows", () => {
    assert(selected.kind === "haggle");
    assertEquals(types(selected), [4, 1]);
    assertEquals(selected.state.allocationOf, "demo");
  });
  await t.step("holds for that export only", () => {
    assert(selected.kind === "haggle");
    const here = ask(7, infoData("demo"), { state: selected.state });
    const there = ask(7, infoData("archive"), { state: selected.state });
    assert(here.kind === "transmit" && there.kind === "transmit");
    assertEquals([here.agreement.allocationContext, there.agreement.allocationContext], [true, false]);
  });
  await t.step("a later selection replaces it, a failed one too", () => {
    assert(selected.kind === "haggle");
    for (
      const data of [contextData("demo", []), contextData("demo", ["base:"]), contextData("nobody", []), packed("?")]
    ) {
      const answer = ask(10, data, { state: selected.state });
      assert(answer.kind === "haggle");
      assertEquals(answer.state.allocationOf, undefined);
    }
  });
  await t.step("a list shows it and changes nothing", () => {
    for (const queries of [[], ["base:"], ["base:allocation"]]) {
      const answer = ask(9, contextData("demo", queries), { state: STRUCTURED });
      assert(answer.kind === "haggle");
      assertEquals(types(answer), [4, 1]);
      assertEquals(answer.state, STRUCTURED);
    }
    assertEquals(types(ask(9, contextData("demo", ["qemu:"]), { state: STRUCTURED })), [1]);
  });
});

Deno.test("answerOption() refuses what it does not do and goes on", () => {
  const cases: [option: number, data: Uint8Array, type: number][] = [
    [5, NONE, 0x80000002], // STARTTLS: policy
    [4, NONE, 0x80000001], // PEEK_EXPORT: withdrawn
    [11, NONE, 0x80000001], // EXTENDED_HEADERS
    [0xffffffff, NONE, 0x80000001],
    [7, infoData("nobody"), 0x80000006],
    [7, packed([4, 5000]), 0x80000003],
    [8, packed("x"), 0x80000003],
  ];
  for (const [option, data, type] of cases) {
    const answer = ask(option, data);
    assertEquals([answer.kind, types(answer)], ["haggle", [type]], `option ${option}`);
  }
});

Deno.test("answerOption() closes where the protocol has no other way to say no", () => {
  assertEquals(ask(1, packed("nobody")).kind, "close");
  const abort = ask(2, NONE);
  assertEquals([abort.kind, types(abort)], ["close", [1]]);
  const oldstyle = { ...FRESH, fixedNewstyle: false };
  assertEquals(ask(7, infoData("demo"), { state: oldstyle }).kind, "close");
  const byName = ask(1, packed("demo"), { state: oldstyle });
  assert(byName.kind === "transmit");
  assertEquals(byName.frames[0]!.length, 10);
});
