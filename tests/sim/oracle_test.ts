import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { Oracle, type OracleRequest } from "@/tests/sim/oracle.ts";
import { SeededRandom } from "@/tests/sim/seeded_random.ts";
import { fillStamped, SECTOR_BYTES, writerOf } from "@/tests/sim/stamps.ts";

let requestCount = 0;

function request(kind: OracleRequest["kind"], options: Partial<OracleRequest> = {}): OracleRequest {
  return { kind, volumeId: 1, client: "sdc-1", offsetBytes: 0, lengthBytes: 4096, number: ++requestCount, ...options };
}

/** Bytes as if each sector of the block had been written by `writers` in turn (one for all, or one per sector). */
function bytesOf(writers: readonly number[], place = { volumeId: 1, offsetBytes: 0 }): Uint8Array {
  const bytes = new Uint8Array(8 * SECTOR_BYTES);
  for (let sector = 0; sector < 8; sector++) {
    const writer = writers[sector] ?? writers[0]!;
    const at = sector * SECTOR_BYTES;
    if (writer === 0) continue;
    fillStamped(bytes.subarray(at, at + SECTOR_BYTES), { ...place, offsetBytes: place.offsetBytes + at, writer });
  }
  return bytes;
}

/** A write, whole, done. */
function write(oracle: Oracle, options: Partial<OracleRequest> = {}): number {
  const open = oracle.begin(request("write", options));
  oracle.succeeded(open, undefined);
  return open.request.number;
}

function read(oracle: Oracle, writers: readonly number[], options: Partial<OracleRequest> = {}): void {
  oracle.succeeded(oracle.begin(request("read", options)), bytesOf(writers));
}

Deno.test("writerOf() names the writer of a sector and tells misplaced, torn and invented bytes", () => {
  const place = { volumeId: 3, offsetBytes: 8192 };
  const bytes = new Uint8Array(1024);
  fillStamped(bytes, { ...place, writer: 77 });
  assertEquals([writerOf(bytes, 0, place), writerOf(bytes, 512, place)], [77, 77]);
  assertEquals(writerOf(new Uint8Array(512), 0, place), 0);
  assertStringIncludes(String(writerOf(bytes, 0, { ...place, offsetBytes: 0 })), "holds sector 16");
  const torn = bytes.slice();
  torn[300]! ^= 1;
  assertStringIncludes(String(writerOf(torn, 0, place)), "torn");
  torn[0] = 0;
  assertStringIncludes(String(writerOf(torn, 0, place)), "nobody wrote");
});

Deno.test("Oracle accepts what some order of overlapping requests explains", () => {
  const oracle = new Oracle();
  read(oracle, [0]);
  const first = write(oracle);
  const second = oracle.begin(request("write"));
  const third = oracle.begin(request("write", { offsetBytes: 1024, lengthBytes: 1024 }));
  read(oracle, [first]);
  read(oracle, [first, first, third.request.number, third.request.number, first, first, first, first]);
  read(oracle, [second.request.number]);
  oracle.succeeded(third, undefined);
  oracle.succeeded(second, undefined);
  read(oracle, [second.request.number]);
  const trim = oracle.begin(request("trim", { offsetBytes: 512 }));
  oracle.succeeded(trim, undefined);
  read(oracle, [second.request.number]);
  oracle.succeeded(oracle.begin(request("zero", { offsetBytes: 512, lengthBytes: 512 })), undefined);
  read(oracle, [second.request.number, 0, ...new Array<number>(6).fill(second.request.number)]);
  assertEquals(oracle.problems(), []);
});

Deno.test("Oracle catches wrong histories", async (t) => {
  const caught = (name: string, tell: (oracle: Oracle) => void, includes = "is not explained") =>
    t.step(name, () => {
      const oracle = new Oracle();
      tell(oracle);
      const problems = oracle.problems();
      assertStringIncludes(problems[0] ?? "nothing is caught", includes);
    });
  await caught("a lost write", (oracle) => {
    write(oracle);
    read(oracle, [0]);
  });
  await caught("an old value after a newer one", (oracle) => {
    const old = write(oracle);
    write(oracle);
    read(oracle, [old]);
  });
  await caught("a value that goes back while the write still runs", (oracle) => {
    const old = write(oracle);
    const running = oracle.begin(request("write"));
    read(oracle, [running.request.number]);
    read(oracle, [old]);
    oracle.succeeded(running, undefined);
  });
  await caught("a read that mixes two writes of the whole block", (oracle) => {
    const one = write(oracle);
    const two = write(oracle);
    read(oracle, [one, two, two, two, two, two, two, two]);
  });
  await caught("a partial write that took its neighbours back in time", (oracle) => {
    const old = write(oracle);
    write(oracle);
    const partial = write(oracle, { lengthBytes: 512 });
    read(oracle, [partial, old, old, old, old, old, old, old]);
  });
  await caught("bytes of another place", (oracle) => {
    const writer = write(oracle);
    oracle.succeeded(oracle.begin(request("read")), bytesOf([writer], { volumeId: 1, offsetBytes: 4096 }));
  }, "holds sector 8");
  await caught("a write that was trimmed and comes back", (oracle) => {
    const writer = write(oracle);
    oracle.succeeded(oracle.begin(request("trim")), undefined);
    read(oracle, [writer]);
  });
});

Deno.test("Oracle lets an unresolved write happen, or not, until the client's next request for the block", async (t) => {
  const withLostWrite = () => {
    const oracle = new Oracle();
    const before = write(oracle);
    const lost = oracle.begin(request("write"));
    oracle.failed(lost);
    return { oracle, before, lost: lost.request.number };
  };
  await t.step("it happened", () => {
    const { oracle, lost } = withLostWrite();
    read(oracle, [lost]);
    read(oracle, [lost]);
    assertEquals(oracle.problems(), []);
  });
  await t.step("it did not", () => {
    const { oracle, before } = withLostWrite();
    read(oracle, [before]);
    read(oracle, [before]);
    assertEquals(oracle.problems(), []);
  });
  await t.step("it surfaces after the client has read the block since: caught", () => {
    const { oracle, before, lost } = withLostWrite();
    read(oracle, [before]);
    read(oracle, [lost]);
    assertEquals(oracle.problems().length, 1);
  });
  await t.step("a read beside it does not hide that it happened", () => {
    const { oracle, before, lost } = withLostWrite();
    const partial = oracle.begin(request("write", { lengthBytes: 512 }));
    oracle.succeeded(partial, undefined);
    read(oracle, [partial.request.number, ...new Array<number>(7).fill(lost)]);
    assert(before !== lost);
    assertEquals(oracle.problems(), []);
  });
  await t.step("another client does not settle it", () => {
    const { oracle, before, lost } = withLostWrite();
    read(oracle, [before], { client: "sdc-2" });
    read(oracle, [lost]);
    assertEquals(oracle.problems(), []);
  });
});

/** A register that really is one, with random intervals around each effect; `spoil` breaks some reads. */
function randomHistory(seed: number, spoil: boolean): Oracle {
  const random = new SeededRandom(`oracle-${seed}`);
  const oracle = new Oracle();
  const content = new Array<number>(8).fill(0);
  const older: number[][] = [[...content]];
  const open: { finish(): void }[] = [];
  for (let step = 0; step < 60; step++) {
    if (open.length > 3 || (open.length > 0 && random.chance(0.5))) {
      open.splice(random.integer(0, open.length - 1), 1)[0]!.finish();
      continue;
    }
    const firstSector = random.integer(0, 7);
    const range = { offsetBytes: firstSector * 512, lengthBytes: 512 * random.integer(1, 8 - firstSector) };
    const isWrite = random.chance(0.5);
    const started = oracle.begin(request(isWrite ? "write" : "read", isWrite ? range : {}));
    if (isWrite) {
      content.fill(started.request.number, firstSector, firstSector + range.lengthBytes / 512);
      older.push([...content]);
    }
    const seen = spoil && random.chance(0.3) ? random.pick(older.slice(0, -4).concat([older[0]!])) : content;
    const data = isWrite ? undefined : bytesOf(seen);
    open.push({ finish: () => oracle.succeeded(started, data) });
  }
  for (const { finish } of open) finish();
  return oracle;
}

Deno.test("Oracle accepts random histories of a real register and catches those with stale reads", () => {
  let caught = 0;
  for (let seed = 0; seed < 100; seed++) {
    assertEquals(randomHistory(seed, false).problems(), [], `seed ${seed}`);
    if (randomHistory(seed, true).problems().length > 0) caught++;
  }
  assert(caught > 90, `${caught} of 100 spoilt histories are caught`);
});

const everywhere = () => true;

/** A flush, done. */
function flush(oracle: Oracle, outcome: "ok" | "lost" = "ok"): void {
  oracle.flushEnded(oracle.beginFlush({ client: "sdc-1", volumeId: 1 }), outcome);
}

Deno.test("Oracle lets what was not flushed be lost, sector by sector, and sticks to what was read of it", () => {
  const oracle = new Oracle();
  const flushed = write(oracle);
  flush(oracle);
  const lost = write(oracle);
  oracle.lost(everywhere);
  read(oracle, [lost, flushed, flushed, lost, flushed, flushed, flushed, flushed]);
  assertEquals(oracle.problems(), []);
  read(oracle, [flushed]);
  assertStringIncludes(oracle.problems().join(), "is not explained");
});

Deno.test("Oracle finds a flushed write that is gone after a loss", async (t) => {
  await t.step("flushed before it", () => {
    const oracle = new Oracle();
    const older = write(oracle);
    write(oracle);
    flush(oracle);
    oracle.lost(everywhere);
    read(oracle, [older]);
    assertStringIncludes(oracle.problems().join(), "is not explained");
  });
  await t.step("written through (FUA)", () => {
    const oracle = new Oracle();
    write(oracle, { forceUnitAccess: true });
    oracle.lost(everywhere);
    read(oracle, [0]);
    assertStringIncludes(oracle.problems().join(), "is not explained");
  });
  await t.step("gone without a word: the next flush says that all is well", () => {
    const oracle = new Oracle();
    write(oracle);
    oracle.lost(everywhere);
    read(oracle, [0]);
    assertEquals(oracle.problems(), []);
    flush(oracle);
    assertStringIncludes(oracle.problems().join(), "is not explained");
  });
  await t.step("told by the next flush: the one after that is well", () => {
    const oracle = new Oracle();
    write(oracle);
    oracle.lost(everywhere);
    read(oracle, [0]);
    flush(oracle, "lost");
    flush(oracle);
    assertEquals(oracle.problems(), []);
  });
});

Deno.test("Oracle does not take what a loss took for durable because of a flush after the loss", () => {
  const oracle = new Oracle();
  const older = write(oracle);
  flush(oracle);
  const torn = write(oracle);
  oracle.lost(everywhere);
  const left = [older, torn, older, older, older, older, older, older];
  read(oracle, left);
  flush(oracle, "lost");
  flush(oracle);
  write(oracle);
  oracle.lost(everywhere);
  read(oracle, left);
  assertEquals(oracle.problems(), []);
});

Deno.test("Oracle finds a flush that tells of a loss where there was none", () => {
  const oracle = new Oracle();
  write(oracle);
  flush(oracle, "lost");
  assertStringIncludes(oracle.problems().join(), "none can be");
});

Deno.test("Oracle lets a write that was under way at a loss be applied in part", () => {
  const oracle = new Oracle();
  const older = write(oracle);
  const under = oracle.begin(request("write"));
  oracle.lost(everywhere);
  oracle.succeeded(under, undefined);
  const { number } = under.request;
  read(oracle, [number, older, older, number, older, older, older, older]);
  assertEquals(oracle.problems(), []);
});

Deno.test("Oracle lets a read that was under way at a loss have seen what the loss took then", () => {
  const oracle = new Oracle();
  const older = write(oracle);
  const under = oracle.begin(request("write"));
  const reading = oracle.begin(request("read"));
  oracle.lost(everywhere);
  const { number } = under.request;
  oracle.succeeded(reading, bytesOf([number]));
  oracle.succeeded(under, undefined);
  read(oracle, [number, older, older, number, older, older, older, older]);
  assertEquals(oracle.problems(), []);
  read(oracle, [number]);
  assertStringIncludes(oracle.problems().join(), "is not explained");
});
