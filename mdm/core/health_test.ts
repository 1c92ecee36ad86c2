import { assertEquals } from "@std/assert";
import {
  clusterHealthOf,
  componentStatusOf,
  livenessOf,
  pgStateOf,
  poolHealthOf,
  registryHealthOf,
  sdsStateOf,
} from "@/mdm/core/health.ts";

const TIMES = { staleAfterMs: 30_000, downAfterMs: 60_000 };

Deno.test("livenessOf() is stale from 30 s and down from 60 s of silence", () => {
  const ages = [undefined, 0, 29_999, 30_000, 59_999, 60_000];
  assertEquals(ages.map((age) => livenessOf(age, TIMES)), ["never_seen", "up", "up", "stale", "stale", "down"]);
  assertEquals(ages.map((age) => componentStatusOf(livenessOf(age, TIMES))), [
    ...["DOWN", "ACTIVE", "ACTIVE", "STALE", "STALE", "DOWN"] as const,
  ]);
});

Deno.test("sdsStateOf() is degraded when late or with a failed device", () => {
  assertEquals(sdsStateOf("up", { hasFailedDevice: false }), "UP");
  assertEquals(sdsStateOf("up", { hasFailedDevice: true }), "DEGRADED");
  assertEquals(sdsStateOf("stale", { hasFailedDevice: false }), "DEGRADED");
  assertEquals(sdsStateOf("down", { hasFailedDevice: false }), "DOWN");
});

Deno.test("health of a pool follows its groups, that of the cluster its pools and SDSs", () => {
  const pg = { copies: 2, server: "primary" as const, joining: false };
  assertEquals(pgStateOf({ ...pg, memberCount: 2 }), "full");
  assertEquals(pgStateOf({ ...pg, memberCount: 1 }), "degraded");
  assertEquals(pgStateOf({ ...pg, memberCount: 1, joining: true }), "joining");
  assertEquals(pgStateOf({ ...pg, memberCount: 2, server: "nobody" }), "unavailable");
  assertEquals(pgStateOf({ ...pg, memberCount: 2, server: "heir" }), "degraded");
  const counts = { full: 4, degraded: 0, joining: 0, unavailable: 0 };
  assertEquals(poolHealthOf(counts), "ok");
  assertEquals(poolHealthOf({ ...counts, joining: 1 }), "degraded");
  assertEquals(poolHealthOf({ ...counts, degraded: 1, unavailable: 1 }), "failed");
  const cluster = { hasDevice: true, allSdsUp: true };
  assertEquals(clusterHealthOf({ ...cluster, hasDevice: false, poolHealths: [] }), "empty");
  assertEquals(clusterHealthOf({ ...cluster, poolHealths: ["ok"] }), "healthy");
  assertEquals(clusterHealthOf({ ...cluster, poolHealths: ["ok"], allSdsUp: false }), "degraded");
  assertEquals(clusterHealthOf({ ...cluster, poolHealths: ["degraded", "failed"] }), "critical");
});

Deno.test("registryHealthOf() warns up to half inactive", () => {
  const words = [[4, 4], [4, 3], [4, 2], [4, 1], [4, 0], [0, 0]]
    .map(([total, active]) => registryHealthOf({ total: total!, active: active! }).status);
  assertEquals(words, ["healthy", "warning", "warning", "degraded", "critical", "healthy"]);
});
