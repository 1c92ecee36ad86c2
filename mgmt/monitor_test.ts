import { assertEquals } from "@std/assert";
import type { HttpSend } from "@/shared/http_client.ts";
import { ANSWER_KEPT_MS, NO_ANSWER } from "@/mgmt/monitor.ts";
import { EVERY_PASS_KEPT_MS, snapshotsOf } from "@/mgmt/core/monitoring.ts";
import { FakeClock } from "@/tests/support/fake_clock.ts";
import { mgmtFixture, overviewFixture } from "@/tests/support/mgmt_fixture.ts";

const DAY_MS = 86_400_000;

Deno.test("Monitor asks every management listener once a pass, twice when it fails, and keeps a good answer for 30 s", async () => {
  const clock = new FakeClock();
  const asked: string[] = [];
  let isAway = false;
  const listeners: HttpSend = ({ url }) => {
    asked.push(url);
    if (isAway && url.includes("9201")) return Promise.reject(new TypeError("Connection refused (os error 111)"));
    return Promise.resolve({ status: 200, body: '{"status":"HEALTHY","online_devices":1,"total_devices":1}' });
  };
  await using mgmt = await mgmtFixture({ clock, listeners });
  assertEquals(asked.toSorted(), [
    "http://127.0.0.1:8004/health",
    "http://127.0.0.1:9200/mgmt/health",
    "http://127.0.0.1:9201/mgmt/health",
    "http://127.0.0.1:9202/mgmt/health",
  ]);
  const answer = () => mgmt.monitor.answers().get("sds:2");
  assertEquals([answer()?.status, answer()?.detail], ["HEALTHY", "1 of 1 devices work"]);
  isAway = true;
  asked.length = 0;
  await clock.advance(10_000);
  assertEquals([asked.length, answer()?.status], [5, "HEALTHY"]);
  await clock.advance(ANSWER_KEPT_MS);
  assertEquals([answer()?.status, answer()?.detail], [NO_ANSWER, "the connection was refused"]);
});

Deno.test("Monitor keeps snapshots: every pass for an hour, one a minute for a week, then none", async () => {
  const clock = new FakeClock();
  await using mgmt = await mgmtFixture({ clock });
  await clock.advance(120_000);
  const source = { type: "POOL", id: 1 } as const;
  const count = (longOnly: boolean) => mgmt.store.snapshots.series(source, { sinceMs: 0, longOnly }).length;
  assertEquals([count(false), count(true)], [13, 3]);
  const [first] = mgmt.store.snapshots.series(source, { sinceMs: 0, longOnly: true });
  assertEquals([first?.status, first?.metrics.groupsFull, first?.metrics.groupsTotal], ["ok", 128, 128]);
  await mgmt.poller.stop();
  await clock.advance(EVERY_PASS_KEPT_MS);
  mgmt.housekeeping.cleanUp();
  assertEquals([count(false), count(true)], [3, 3]);
  await clock.advance(7 * DAY_MS);
  mgmt.housekeeping.cleanUp();
  assertEquals(mgmt.store.snapshots.count(), 0);
});

Deno.test("snapshotsOf() notes every source, volumes once a minute", () => {
  const facts = { atMs: 5, rates: new Map(), answers: new Map() };
  const sources = (isKeptLong: boolean) =>
    snapshotsOf(overviewFixture(), { ...facts, isKeptLong }).map(({ sourceType, sourceId }) =>
      `${sourceType} ${sourceId}`
    );
  assertEquals(sources(false), ["CLUSTER 0", "POOL 1", "SDS 1", "SDS 2", "SDS 3", "SDC 1"]);
  assertEquals(sources(true).at(-1), "VOLUME 1");
});
