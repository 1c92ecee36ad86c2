/**
 * The newline-JSON door of the data port, with single-use tokens: whole conversations, any packets, and every way in which a token
 * may be wrong. Whoever is refused reads and writes nothing.
 *
 * @module
 */
import { assert, assertEquals } from "@std/assert";
import { signingKey } from "@/mdm/secrets.ts";
import { CHUNK_BYTES } from "@/shared/constants.ts";
import { ioTokenSignature } from "@/shared/io_token.ts";
import { JSON_LINE_BYTES_MAX } from "@/shared/wire/json_lines.ts";
import { JsonClient, type JsonLine } from "@/tests/support/json_client.ts";
import { type SdsFixture, withSds } from "@/tests/support/sds_fixture.ts";

const TEXT = "Hello PowerFlex!";
const DATA_B64 = btoa(TEXT);
const RANGE = { volume_id: 1, sdc_id: 1, offset_bytes: 100, length_bytes: TEXT.length };

async function authorize(fixture: SdsFixture, operation: "read" | "write", range: object = {}): Promise<JsonLine> {
  return await fixture.post("/io/authorize", { ...RANGE, operation, ...range });
}

/** The request that a token's first segment is for. */
function requestOf(token: JsonLine, segmentIndex = 0): JsonLine {
  const segment = token.io_plan.segments[segmentIndex];
  const { segment_length_bytes: lengthBytes } = segment;
  return {
    action: token.operation,
    token,
    volume_id: token.volume_id,
    chunk_id: segment.chunk_id,
    offset_bytes: segment.targets[0].target_offset_bytes,
    ...(token.operation === "read" ? { length_bytes: lengthBytes } : { data_b64: DATA_B64 }),
  };
}

async function clientOf(fixture: SdsFixture, token: JsonLine, segmentIndex = 0): Promise<JsonClient> {
  const { host, port } = token.io_plan.segments[segmentIndex].targets[0];
  return await JsonClient.connect(fixture.sdc.ports.transport, { hostname: host, port });
}

/** One request over a connection of its own. */
async function ask(fixture: SdsFixture, request: JsonLine, hostname?: string): Promise<JsonLine> {
  const { host, port } = request.token.io_plan.segments[0].targets[0];
  const client = await JsonClient.connect(fixture.sdc.ports.transport, { hostname: hostname ?? host, port });
  const answer = await client.ask(request);
  client.close();
  return answer;
}

/** `token` with changes, signed as the MDM would. */
function signed(fixture: SdsFixture, token: JsonLine, changes: object): JsonLine {
  const { context } = fixture.mdm;
  const changed = { ...token, ...changes };
  return { ...changed, signature: ioTokenSignature(changed, signingKey(context.db, context.time.nowMs())) };
}

async function contentOf(fixture: SdsFixture): Promise<string> {
  const read = await ask(fixture, requestOf(await authorize(fixture, "read")));
  assertEquals(read.ok, true, read.error);
  return atob(read.data_b64);
}

Deno.test("scenario: a script authorizes, writes and reads a text, and the MDM hears of it", async () => {
  await withSds({}, async (fixture) => {
    const write = await authorize(fixture, "write");
    const written = await ask(fixture, requestOf(write));
    assertEquals([written.ok, written.bytes_written, written.generation], [true, 16, write.io_plan.segments[0].epoch]);
    const token = await authorize(fixture, "read");
    const read = await ask(fixture, requestOf(token));
    assertEquals([atob(read.data_b64), read.bytes_read, read.checksum.length], [TEXT, 16, 8]);
    const there = await fixture.sdc.read({ chunkIndex: 0, offsetBytes: 100 }, 16);
    assertEquals(new TextDecoder().decode(there.data), TEXT, "sessions see the same");
    const { secondary } = fixture.sdc.sdssOf(0);
    assert(fixture.deviceOf(secondary).store.totals().usedBytes > 0, "the second copy has the chunk");
    await fixture.until(
      "the use is told",
      async () => (await get(fixture, `/io/token/${write.token_id}`)).status === "CONSUMED",
    );
    const { acks } = await get(fixture, `/io/token/${write.token_id}/acks`);
    assertEquals([acks.length, acks[0].success, acks[0].bytes_processed], [1, true, 16]);
  });
});

Deno.test("scenario: a range over three chunks, whole chunks and parts, each segment once at its SDS", async () => {
  await withSds({}, async (fixture) => {
    const range = { offset_bytes: CHUNK_BYTES - 70_001, length_bytes: CHUNK_BYTES + 140_002 };
    const data = Uint8Array.from({ length: range.length_bytes }, (_, index) => (index * 7919) >> 3);
    const write = await authorize(fixture, "write", range);
    const read = await authorize(fixture, "read", range);
    assertEquals(write.io_plan.segments.length, 3);
    let at = 0;
    for (const [index, segment] of write.io_plan.segments.entries()) {
      const part = data.subarray(at, at += segment.segment_length_bytes);
      const client = await clientOf(fixture, write, index);
      const data_b64 = Buffer.from(part).toString("base64");
      const answer = await client.ask({ ...requestOf(write, index), data_b64 });
      assertEquals(answer.bytes_written, part.length, answer.error);
      assertEquals((await client.ask({ ...requestOf(write, index), data_b64 })).code, "token_used");
      const back = await client.ask(requestOf(read, index));
      assert(Buffer.from(back.data_b64, "base64").equals(part), "the same bytes come back");
      client.close();
    }
  });
});

Deno.test("scenario: verbs in three fields and any case, many lines in one packet, one line in many packets", async () => {
  await withSds({}, async (fixture) => {
    const verbs = [{ action: "WRITE" }, { operation: "write" }, { command: "Write" }];
    const requests = await Promise.all(verbs.map(async (verb) => {
      const { action: _, ...request } = requestOf(await authorize(fixture, "write"));
      return { ...request, ...verb };
    }));
    const client = await clientOf(fixture, requests[0].token);
    await client.send(...requests);
    for (const verb of verbs) assertEquals((await client.receive()).bytes_written, 16, JSON.stringify(verb));
    const read = requestOf(await authorize(fixture, "read"));
    const bytes = new TextEncoder().encode(`\n${JSON.stringify(read)}\r\n`);
    for (const byte of bytes) await client.sendBytes(Uint8Array.of(byte));
    assertEquals(atob((await client.receive()).data_b64), TEXT);
    const init = { action: "init_volume", volume_id: 1, token: await authorize(fixture, "write") };
    assertEquals((await client.ask(init)).ok, true);
    assertEquals((await client.ask({ ...init, volume_id: 2 })).code, "token_volume");
    client.close();
  });
});

Deno.test("scenario: every wrong token is refused with its own reason, and nothing is read or written", async (t) => {
  await withSds({}, async (fixture) => {
    assertEquals((await ask(fixture, requestOf(await authorize(fixture, "write")))).ok, true);
    const forgery = btoa("NO! NO! NO! NO!!");
    for (const operation of ["read", "write"] as const) {
      const token = await authorize(fixture, operation);
      const good = { ...requestOf(token), ...(operation === "write" && { data_b64: forgery }) };
      const other = operation === "read" ? "write" : "read";
      const codeOf = async (changes: object, hostname?: string) => {
        const client = await clientOf(fixture, token);
        client.close();
        const host = hostname ?? token.io_plan.segments[0].targets[0].host;
        const direct = await JsonClient.connect(fixture.sdc.ports.transport, { hostname: host, port: 9700 });
        const answer = await direct.ask({ ...good, ...changes });
        direct.close();
        assertEquals([answer.ok, answer.data_b64], [false, undefined]);
        return answer.code;
      };
      await t.step(`${operation}: none, malformed, bad signature`, async () => {
        assertEquals(await codeOf({ token: undefined }), "token_missing");
        assertEquals(await codeOf({ token: null }), "token_missing");
        for (const wrong of [1, "text", [], {}, { ...token, kind: "session" }]) {
          assertEquals(await codeOf({ token: wrong }), "token_malformed");
        }
        const signature = `${token.signature.slice(1)}${token.signature[0]}`;
        assertEquals(await codeOf({ token: { ...token, signature } }), "token_signature");
        assertEquals(await codeOf({ token: { ...token, key_id: 99 } }), "token_signature");
        assertEquals(await codeOf({ token: { ...token, extra: 1 } }), "token_signature", "also a field more");
      });
      await t.step(`${operation}: one bit of each field`, async () => {
        for (const changed of flips(token)) {
          const code = await codeOf({ token: changed.token });
          assert(["token_signature", "token_malformed"].includes(code), `${changed.path}: ${code}`);
        }
      });
      await t.step(`${operation}: other volume, other operation, out of range`, async () => {
        assertEquals(await codeOf({ volume_id: 2 }), "token_volume");
        const data = { length_bytes: 16, data_b64: forgery };
        assertEquals(await codeOf({ action: other, ...data }), "token_mode");
        assertEquals(await codeOf({ chunk_id: good.chunk_id + 1 }), "token_range");
        for (const offset_bytes of [0, 99, 101]) assertEquals(await codeOf({ offset_bytes }), "token_range");
        const longer = operation === "read" ? { length_bytes: 17 } : { data_b64: btoa("x".repeat(17)) };
        assertEquals(await codeOf(longer), "token_range");
      });
      await t.step(`${operation}: other SDS, other start of its device`, async () => {
        const { secondary } = fixture.sdc.sdssOf(0);
        assertEquals(await codeOf({}, secondary.name), "token_target");
        const plan = structuredClone(token.io_plan);
        plan.segments[0].targets[0].incarnation.counter--;
        assertEquals(await codeOf({ token: signed(fixture, token, { io_plan: plan }) }), "token_target");
      });
      await t.step(`${operation}: older epoch, older mapping, expired`, async () => {
        const plan = structuredClone(token.io_plan);
        plan.segments[0].epoch++;
        assertEquals(await codeOf({ token: signed(fixture, token, { io_plan: plan }) }), "not_ready");
        assertEquals(await codeOf({ token: signed(fixture, token, { mapping_generation: 0 }) }), "token_expired");
        const past = signed(fixture, token, { expires_at_ms: fixture.mdm.context.time.nowMs() - 1 });
        assertEquals(await codeOf({ token: past }), "token_expired");
      });
      await t.step(`${operation}: revoked`, async () => {
        const revoked = await authorize(fixture, operation);
        await call(fixture, "DELETE", `/io/token/${revoked.token_id}/revoke`);
        assertEquals(await codeOf({ ...requestOf(revoked) }), "token_revoked");
      });
      await t.step(`${operation}: after all this it still works, once`, async () => {
        assertEquals((await ask(fixture, requestOf(token))).ok, true, "no refusal has used it up");
        assertEquals(await codeOf({}), "token_used");
        assertEquals(await contentOf(fixture), TEXT);
      });
    }
    await t.step("unmapped", async () => {
      const token = await authorize(fixture, "read");
      await fixture.post("/vol/unmap?volume_id=1&sdc_id=1", {});
      assertEquals((await ask(fixture, requestOf(token))).code, "token_expired");
    });
  });
});

Deno.test("scenario: a used token stays used in an outage of the MDM, a new start of the SDS honours none of before", async () => {
  await withSds({}, async (fixture) => {
    const token = await authorize(fixture, "write", { ttl_seconds: 30 });
    assertEquals((await ask(fixture, requestOf(token))).ok, true);
    const unused = await authorize(fixture, "write", { ttl_seconds: 30 });
    fixture.mdm.crash({ hostDown: false });
    await fixture.sleep(20_000);
    assertEquals((await ask(fixture, requestOf(token))).code, "token_used");
    await fixture.sleep(20_000);
    assertEquals((await ask(fixture, requestOf(token))).code, "token_used", "expired, but honoured in an outage");
    fixture.mdm.start();
    const { primary } = fixture.sdc.sdssOf(0);
    await fixture.sleep(3_000);
    const fresh = await authorize(fixture, "write");
    primary.crash({ hostDown: false });
    primary.start();
    await fixture.sleep(10_000);
    assertEquals((await ask(fixture, requestOf(fresh))).code, "token_target");
    assertEquals((await ask(fixture, requestOf(unused))).code, "token_expired");
  });
});

Deno.test("scenario: garbage and a line over the limit end only their own connection", async () => {
  await withSds({}, async (fixture) => {
    const token = await authorize(fixture, "write");
    const [bystander, garbage, long] = await Promise.all([1, 2, 3].map(() => clientOf(fixture, token)));
    assertEquals((await bystander!.ask({ action: "write" })).code, "bad_request");
    for (
      const request of [{}, { action: "erase" }, { ...requestOf(token), offset_bytes: -1 }, {
        ...requestOf(token),
        data_b64: "?",
      }]
    ) {
      assertEquals((await bystander!.ask(request)).code, "bad_request");
    }
    await garbage!.sendBytes(new TextEncoder().encode('{"action": what?\n'));
    assertEquals((await garbage!.receive()).code, "bad_request");
    assertEquals(await garbage!.receive(), undefined);
    const filler = new Uint8Array(1024 * 1024).fill(0x20);
    filler[0] = 0x7b;
    const sent = (async () => {
      for (let bytes = 0; bytes <= JSON_LINE_BYTES_MAX + filler.length; bytes += filler.length) {
        await long!.sendBytes(filler);
      }
    })().catch(() => {});
    assertEquals((await long!.receive())?.code ?? "too_large", "too_large");
    assertEquals(await long!.receive(), undefined);
    await sent;
    assertEquals((await bystander!.ask(requestOf(token))).ok, true);
    bystander!.close();
  });
});

/** `token` with the lowest bit of each of its values changed in turn; of a text, of its last character. */
function* flips(
  token: JsonLine,
  path: readonly (string | number)[] = [],
): Generator<{ path: string; token: JsonLine }> {
  const value = path.reduce((inner, key) => inner[key], token);
  if (value !== null && typeof value === "object") {
    for (const key of Array.isArray(value) ? value.keys() : Object.keys(value)) yield* flips(token, [...path, key]);
    return;
  }
  const changed = structuredClone(token);
  const owner = path.slice(0, -1).reduce((inner, key) => inner[key], changed);
  owner[path.at(-1)!] = flipped(value);
  yield { path: path.join("."), token: changed };
}

function flipped(value: unknown): unknown {
  if (typeof value === "number") return value ^ 1;
  if (typeof value !== "string") return !value;
  return value.slice(0, -1) + String.fromCharCode(value.charCodeAt(value.length - 1) ^ 1);
}

async function call(fixture: SdsFixture, method: "GET" | "DELETE", path: string): Promise<JsonLine> {
  const answer = await fixture.sdc.ports.http({ method, url: fixture.mdm.url + path, timeoutMs: 10_000 });
  assert(answer.status < 300, `${path}: ${answer.status} ${answer.body}`);
  return JSON.parse(answer.body);
}

function get(fixture: SdsFixture, path: string): Promise<JsonLine> {
  return call(fixture, "GET", path);
}
