import { assertEquals } from "@std/assert";
import type { PgConfig } from "@/shared/api/pg.ts";
import type { Group } from "@/sds/replication/group.ts";
import type { PrimaryOperation } from "@/sds/replication/primary_operation.ts";
import { PrimaryRole } from "@/sds/replication/primary_role.ts";

/** A role whose commits end when the test says, in a group that is idle when its operations have ended. */
function roleWith(epoch: number) {
  const commits: (() => void)[] = [];
  let idle = Promise.resolve();
  const store = { commitFull: () => new Promise<void>((resolve) => commits.push(resolve)) };
  const log = { debug() {}, error() {} };
  // Only what a role without members touches.
  const group = {
    pgId: 1,
    device: { store, context: { log } },
    idle: () => idle,
    mayBeServedUnder: () => true,
  } as unknown as Group;
  const role = new PrimaryRole(group, configOf(epoch));
  const busy = (): void => {
    idle = new Promise(() => {});
  };
  return { role, commits, busy };
}

function configOf(epoch: number): PgConfig {
  return { epoch, members: [{ deviceId: 1 }] } as unknown as PgConfig;
}

/** Lets everything that waits for a promise go on. */
async function settled(): Promise<void> {
  for (let turn = 0; turn < 10; turn++) await Promise.resolve();
}

Deno.test("PrimaryRole serves under the last of two configurations that came while the first was being stored", async () => {
  const { role, commits, busy } = roleWith(1);
  role.activate();
  await settled();
  commits.shift()!();
  await settled();
  assertEquals(role.active, true);
  let settledCount = 0;
  // A write that waits for its epoch to be stored: the group is not idle before it has ended.
  role.operations.add({ settle: () => settledCount++ } as unknown as PrimaryOperation);
  busy();
  role.continueUnder(configOf(2));
  role.continueUnder(configOf(3));
  commits.shift()!();
  await settled();
  assertEquals({ active: role.active, settledCount }, { active: false, settledCount: 0 });
  commits.shift()!();
  await settled();
  assertEquals({ active: role.active, settledCount }, { active: true, settledCount: 1 });
});

Deno.test("PrimaryRole does not serve under an epoch that came during its activation before it is stored", async () => {
  const { role, commits } = roleWith(1);
  role.activate();
  await settled();
  role.continueUnder(configOf(2));
  commits.shift()!();
  await settled();
  assertEquals(role.active, false);
  commits.shift()!();
  await settled();
  assertEquals(role.active, true);
});

Deno.test("PrimaryRole.releaseWrites() ends the wait for running writes, of which there may always be one", async () => {
  const { role } = roleWith(1);
  role.operations.add({} as unknown as PrimaryOperation);
  let over = false;
  role.holdWrites().then(() => over = true);
  await settled();
  assertEquals(over, false);
  role.releaseWrites();
  await settled();
  assertEquals(over, true);
});
