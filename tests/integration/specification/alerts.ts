/**
 * Group "alerts" of the specification: 4 tests. One storage server falls silent once, for 40 s; the tests look at the alert about it at
 * its stages.
 *
 * @module
 */
import { assert, assertEquals } from "@std/assert";
import { sleep, systemClock } from "@/shared/clock.ts";
import { eventually, httpCall, type SpecificationCluster } from "@/tests/integration/specification/cluster.ts";
import { signedIn } from "@/tests/integration/specification/signed_in.ts";

/** Longer than the 30 s after which a silent process is called STALE. */
const SILENT_MS = 40_000;

interface AlertView {
  readonly id: number;
  readonly severity: string;
  readonly category: string;
  readonly source: string;
  readonly state: string;
  readonly acknowledged_by: string | null;
  readonly resolved_at: string | null;
  readonly resolved_by: string | null;
}

/** Declares the group's tests. */
export function alertTests(cluster: () => SpecificationCluster): void {
  let fallenSilent: Promise<Silence> | undefined;
  const silence = () => fallenSilent ??= Silence.begin(cluster());

  Deno.test("alerts: a storage server that is silent raises an alert", async () => {
    const { alert, name } = await silence();
    assertEquals([alert.source, alert.category, alert.state], [name, "sds_down", "active"]);
    const { body } = await httpCall("GET", `${cluster().state.mgmt.url}/health/api/summary`);
    assert(body.alert_counts[alert.severity] >= 1, JSON.stringify(body.alert_counts));
  });

  Deno.test("alerts: an operator acknowledges an alert, and it stays open", async () => {
    const { alert } = await silence();
    const browser = await signedIn(cluster());
    const path = `/alerts/acknowledge/${alert.id}`;
    const stranger = await httpCall("POST", cluster().state.mgmt.url + path);
    assert([401, 403].includes(stranger.status), "not without a login");
    assertEquals((await alertOf(cluster(), alert.id))?.state, "active");
    assertEquals((await browser.submit("/alerts", { path, fields: {} })).status, 303);
    const acknowledged = await alertOf(cluster(), alert.id);
    assertEquals([acknowledged?.state, acknowledged?.acknowledged_by], ["acknowledged", "admin"]);
  });

  Deno.test("alerts: an alert resolves by itself when its server returns after 40 s", async () => {
    const { alert, begunAtMs, pid } = await silence();
    await sleep(systemClock, Math.max(0, begunAtMs + SILENT_MS - performance.now()));
    cluster().resume(pid);
    const resolved = await eventually(
      () => alertOf(cluster(), alert.id, "?state=resolved"),
      (found) => found !== undefined,
    );
    assert(resolved!.resolved_at !== null && resolved!.resolved_by !== "admin", JSON.stringify(resolved));
    const { poolId } = await cluster().cleanSlate();
    const health = () => cluster().ok("GET", `/pool/${poolId}/health`);
    assertEquals((await eventually(health, (pool) => pool.health === "OK")).health, "OK");
  });

  Deno.test("alerts: an operator raises an alert by hand and resolves it", async () => {
    const browser = await signedIn(cluster());
    const fields = { severity: "info", source: "rack-1", message: "Work on the power supply" };
    assertEquals((await browser.submit("/alerts", { path: "/alerts/create", fields })).status, 303);
    const raised = (await alerts(cluster())).find(({ source }) => source === "rack-1")!;
    assertEquals([raised.severity, raised.category, raised.state], ["info", "manual", "active"]);
    const path = `/alerts/resolve/${raised.id}`;
    assertEquals((await browser.submit("/alerts", { path, fields: {} })).status, 303);
    const resolved = await alertOf(cluster(), raised.id, "?state=resolved");
    assertEquals([resolved?.state, resolved?.resolved_by], ["resolved", "admin"]);
    assertEquals(await alertOf(cluster(), raised.id), undefined);
    assertEquals((await browser.submit("/alerts", { path, fields: {} })).status, 409, "once is enough");
  });
}

/** A storage server that has stood still until an alert was raised about it, and stands still. */
class Silence {
  private constructor(
    readonly alert: AlertView,
    readonly name: string,
    readonly pid: number,
    readonly begunAtMs: number,
  ) {}

  static async begin(cluster: SpecificationCluster): Promise<Silence> {
    const { sdsIds } = await cluster.cleanSlate();
    const { name, component_id } = await cluster.ok("GET", `/sds/${sdsIds[0]}`);
    const { pid } = cluster.state.sds.find((sds) => sds.name === component_id)!; // each record has its process
    const begunAtMs = performance.now();
    cluster.pause(pid);
    const isAbout = ({ source, category }: AlertView) => source === name && category === "sds_down";
    const open = await eventually(() => alerts(cluster), (all) => all.some(isAbout));
    return new Silence(open.find(isAbout)!, name, pid, begunAtMs);
  }
}

async function alerts(cluster: SpecificationCluster, query = ""): Promise<readonly AlertView[]> {
  const { status, body } = await httpCall("GET", `${cluster.state.mgmt.url}/alerts${query}`);
  assertEquals(status, 200, JSON.stringify(body));
  return body;
}

async function alertOf(cluster: SpecificationCluster, id: number, query = ""): Promise<AlertView | undefined> {
  return (await alerts(cluster, query)).find((alert) => alert.id === id);
}
