/**
 * Tokens at the data port: whoever comes without the right one is told why by a code of its own, and reads and writes nothing.
 *
 * @module
 */
import { assert, assertEquals, assertNotEquals, assertRejects } from "@std/assert";
import { hmacHex } from "@/shared/api/pg.ts";
import { sessionTokenSchema } from "@/shared/auth.ts";
import { CHUNK_BYTES } from "@/shared/constants.ts";
import type { CommitCallback } from "@/sds/device/catalogue.ts";
import { StorageError } from "@/shared/errors.ts";
import { asId, type SdcId, type SdcSession } from "@/shared/ids.ts";
import type { FrameKind } from "@/shared/wire/header.ts";
import { filled, type SdsFixture, VOLUME_CHUNKS, withSds } from "@/tests/support/sds_fixture.ts";
import { flushPayload, type SessionClient, writePayload } from "@/tests/support/session_client.ts";

const BLOCK = 4096;
const PLACE = { chunkIndex: 0, offsetBytes: 8 * BLOCK };
const SECRET = filled(0x5e, BLOCK);

/** Runs `test` over a volume with one block of content, and looks afterwards whether it is still all there is. */
async function guarded(test: (fixture: SdsFixture) => Promise<void>): Promise<void> {
  await withSds({}, async (fixture) => {
    const { sdc, sdss } = fixture;
    assertEquals((await sdc.write(PLACE, SECRET)).code, undefined);
    const usedBytes = () => sdss.map((sds) => fixture.deviceOf(sds).store.totals().usedBytes);
    const used = usedBytes();
    await test(fixture);
    await sdc.refresh();
    assertEquals((await sdc.read({ chunkIndex: 0, offsetBytes: 0 }, 64 * 1024)).data, contentOfChunk0());
    assertEquals(usedBytes(), used, "no chunk was made");
  });
}

function contentOfChunk0(): Uint8Array {
  const content = new Uint8Array(64 * 1024);
  content.set(SECRET, PLACE.offsetBytes);
  return content;
}

/** Tries every kind of request under `handle`; the code that all of them got. */
async function codeOfEveryKind(
  fixture: SdsFixture,
  options: { session: SessionClient; handle: number; kinds?: readonly FrameKind[]; fields?: object },
): Promise<string | undefined> {
  const { sdc } = fixture;
  const { session, handle, kinds = ["read", "write", "trim", "write_zeroes", "flush"] } = options;
  const { pgId, epoch, lossGeneration } = sdc.pgOf(0);
  const codes = new Set<string | undefined>();
  for (const kind of kinds) {
    const header = kind === "flush"
      ? { kind, handle }
      : { kind, handle, ...sdc.fields(PLACE, BLOCK), opSession: sdc.sdcSession, opSeq: 1, ...options.fields };
    const payload = kind === "write"
      ? writePayload(PLACE.offsetBytes, filled(0xbad, BLOCK))
      : kind === "flush"
      ? flushPayload([{ pgId, value: epoch, lossGeneration }])
      : new Uint8Array(0);
    const answer = await session.send(header, payload);
    assertEquals(answer.data.length, 0, "a refusal carries no data");
    codes.add(answer.code);
  }
  assertEquals(codes.size, 1, `${[...codes]}`);
  return [...codes][0];
}

async function codeOf(promise: Promise<unknown>): Promise<string> {
  return (await assertRejects(() => promise, StorageError)).code;
}

Deno.test("scenario: requests without a token are refused as token_missing, in both forms of headers", async () => {
  await guarded(async (fixture) => {
    for (const compact of [true, false]) {
      const session = await fixture.sdc.connect(0, { compact });
      for (const handle of [0, 1, 0xffff_ffff]) {
        assertEquals(await codeOfEveryKind(fixture, { session, handle }), "token_missing");
      }
      assertEquals(await codeOf(session.openVolume("")), "token_missing");
      assertEquals(await codeOfEveryKind(fixture, { session, handle: 0 }), "token_missing");
    }
  });
});

Deno.test("scenario: what is no token is refused as token_malformed", async () => {
  await guarded(async ({ sdc }) => {
    const session = await sdc.connect(0);
    const [prefix, payload, signature] = sdc.token.split(".");
    const texts = [
      "x",
      `pf2.${payload}.${signature}`,
      `${prefix}.${payload}`,
      `${sdc.token}.more`,
      `${prefix}.${payload}${"A".repeat(4096)}.${signature}`,
    ];
    for (const text of texts) assertEquals(await codeOf(session.openVolume(text)), "token_malformed", text);
  });
});

Deno.test("scenario: a token with any field changed, or signed by anyone else, is refused as token_signature", async () => {
  await guarded(async ({ sdc }) => {
    const session = await sdc.connect(0);
    const [prefix, payload, signature] = sdc.token.split(".") as [string, string, string];
    const fields: Record<string, unknown> = JSON.parse(Buffer.from(payload, "base64url").toString());
    assertEquals(Object.keys(fields).sort(), Object.keys(sessionTokenSchema.shape).sort(), "every field is tried");
    const encoded = (changed: object) => Buffer.from(JSON.stringify(changed)).toString("base64url");
    assertEquals(encoded(fields), payload, "what is re-encoded unchanged is the same");
    for (const [name, value] of Object.entries(fields)) {
      for (const changed of flipped(value)) {
        assertNotEquals(changed, value);
        const text = `${prefix}.${encoded({ ...fields, [name]: changed })}.${signature}`;
        assertEquals(await codeOf(session.openVolume(text)), "token_signature", `${name}: ${value} became ${changed}`);
      }
    }
    for (let digit = 0; digit < signature.length; digit++) {
      const other = signature[digit] === "0" ? "1" : "0";
      const text = `${prefix}.${payload}.${signature.slice(0, digit)}${other}${signature.slice(digit + 1)}`;
      assertEquals(await codeOf(session.openVolume(text)), "token_signature", `digit ${digit} of the signature`);
    }
    const forged = hmacHex("00".repeat(32), `${prefix}.${payload}`);
    assertEquals(await codeOf(session.openVolume(`${prefix}.${payload}.${forged}`)), "token_signature");
    assertEquals(await codeOf(session.openVolume(`${prefix}.bm8.${signature}`)), "token_signature");
  });
});

/** A value with one bit flipped: each of the low bits of a number, one bit of each character of a text. */
function flipped(value: unknown): unknown[] {
  if (typeof value === "number") return [1, 2, 4, 1024].map((bit) => value ^ bit);
  assert(typeof value === "string");
  return Array.from(
    value,
    (character, index) =>
      value.slice(0, index) + String.fromCharCode(character.charCodeAt(0) ^ 1) + value.slice(index + 1),
  );
}

Deno.test("scenario: an expired token is refused as token_expired, also under a handle that it opened in time", async () => {
  await guarded(async (fixture) => {
    const { sdc } = fixture;
    const session = await sdc.connect(0);
    const nowMs = fixture.mdm.context.time.nowMs();
    assertEquals(await codeOf(session.openVolume(sdc.signed({ expiresAtMs: nowMs - 1 }))), "token_expired");
    const handle = await session.openVolume(sdc.signed({ expiresAtMs: nowMs + 5_000 }));
    assertEquals((await session.send({ kind: "read", handle, ...sdc.fields(PLACE, BLOCK) })).data, SECRET);
    await fixture.sleep(5_100);
    assertEquals(await codeOfEveryKind(fixture, { session, handle }), "token_expired");
    assertEquals(
      await codeOf(session.ask({ kind: "renew_token", handle, token: sdc.signed({ expiresAtMs: nowMs }) })),
      "token_expired",
    );
    await session.ask({ kind: "renew_token", handle, token: sdc.token });
    assertEquals((await session.send({ kind: "read", handle, ...sdc.fields(PLACE, BLOCK) })).data, SECRET);
  });
});

Deno.test("scenario: a token of another volume is refused as token_volume", async () => {
  await guarded(async (fixture) => {
    const { sdc } = fixture;
    const volumeId = await fixture.createVolume();
    await fixture.post(`/vol/map?volume_id=${volumeId}&sdc_id=1`, {});
    const session = await sdc.connect(0);
    const other = await sdc.newToken(volumeId);
    const handle = await session.openVolume(other);
    const kinds = ["read", "write", "trim", "write_zeroes"] as const;
    assertEquals(await codeOfEveryKind(fixture, { session, handle, kinds }), "token_volume");
    const own = await session.openVolume(sdc.token);
    assertEquals(await codeOf(session.ask({ kind: "renew_token", handle: own, token: other })), "token_volume");
    const extents = { kind: "extents", handle, ...sdc.pgOf(0), nodeId: sdc.map.nodeId, chunkIndex: 0 };
    assertEquals(await codeOf(session.ask(extents)), "token_volume");
  });
});

Deno.test("scenario: a token for reading is refused as token_mode by everything that writes", async () => {
  await guarded(async (fixture) => {
    const { sdc } = fixture;
    const session = await sdc.connect(0);
    const handle = await session.openVolume(sdc.signed({ mode: "readOnly" }));
    const kinds = ["write", "trim", "write_zeroes"] as const;
    assertEquals(await codeOfEveryKind(fixture, { session, handle, kinds }), "token_mode");
    assertEquals((await session.send({ kind: "read", handle, ...sdc.fields(PLACE, BLOCK) })).data, SECRET);
  });
});

Deno.test("scenario: what lies beyond the size in the token is refused as token_range", async () => {
  await guarded(async (fixture) => {
    const { sdc } = fixture;
    const session = await sdc.connect(0);
    const kinds = ["read", "write", "trim", "write_zeroes"] as const;
    const sizeBytes = PLACE.offsetBytes;
    const short = await session.openVolume(sdc.signed({ sizeBytes }));
    assertEquals(await codeOfEveryKind(fixture, { session, handle: short, kinds }), "token_range");
    const straddling = { offsetBytes: sizeBytes - BLOCK, lengthBytes: 2 * BLOCK };
    const read = { kind: "read", handle: short, ...sdc.fields(PLACE, BLOCK) } as const;
    assertEquals((await session.send({ ...read, ...straddling })).code, "token_range");
    assertEquals((await session.send({ ...read, offsetBytes: sizeBytes - BLOCK })).code, undefined);
    const whole = await session.openVolume(sdc.token);
    for (const chunkIndex of [VOLUME_CHUNKS, 2 ** 24, 2 ** 32 - 1]) {
      const fields = { chunkIndex };
      assertEquals(await codeOfEveryKind(fixture, { session, handle: whole, kinds, fields }), "token_range");
    }
    for (const fields of [{ offsetBytes: CHUNK_BYTES }, { lengthBytes: 0 }, { lengthBytes: CHUNK_BYTES }]) {
      assertEquals((await session.send({ ...read, handle: whole, ...fields })).code, "bad_request");
    }
  });
});

Deno.test("scenario: a token of another session or SDC is refused as token_session", async () => {
  await guarded(async ({ sdc }) => {
    const session = await sdc.connect(0);
    const others = [
      { sdcSession: asId<SdcSession>(sdc.sdcSession + 1) },
      { sdcId: asId<SdcId>(sdc.sdcId + 1) },
    ];
    for (const other of others) assertEquals(await codeOf(session.openVolume(sdc.signed(other))), "token_session");
  });
});

Deno.test("scenario: a volume that is unmapped while it is open is refused from then on, and when it is mapped again", async () => {
  await guarded(async (fixture) => {
    const { sdc } = fixture;
    const before = sdc.token;
    const { session, handle } = await sdc.to(0);
    await fixture.post("/vol/unmap?volume_id=1&sdc_id=1", {});
    assertEquals(await codeOfEveryKind(fixture, { session, handle }), "token_expired");
    assertEquals(await codeOf(session.openVolume(before)), "token_expired");
    assertEquals(await codeOf(session.ask({ kind: "renew_token", handle, token: before })), "token_expired");
    assertEquals(await codeOf(sdc.newToken()), "fenced");
    await fixture.post("/vol/map?volume_id=1&sdc_id=1", {});
    assertEquals(await codeOf(session.openVolume(before)), "token_expired", "it is of an older mapping generation");
    assertEquals(await codeOfEveryKind(fixture, { session, handle }), "token_expired");
  });
});

Deno.test("scenario: a session that a newer one replaced is refused at the handshake, and its handles are revoked", async () => {
  await guarded(async (fixture) => {
    const { sdc } = fixture;
    const { session, handle } = await sdc.to(0);
    const [token, older] = [sdc.token, sdc.sdcSession];
    await sdc.register();
    await fixture.sleep(1_500);
    assertEquals(await codeOfEveryKind(fixture, { session, handle }), "token_expired");
    assertEquals(await codeOf(session.openVolume(token)), "token_expired");
    await sdc.refresh();
    assertEquals((await sdc.read(PLACE, BLOCK)).data, SECRET);
    assertNotEquals(sdc.sdcSession, older);
    const newer = sdc.sdcSession;
    sdc.sdcSession = older;
    // The key is that of the newer session, but age is looked at before any proof.
    assertEquals(await codeOf(sdc.connect(0)), "stale_session");
    sdc.sdcSession = newer;
  });
});

/** A write of chunk 0 that has started, and ends when the test says: its secondary stores it late, and is not removed. */
async function stuckWrite(fixture: SdsFixture): Promise<{ readonly end: () => void }> {
  const { sdc } = fixture;
  const { primary, secondary } = sdc.sdssOf(0);
  fixture.deviceOf(primary).changes.ask = () => new Promise(() => {});
  const { store } = fixture.deviceOf(secondary);
  const { afterCommit } = store;
  const held: CommitCallback[] = [];
  store.afterCommit = (callback) => void held.push(callback);
  sdc.write(PLACE, SECRET);
  await fixture.sleep(100);
  assertEquals(held.length, 1);
  return {
    end() {
      store.afterCommit = afterCommit;
      for (const callback of held) callback(undefined);
    },
  };
}

Deno.test("scenario: an unmapping waits for a write that was started, however long, also when its connection is gone", async () => {
  for (const closed of [false, true]) {
    await withSds({}, async (fixture) => {
      const { sdc } = fixture;
      assertEquals((await sdc.write(PLACE, SECRET)).code, undefined);
      const write = await stuckWrite(fixture);
      if (closed) (await sdc.to(0)).session.close();
      let answered = false;
      const unmapped = fixture.post("/vol/unmap?volume_id=1&sdc_id=1", {}).then(() => answered = true);
      // Longer than a call of the MDM waits for its answer: the repeated call has to wait for the same write.
      await fixture.sleep(7_000);
      assertEquals(answered, false);
      write.end();
      await unmapped;
    });
  }
});

Deno.test("scenario: an unmapping does not wait for what another volume has under way", async () => {
  await withSds({}, async (fixture) => {
    const { sdc } = fixture;
    await fixture.createVolume();
    await fixture.post("/vol/map?volume_id=2&sdc_id=1", {});
    await sdc.refresh();
    const { session } = await sdc.to(0);
    await session.openVolume(await sdc.newToken(2));
    const write = await stuckWrite(fixture);
    const startedMs = fixture.world.time.nowMs;
    await fixture.post("/vol/unmap?volume_id=2&sdc_id=1", {});
    assert(fixture.world.time.nowMs - startedMs < 1_000);
    write.end();
  });
});
