import { assertEquals, assertMatch } from "@std/assert";
import { CACHE_SAVED_EVERY_MS, REFRESH_MS_MAX, WATCHED_POLL_MS } from "@/mgmt/poller.ts";
import { openStore } from "@/mgmt/store/store.ts";
import { FakeClock } from "@/tests/support/fake_clock.ts";
import { fakeMdm, mgmtFixture, overviewFixture, sdsFixture } from "@/tests/support/mgmt_fixture.ts";

Deno.test("Poller asks every 10 s, and each second while somebody watches", async () => {
  const clock = new FakeClock();
  await using mgmt = await mgmtFixture({ clock });
  const asked = () => mgmt.mdm.requests.length;
  assertEquals(asked(), 1);
  await clock.advance(30_000);
  assertEquals(asked(), 4);
  const unwatch = mgmt.poller.watch(() => {})!;
  await clock.advance(0);
  assertEquals(asked(), 5, "at once for the first who watches");
  await clock.advance(5 * WATCHED_POLL_MS);
  assertEquals(asked(), 10);
  unwatch();
  await clock.advance(21_000);
  assertEquals(asked(), 13, "slowly again");
});

Deno.test("Poller counts the tries since contact was lost, keeps the figures, and comes back", async () => {
  const clock = new FakeClock();
  await using mgmt = await mgmtFixture({ clock });
  mgmt.mdm.overview = undefined;
  await clock.advance(20_000);
  const { contact, snapshot } = mgmt.poller.view();
  assertEquals(contact.kind === "lost" && contact.attemptCount, 2);
  assertMatch(contact.kind === "lost" ? contact.reason : "", /^the connection was refused/);
  assertEquals(snapshot?.overview.clusterName, "demo");
  mgmt.mdm.overview = overviewFixture();
  await clock.advance(10_000);
  assertEquals(mgmt.poller.view().contact, { kind: "in_touch" });
});

Deno.test("Poller asks a second time before it says that contact is lost", async () => {
  const clock = new FakeClock();
  const mdm = fakeMdm();
  let failures = 0;
  const send: typeof mdm.send = (request) =>
    failures-- > 0 ? Promise.reject(new TypeError("Connection reset")) : mdm.send(request);
  await using mgmt = await mgmtFixture({ clock, mdm: { ...mdm, send } });
  failures = 1;
  await clock.advance(10_000);
  assertEquals(mgmt.poller.view().contact, { kind: "in_touch" });
  failures = 2;
  await clock.advance(10_000);
  assertEquals(mgmt.poller.view().contact.kind, "lost");
});

Deno.test("Poller takes an answer that it cannot read for no answer", async () => {
  const mdm = fakeMdm({ ...overviewFixture(), pools: 5 } as never);
  await using mgmt = await mgmtFixture({ clock: new FakeClock(), mdm });
  const { contact } = mgmt.poller.view();
  assertMatch(contact.kind === "lost" ? contact.reason : "", /field pools/);
});

Deno.test("Poller makes rates and a history from counters", async () => {
  const clock = new FakeClock();
  await using mgmt = await mgmtFixture({ clock });
  const base = overviewFixture();
  const io = {
    reads: 5_000,
    writes: 0,
    readBytes: 5_000 * 4096,
    writtenBytes: 0,
    errors: 0,
    timedOperations: 0,
    timedMs: 0,
  };
  mgmt.mdm.overview = { ...base, mdmTimeMs: base.mdmTimeMs + 10_000, sdss: [sdsFixture(1, { io })] };
  await clock.advance(10_000);
  const { rates, history } = mgmt.poller.view();
  assertEquals(rates.get("cluster")?.readsPerSecond, 500);
  assertEquals(history.length, 1);
});

Deno.test("Poller leaves the last overview for the next start", async () => {
  const clock = new FakeClock();
  const store = openStore(":memory:");
  const saved: number[] = [];
  const save = store.topology.save.bind(store.topology);
  store.topology.save = (snapshot) => {
    saved.push(snapshot.takenAtMs);
    save(snapshot);
  };
  await using mgmt = await mgmtFixture({ clock, store });
  await clock.advance(2 * CACHE_SAVED_EVERY_MS);
  assertEquals(saved.length, 3, "not at every poll");
  assertEquals(store.topology.load()?.overview, mgmt.poller.view().snapshot?.overview);
});

Deno.test("Poller.refresh() brings old figures up to date, and does not wait for an MDM that hangs", async () => {
  const clock = new FakeClock();
  const mdm = fakeMdm();
  let hanging = false;
  const released = Promise.withResolvers<void>();
  const send: typeof mdm.send = async (request) => {
    if (hanging) await released.promise;
    return await mdm.send(request);
  };
  await using mgmt = await mgmtFixture({ clock, mdm: { ...mdm, send } });
  const asked = () => mdm.requests.length;
  await mgmt.poller.refresh();
  assertEquals(asked(), 1, "they are new");
  await clock.advance(5_000);
  await mgmt.poller.refresh();
  assertEquals(asked(), 2);
  await clock.advance(5_000);
  hanging = true;
  const waiting = mgmt.poller.refresh();
  await clock.advance(REFRESH_MS_MAX);
  await waiting;
  assertEquals(asked(), 2, "it goes on with what there is");
  released.resolve();
});
