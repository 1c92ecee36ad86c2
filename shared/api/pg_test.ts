import { assert, assertEquals } from "@std/assert";
import { pgChangeCallSchema, type PgConfig, pgConfigIsSigned, pgConfigSchema, signPgConfig } from "@/shared/api/pg.ts";
import { asId, type DeviceId, type Epoch, type PgId, type PoolId, type SdsId } from "@/shared/ids.ts";

const KEY = "0b".repeat(32);
const CONFIG: PgConfig = signPgConfig({
  pgId: asId<PgId>(1),
  poolId: asId<PoolId>(2),
  pgIndex: 3,
  pgCount: 64,
  epoch: asId<Epoch>(5),
  mdmTerm: 6,
  members: [{
    deviceId: asId<DeviceId>(7),
    sdsId: asId<SdsId>(8),
    incarnation: { counter: 9, random: "00000000000000aa" },
    bootId: "boot",
  }],
  lossGeneration: 1,
  fresh: true,
  syncWrites: false,
}, KEY);

Deno.test("signPgConfig() is pinned, and survives JSON", () => {
  assertEquals(CONFIG.signature, "c4f2de72f97582c36dc35294a6e7b72641c8094057a6d2e65995c04051f81137");
  assert(pgConfigIsSigned(pgConfigSchema.parse(JSON.parse(JSON.stringify(CONFIG))), KEY));
});

Deno.test("pgConfigIsSigned() notices a change of any field and another key", () => {
  const [member] = CONFIG.members;
  const changes: Partial<PgConfig>[] = [
    { pgId: asId<PgId>(2) },
    { poolId: asId<PoolId>(3) },
    { pgIndex: 4 },
    { pgCount: 128 },
    { epoch: asId<Epoch>(6) },
    { mdmTerm: 7 },
    { members: [member!, member!] },
    { members: [{ ...member!, deviceId: asId<DeviceId>(8) }] },
    { members: [{ ...member!, sdsId: asId<SdsId>(9) }] },
    { members: [{ ...member!, incarnation: { counter: 10, random: "00000000000000aa" } }] },
    { members: [{ ...member!, incarnation: { counter: 9, random: "00000000000000ab" } }] },
    { members: [{ ...member!, bootId: "other" }] },
    { lossGeneration: 2 },
    { fresh: false },
    { syncWrites: true },
  ];
  for (const change of changes) {
    assert(!pgConfigIsSigned({ ...CONFIG, ...change }, KEY), `changed ${JSON.stringify(change)}`);
  }
  assert(!pgConfigIsSigned(CONFIG, "0c".repeat(32)));
});

Deno.test("pgChangeCallSchema takes the four changes and no others", () => {
  const asker = { deviceId: 1, incarnation: { counter: 1, random: "00000000000000aa" } };
  const call = (change: object) =>
    pgChangeCallSchema.safeParse({ asker, changes: [{ pgId: 1, epoch: 1, ...change }] }).success;
  assert(call({ kind: "take_over" }) && call({ kind: "bump" }) && call({ kind: "remove_secondary", deviceId: 2 }));
  assert(call({ kind: "add_member", joiner: { deviceId: 2, incarnation: asker.incarnation } }));
  assert(!call({ kind: "activate" }) && !call({ kind: "remove_secondary" }) && !call({ kind: "bump", epoch: 0 }));
  assertEquals(pgChangeCallSchema.safeParse({ asker, changes: [] }).success, false);
});
