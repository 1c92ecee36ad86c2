import { assertEquals, assertThrows } from "@std/assert";
import { asId, type SdcId, type VolumeId } from "@/shared/ids.ts";
import { Grants } from "@/sds/data/grants.ts";

function mapping(volumeId: number, mappingGeneration: number) {
  return { volumeId: asId<VolumeId>(volumeId), sdcId: asId<SdcId>(1), mappingGeneration };
}

/** Lets everything that waits for a promise go on. */
async function settled(): Promise<void> {
  for (let turn = 0; turn < 10; turn++) await Promise.resolve();
}

Deno.test("Grants.dropRevoked() waits for what runs under older generations, each time, and for nothing else", async () => {
  const grants = new Grants();
  const [older, newer, other] = [mapping(1, 1), mapping(1, 2), mapping(2, 1)].map((of) => grants.open(of));
  for (const grant of [older!, newer!, other!]) grant.begin();
  const done: string[] = [];
  const revoke = (name: string) =>
    grants.dropRevoked(({ volumeId }) => volumeId === 1 ? 2 : undefined).then(() => done.push(name));
  revoke("first");
  older!.close();
  revoke("second");
  await settled();
  assertEquals([done, grants.size], [[], 3]);
  assertThrows(() => older!.begin(), Error, "I21");
  older!.end();
  await settled();
  assertEquals([done, grants.size], [["first", "second"], 2]);
  await revoke("third");
  assertEquals(newer!.revoked, false);
});
