import { assertEquals } from "@std/assert";
import { SESSIONS_PER_USER_MAX } from "@/mgmt/store/sessions.ts";
import { openStore } from "@/mgmt/store/store.ts";
import { overviewFixture } from "@/tests/support/mgmt_fixture.ts";

Deno.test("Sessions.add() ends the longest unused session of a user who has too many", () => {
  using store = openStore(":memory:");
  store.users.add({ name: "admin", role: "admin", passwordHash: "x", nowMs: 0 });
  for (let index = 0; index <= SESSIONS_PER_USER_MAX; index++) {
    store.sessions.add({
      idHash: `h${index}`,
      userId: 1,
      address: "",
      agent: "",
      createdAtMs: index,
      lastUsedAtMs: index,
    });
  }
  assertEquals(store.sessions.ofUser(1).length, SESSIONS_PER_USER_MAX);
  assertEquals([store.sessions.find("h0"), store.sessions.find("h1")?.lastUsedAtMs], [undefined, 1]);
});

Deno.test("Users.byName() does not mind the case", () => {
  using store = openStore(":memory:");
  store.users.add({ name: "admin", role: "admin", passwordHash: "x", nowMs: 0 });
  assertEquals(store.users.byName("ADMIN")?.id, 1);
});

Deno.test("TopologyCache gives back what it kept, and nothing of another shape", () => {
  using store = openStore(":memory:");
  assertEquals(store.topology.load(), undefined);
  const snapshot = { overview: overviewFixture(), takenAtMs: 5 };
  store.topology.save({ ...snapshot, takenAtMs: 4 });
  store.topology.save(snapshot);
  assertEquals(store.topology.load(), snapshot);
  store.topology.save({ overview: { ...snapshot.overview, pools: "none" } as never, takenAtMs: 6 });
  assertEquals(store.topology.load(), undefined);
});

Deno.test("AuditLog.newest() gives the newest rows first", () => {
  using store = openStore(":memory:");
  for (const detail of ["first", "second", "third"]) {
    store.audit.add({ atMs: 1, userName: "a", action: "user_login", address: "", result: "ok", detail });
  }
  assertEquals(store.audit.newest(2).map(({ detail }) => detail), ["third", "second"]);
});
