import { assertEquals, assertThrows } from "@std/assert";
import { CONSUMED_TOKENS_PER_BEAT_MAX } from "@/shared/api/sds.ts";
import { StorageError } from "@/shared/errors.ts";
import { MdmTime } from "@/sds/core/mdm_time.ts";
import { fragmentsOf } from "@/sds/data/json_io.ts";
import { TokenUses, UNTOLD_USES_MAX, USED_SEGMENTS_MAX } from "@/sds/data/token_uses.ts";

const POLICY = { silentMs: 10_000, outageGraceMs: 900_000 };

function timeAt(mdmTimeMs: number): MdmTime {
  const time = new MdmTime(POLICY);
  time.observe({ sentMs: 0, answeredMs: 0, mdmTimeMs });
  return time;
}

Deno.test("TokenUses remembers each segment until its token has expired for good", () => {
  const uses = new TokenUses();
  uses.use({ tokenId: "a", expiresAtMs: 1_000 }, 0);
  assertEquals([uses.isUsed("a", 0), uses.isUsed("a", 1), uses.isUsed("b", 0)], [true, false, false]);
  uses.heard(timeAt(999), [{ tokenId: "r", expiresAtMs: 1_000 }]);
  assertEquals([uses.isUsed("a", 0), uses.isRevoked("r")], [true, true]);
  uses.heard(timeAt(1_000), []);
  assertEquals([uses.isUsed("a", 0), uses.isRevoked("r"), uses.usedCount], [false, false, 0]);
});

Deno.test("TokenUses refuses a use that it could not remember", () => {
  const uses = new TokenUses();
  for (let index = 0; index < USED_SEGMENTS_MAX; index++) uses.use({ tokenId: "a", expiresAtMs: 1_000 }, index);
  const error = assertThrows(() => uses.use({ tokenId: "b", expiresAtMs: 1_000 }, 0), StorageError);
  assertEquals([error.code, uses.isUsed("b", 0)], ["too_busy", false]);
});

Deno.test("TokenUses tells uses in batches, again until they were taken, and bounds what waits", () => {
  const uses = new TokenUses();
  for (let chunkId = 0; chunkId < UNTOLD_USES_MAX + 5; chunkId++) {
    uses.done({ tokenId: "a", chunkId, success: true, bytesProcessed: 1, errorMessage: "", durationMs: 1 });
  }
  assertEquals(uses.untoldCount, UNTOLD_USES_MAX);
  const first = uses.nextUses();
  assertEquals([first.length, first[0]?.chunkId, uses.nextUses()[0]?.chunkId], [CONSUMED_TOKENS_PER_BEAT_MAX, 0, 0]);
  uses.usesTaken(first);
  assertEquals(uses.nextUses()[0]?.chunkId, CONSUMED_TOKENS_PER_BEAT_MAX);
});

Deno.test("fragmentsOf() cuts at multiples of 64 KiB", () => {
  assertEquals(fragmentsOf({ offsetBytes: 65_535, lengthBytes: 65_538 }), [
    { offsetBytes: 65_535, lengthBytes: 1 },
    { offsetBytes: 65_536, lengthBytes: 65_536 },
    { offsetBytes: 131_072, lengthBytes: 1 },
  ]);
  assertEquals(fragmentsOf({ offsetBytes: 0, lengthBytes: 65_536 }), [{ offsetBytes: 0, lengthBytes: 65_536 }]);
});
