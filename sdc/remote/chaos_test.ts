import { assertEquals } from "@std/assert";
import type { FakeRequest, Reaction } from "@/tests/support/fake_sds.ts";
import { SdcFixture } from "@/tests/support/sdc_fixture.ts";
import { SeededRandom } from "@/tests/sim/seeded_random.ts";

const REGION_BYTES = 3 * 1048576;
const WRITE_COUNT = 300;

/** Draws what happens to a request: mostly it is served. */
function drawReaction(random: SeededRandom): Reaction {
  const draw = random.fraction();
  if (draw < 0.02) return "drop_before";
  if (draw < 0.04) return "drop_after";
  if (draw < 0.08) return { refuse: "not_ready" };
  if (draw < 0.10) return { refuse: "outcome_unknown", applies: random.fraction() < 0.5 };
  if (draw < 0.12) return { refuse: "token_expired" };
  if (draw < 0.13) return "ignore";
  return "serve";
}

function overlap(a: FakeRequest, b: FakeRequest): boolean {
  const end = (request: FakeRequest) => Math.ceil((request.offsetBytes + request.lengthBytes) / 4096);
  const start = (request: FakeRequest) => Math.floor(request.offsetBytes / 4096);
  return a.chunkIndex === b.chunkIndex && start(a) < end(b) && start(b) < end(a);
}

/** Writes, reads and flushes at random over SDSs that refuse, drop and fall silent; the volume must equal a plain array. */
async function run(seed: number): Promise<void> {
  const random = new SeededRandom(`sdc-chaos-${seed}`);
  await using fixture = new SdcFixture({ sizeBytes: 4 * 1048576 });
  const { clock, cluster } = fixture;
  const unanswered = new Map<string, FakeRequest>();
  for (const sds of fixture.sdss) {
    sds.script = (request) => {
      if (request.kind !== "write") return drawReaction(random);
      // I15: whatever of other writes of these blocks was sent before is answered, or was sent again since.
      const name = `${request.opSession}/${request.opSeq}`;
      for (const [other, sent] of unanswered) {
        if (other !== name && overlap(sent, request)) throw new Error(`seed ${seed}: ${other} and ${name} overlap`);
      }
      unanswered.set(name, request);
      return drawReaction(random);
    };
  }
  const expected = new Uint8Array(REGION_BYTES);
  const outcomes: { outcome: string | undefined }[] = [];
  for (let index = 0; index < WRITE_COUNT; index++) {
    const lengthBytes = random.fraction() < 0.5 ? 4096 : 1 + Math.floor(random.fraction() * 150_000);
    const isAligned = random.fraction() < 0.5;
    const offset = Math.floor(random.fraction() * (REGION_BYTES - lengthBytes) / 4096) * 4096 + (isAligned ? 0 : 100);
    const data = new Uint8Array(Math.min(lengthBytes, REGION_BYTES - offset)).fill(1 + index % 255);
    expected.set(data, offset);
    outcomes.push(fixture.submit("write", offset, {
      data,
      onComplete() {
        for (const [name, sent] of unanswered) {
          const at = sent.chunkIndex * 1048576 + sent.offsetBytes;
          if (at >= offset && at + sent.lengthBytes <= offset + data.length) unanswered.delete(name);
        }
      },
    }));
    if (random.fraction() < 0.1) outcomes.push(fixture.submit("flush"));
    if (random.fraction() < 0.1) outcomes.push(fixture.read(offset, data.length));
    const from = random.fraction() < 0.5 ? 1 : 2;
    if (random.fraction() < 0.05) cluster.failOver(from, 3 - from);
    if (random.fraction() < 0.3) await clock.advance(random.fraction() * 200);
  }
  for (let second = 0; second < 110 && outcomes.some(({ outcome }) => outcome === undefined); second++) {
    if (second === 60) { for (const sds of fixture.sdss) sds.script = () => "serve"; }
    await clock.advance(1_000);
  }
  assertEquals(outcomes.filter(({ outcome }) => outcome !== "ok"), [], `seed ${seed}`);
  for (let chunk = 0; chunk < 3; chunk++) {
    const part = expected.subarray(chunk * 1048576, (chunk + 1) * 1048576);
    assertEquals(
      cluster.chunk(chunk).every((byte, index) => byte === part[index]),
      true,
      `seed ${seed} chunk ${chunk}`,
    );
  }
}

Deno.test("RemoteVolume keeps every write in order over SDSs that refuse, drop, fall silent and change roles", async () => {
  for (let seed = 1; seed <= 8; seed++) await run(seed);
});
