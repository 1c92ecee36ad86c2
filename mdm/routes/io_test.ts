import { assert, assertEquals, assertMatch, assertNotEquals } from "@std/assert";
import { keepHouse } from "@/mdm/background/loops.ts";
import { TOKENS_KEPT_MS } from "@/mdm/operations/io_tokens.ts";
import { purgeIoTokens } from "@/mdm/store/io_tokens.ts";
import { tokenKeys } from "@/mdm/store/token_keys.ts";
import { CHUNK_BYTES } from "@/shared/constants.ts";
import { openIoToken } from "@/shared/io_token.ts";
import { MdmFixture } from "@/tests/support/mdm_fixture.ts";

const GIB = 2 ** 30;
const RANGE = { sdc_id: 1, offset_bytes: CHUNK_BYTES - 10, length_bytes: 20 };
const AUTHORIZE = { ...RANGE, volume_id: 1, operation: "write" };

/** Two SDSs, a volume of four chunks, mapped read-write to SDC 1. */
async function withVolume(test: (fixture: MdmFixture) => Promise<void>): Promise<void> {
  await using fixture = new MdmFixture();
  await fixture.topology(2);
  await fixture.run(2_000);
  await fixture.ok("POST", "/vol/create", { name: "v", size_gb: 4 * CHUNK_BYTES / GIB, pool_id: 1 });
  await fixture.run(2_000);
  await fixture.addSdc();
  await fixture.ok("POST", "/vol/map?volume_id=1&sdc_id=1", {});
  await test(fixture);
}

Deno.test("/vol/{id}/io/plan/* tells segments, targets and acks, and a generation that changes with the plan", async () => {
  await withVolume(async (fixture) => {
    const plan = await fixture.ok("POST", "/vol/1/io/plan/write", RANGE);
    assertEquals([plan.authorized, plan.operation, plan.volume_id, plan.volume_name], [true, "write", 1, "v"]);
    assertEquals([plan.sdc_id, plan.offset_bytes, plan.length_bytes, plan.io_mode], [
      1,
      CHUNK_BYTES - 10,
      20,
      "network",
    ]);
    const places = plan.segments.map((segment: Record<string, number>) => [
      segment["chunk_index"],
      segment["segment_offset_bytes"],
      segment["segment_length_bytes"],
    ]);
    assertEquals(places, [[0, CHUNK_BYTES - 10, 10], [1, 0, 10]]);
    const [target] = plan.segments[0].targets;
    assertEquals([target.host, target.plane, target.target_offset_bytes], ["127.0.0.1", "data", CHUNK_BYTES - 10]);
    assert([9700, 9701].includes(target.port) && plan.target_sds_endpoints.length >= 1);
    assertEquals([plan.write_policy, plan.required_acks_by_segment.length], ["all", 2]);
    assertMatch(plan.plan_generation, /^[0-9a-f]{64}$/);
    const again = await fixture.ok("POST", "/vol/1/io/plan/write", RANGE);
    assertEquals(again.plan_generation, plan.plan_generation);
    const read = await fixture.ok("POST", "/vol/1/io/plan/read", RANGE);
    assertEquals([read.read_policy, read.write_policy], ["first_healthy", undefined]);
    assertNotEquals(read.plan_generation, plan.plan_generation);
  });
});

Deno.test("/vol/{id}/io/plan/* refuses what may not be, with the status of each reason", async () => {
  await withVolume(async (fixture) => {
    const status = async (path: string, body: object) => (await fixture.call("POST", path, { body })).status;
    const write = "/vol/1/io/plan/write";
    assertEquals(await status("/vol/9/io/plan/write", RANGE), 404);
    assertEquals(await status(write, { ...RANGE, sdc_id: 9 }), 404);
    assertEquals(await status(write, { ...RANGE, offset_bytes: 4 * CHUNK_BYTES }), 400, "beyond the end");
    for (const wrong of [{ offset_bytes: -1 }, { length_bytes: 0 }, { length_bytes: 1.5 }, { sdc_id: undefined }]) {
      assertEquals(await status(write, { ...RANGE, ...wrong }), 422);
    }
    await fixture.ok("POST", "/vol/map?volume_id=1&sdc_id=1&access_mode=readOnly", {});
    assertEquals(await status(write, RANGE), 403, "read-only");
    assertEquals(await status("/vol/1/io/plan/read", RANGE), 200);
    await fixture.ok("POST", "/vol/unmap?volume_id=1&sdc_id=1", {});
    assertEquals(await status("/vol/1/io/plan/read", RANGE), 403, "not mapped");
    await fixture.ok("POST", "/vol/map?volume_id=1&sdc_id=1", {});
    for (const sds of fixture.sdss) sds.up = false;
    await fixture.run(40_000);
    assertEquals(await status(write, RANGE), 503, "no active SDS");
  });
});

Deno.test("/io/authorize issues a signed token that carries the present plan", async (t) => {
  await withVolume(async (fixture) => {
    const token = await fixture.ok("POST", "/io/authorize", { ...AUTHORIZE, operation: "WRITE" });
    const keys = new Map(tokenKeys(fixture.mdm.context.db).map((key) => [key.keyId, key]));
    assertEquals(openIoToken(token, keys).kind, "ok");
    assertMatch(token.signature, /^[0-9a-f]{64}$/);
    assertEquals([token.status, token.operation, token.volume_id], ["ISSUED", "write", 1]);
    assertEquals(Date.parse(token.expires_at) - Date.parse(token.issued_at), 60_000);
    await t.step("kept, and found by its id", async () => {
      const kept = await fixture.ok("GET", `/io/token/${token.token_id}`);
      assertEquals([kept.status, kept.signature, kept.consumed_at], ["ISSUED", token.signature, null]);
      assertEquals(kept.io_plan, token.io_plan);
      assertEquals((await fixture.ok("GET", `/token/${token.token_id}`)).status, "ISSUED");
    });
    await t.step("with a plan: the present one only", async () => {
      const io_plan = await fixture.ok("POST", "/vol/1/io/plan/write", RANGE);
      assertEquals((await fixture.ok("POST", "/io/authorize", { ...AUTHORIZE, io_plan })).io_plan, io_plan);
      const stale = { ...AUTHORIZE, io_plan: { ...io_plan, plan_generation: "0".repeat(64) } };
      assertEquals((await fixture.call("POST", "/io/authorize", { body: stale })).status, 409);
    });
    await t.step("wrong input", async () => {
      const wrong = [{ operation: "erase" }, { ttl_seconds: 0 }, { ttl_seconds: 301 }, { volume_id: undefined }, {
        io_plan: 1,
      }];
      for (const change of wrong) {
        const { status } = await fixture.call("POST", "/io/authorize", { body: { ...AUTHORIZE, ...change } });
        assertEquals(status, 422, JSON.stringify(change));
      }
      assertEquals((await fixture.call("POST", "/io/authorize", { body: { ...AUTHORIZE, volume_id: 9 } })).status, 404);
    });
    await t.step("the older names do the same", async () => {
      assertEquals((await fixture.ok("POST", "/token/request", AUTHORIZE)).status, "ISSUED");
      assertEquals(
        (await fixture.ok("POST", "/vol/1/io/authorize", { ...RANGE, operation: "read" })).operation,
        "read",
      );
      assertEquals((await fixture.ok("POST", "/token/verify", { token })).valid, true);
      const forged = { ...token, length_bytes: 21 };
      assertEquals((await fixture.ok("POST", "/token/verify", { token: forged })).code, "token_signature");
    });
  });
});

Deno.test("/io/tx/ack marks a token CONSUMED and keeps what was said", async () => {
  await withVolume(async (fixture) => {
    const { token_id } = await fixture.ok("POST", "/io/authorize", AUTHORIZE);
    const ack = { token_id, sds_id: 1, success: true, bytes_processed: 20, metadata: { chunk_id: 7 } };
    assertEquals((await fixture.call("POST", "/io/tx/ack", { body: { ...ack, sds_id: 9 } })).status, 404);
    assertEquals((await fixture.call("POST", "/io/tx/ack", { body: { ...ack, token_id: "x" } })).status, 422);
    const unknown = { ...ack, token_id: "00000000-0000-4000-8000-000000000000" };
    assertEquals((await fixture.call("POST", "/io/tx/ack", { body: unknown })).status, 404);
    assertEquals((await fixture.ok("GET", `/io/token/${token_id}`)).status, "ISSUED", "nothing changed so far");
    const recorded = await fixture.ok("POST", "/io/tx/ack", ack);
    assertEquals([recorded.status, recorded.token_id], ["ACK_RECORDED", token_id]);
    const token = await fixture.ok("GET", `/io/token/${token_id}`);
    assertEquals([token.status, typeof token.consumed_at], ["CONSUMED", "string"]);
    const { ack_count, acks } = await fixture.ok("GET", `/io/token/${token_id}/acks`);
    assertEquals([ack_count, acks[0].ack_id, acks[0].bytes_processed], [1, recorded.ack_id, 20]);
    assertEquals(acks[0].metadata, { chunk_id: 7 });
    const stats = await fixture.ok("GET", "/io/stats");
    assertEquals([stats.tokens.CONSUMED, stats.tokens.total, stats.acks.total, stats.acks.bytes_processed], [
      1,
      1,
      1,
      20,
    ]);
    assertEquals((await fixture.call("DELETE", `/io/token/${token_id}/revoke`)).status, 409, "it was used");
  });
});

Deno.test("tokens expire, are marked, and are forgotten after their time", async () => {
  await withVolume(async (fixture) => {
    const { token_id } = await fixture.ok("POST", "/io/authorize", { ...AUTHORIZE, ttl_seconds: 1 });
    assertEquals((await fixture.ok("POST", "/io/cleanup/expired")).expired_tokens_marked, 0);
    await fixture.run(1_500);
    assertEquals((await fixture.ok("GET", `/io/token/${token_id}`)).status, "EXPIRED");
    assertEquals((await fixture.ok("GET", "/io/stats")).tokens.EXPIRED, 1);
    assertEquals((await fixture.ok("POST", "/io/cleanup/expired")).expired_tokens_marked, 1);
    assertEquals((await fixture.ok("POST", "/io/cleanup/expired")).expired_tokens_marked, 0);
    assertEquals((await fixture.call("DELETE", `/io/token/${token_id}/revoke`)).status, 409);
    keepHouse(fixture.mdm.context);
    assertEquals((await fixture.call("GET", `/io/token/${token_id}`)).status, 200, "it is kept for a week");
    const { db, time } = fixture.mdm.context;
    const nowMs = time.nowMs() + TOKENS_KEPT_MS;
    const limits = { keepCount: 10, limit: 10 };
    await fixture.ok("POST", "/io/authorize", AUTHORIZE);
    const presentMs = time.nowMs();
    assertEquals(
      purgeIoTokens(db, { ...limits, nowMs: presentMs, beforeMs: presentMs, keepCount: 0 }),
      1,
      "not the live one",
    );
    assertEquals(purgeIoTokens(db, { ...limits, nowMs, beforeMs: 0 }), 0);
    assertEquals(purgeIoTokens(db, { ...limits, nowMs, beforeMs: nowMs }), 1);
    assertEquals((await fixture.call("GET", `/io/token/${token_id}`)).status, 404);
  });
});

Deno.test("DELETE /io/token/{id}/revoke is told to SDSs at once and with every heartbeat until it expires", async () => {
  await withVolume(async (fixture) => {
    const { token_id } = await fixture.ok("POST", "/io/authorize", AUTHORIZE);
    const answer = await fixture.ok("DELETE", `/io/token/${token_id}/revoke`);
    assertEquals([answer.status, answer.message], [
      "revoked",
      "Every SDS within reach refuses the token now, any other from its next heartbeat on",
    ]);
    assertEquals((await fixture.ok("DELETE", `/io/token/${token_id}/revoke`)).status, "revoked", "twice is once");
    const told = fixture.callsTo("/control/revoke_tokens").map(({ body }) => body as { tokens: { tokenId: string }[] });
    assertEquals(told.map(({ tokens }) => tokens.map(({ tokenId }) => tokenId)), fixture.sdss.map(() => [token_id]));
    assertEquals((await fixture.ok("GET", `/io/token/${token_id}`)).status, "REVOKED");
    assertEquals((await fixture.sdss[0]!.beat()).revokedTokens?.map((revoked) => revoked.tokenId), [token_id]);
    await fixture.restartMdm();
    await fixture.sdss[0]!.register();
    assertEquals((await fixture.sdss[0]!.beat()).revokedTokens?.length, 1, "a restart forgets none");
    await fixture.run(61_000);
    assertEquals((await fixture.sdss[0]!.beat()).revokedTokens, undefined);
  });
});
