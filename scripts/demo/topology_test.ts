import { assertEquals, assertRejects } from "@std/assert";
import { MdmApi } from "@/scripts/demo/mdm_api.ts";
import { type DemoOptions, parseDemoOptions } from "@/scripts/demo/options.ts";
import { type DemoPlan, planOf } from "@/scripts/demo/plan.ts";
import { ensureTopology } from "@/scripts/demo/topology.ts";
import type { HttpAnswer, HttpRequest } from "@/shared/http_client.ts";

function planWith(...flags: string[]): DemoPlan {
  const { options } = parseDemoOptions(flags) as { options: DemoOptions }; // the flags below are right
  return planOf(options, { dir: "/data", temporaryDir: "/tmp", hostIdentity: {} });
}

/** An MDM that remembers names and gives ids from 1 on. */
class FakeMdm {
  readonly calls: string[] = [];
  readonly #names = new Map<string, string[]>();
  mapped = false;

  readonly send = (request: HttpRequest): Promise<HttpAnswer> => {
    const path = new URL(request.url).pathname;
    if (request.method === "GET") return Promise.resolve({ status: 200, body: JSON.stringify(this.#answer(path)) });
    const body: Record<string, unknown> = JSON.parse(request.body ?? "{}");
    this.calls.push(path === "/vol/map" ? `map ${new URL(request.url).search}` : `${path} ${body["name"]}`);
    if (path === "/vol/map") {
      this.mapped = true;
      return Promise.resolve({ status: 200, body: '{"status":"mapped"}' });
    }
    const names = this.#names.get(path) ?? [];
    if (names.includes(String(body["name"]))) {
      return Promise.resolve({ status: 409, body: '{"detail":"the name is taken"}' });
    }
    this.#names.set(path, [...names, String(body["name"])]);
    return Promise.resolve({ status: 200, body: JSON.stringify({ id: names.length + 1 }) });
  };

  #answer(path: string): unknown {
    if (path === "/cluster/nodes") {
      return {
        nodes: ["sds-1", "sds-2", "sds-3", "sds-4", "sdc-1"].map((name, id) => ({ id: id + 1, component_id: name })),
      };
    }
    return this.#overview();
  }

  #named<Fields>(path: string, fieldsOf: (name: string, id: number) => Fields): (Fields & { name: string })[] {
    return (this.#names.get(path) ?? []).map((name, index) => ({ name, ...fieldsOf(name, index + 1) }));
  }

  #overview(): unknown {
    const io = { reads: 0, writes: 0, readBytes: 0, writtenBytes: 0, errors: 0, timedOperations: 0, timedMs: 0 };
    const place = { host: "127.0.0.1", controlPort: 1, mgmtPort: 1, state: "up", lastBeatAgeMs: 0, io };
    return {
      clusterId: "c",
      clusterName: "demo",
      mdmTerm: 1,
      mdmTimeMs: 1,
      mdmStartedAtMs: 1,
      health: "healthy",
      domains: this.#named("/pd/create", (_, domainId) => ({
        domainId,
        faultSets: this.#named("/fault_set/create", (_, faultSetId) => ({ faultSetId })),
      })),
      pools: this.#named("/pool/create", (_, poolId) => ({
        poolId,
        domainId: 1,
        protectionPolicy: "two_copies",
        copies: 2,
        health: "ok",
        rawCapacityBytes: 0,
        rawUsedBytes: 0,
        logicalLimitBytes: 0,
        provisionedBytes: 0,
        deviceCount: 0,
        pgs: { total: 0, full: 0, degraded: 0, joining: 0, unavailable: 0 },
        rebuild: null,
      })),
      sdss: this.#named("/sds/add", (name, sdsId) => ({
        sdsId,
        componentId: name,
        domainId: 1,
        faultSetId: sdsId,
        ...place,
        dataPort: 1,
        stopping: false,
        markedFailed: false,
        devices: [],
      })),
      sdcs: this.#named("/sdc/add", (name, sdcId) => ({
        sdcId,
        componentId: name,
        ...place,
        devicePort: 1,
        nbdUri: null,
        mappings: [],
      })),
      volumes: this.#named("/vol/create", (_, volumeId) => ({
        volumeId,
        poolId: 1,
        provisioning: "thin",
        sizeBytes: 2 ** 30,
        usedBytes: null,
        state: "in_use",
        createdAtMs: 1,
        mappings: this.mapped ? [{ sdcId: 1, accessMode: "readWrite" }] : [],
        io,
      })),
      components: [],
      events: [],
      alerts: [],
    };
  }
}

Deno.test("ensureTopology() makes everything once, each SDS in a fault set of its own", async () => {
  const mdm = new FakeMdm();
  const api = new MdmApi("http://mdm", { send: mdm.send });
  const volume = await ensureTopology(planWith(), api);
  assertEquals(volume, { id: 1, name: "demo", sizeBytes: 2 ** 30 });
  assertEquals(mdm.calls, [
    "/pd/create demo",
    "/pool/create demo-pool",
    "/fault_set/create fault-set-1",
    "/sds/add sds-1",
    "/fault_set/create fault-set-2",
    "/sds/add sds-2",
    "/fault_set/create fault-set-3",
    "/sds/add sds-3",
    "/sdc/add sdc-1",
    "/vol/create demo",
    "map ?volume_id=1&sdc_id=1&access_mode=readWrite",
  ]);
});

Deno.test("ensureTopology() adds at a later start only what is missing", async () => {
  const mdm = new FakeMdm();
  const api = new MdmApi("http://mdm", { send: mdm.send });
  await ensureTopology(planWith(), api);
  mdm.calls.length = 0;
  await ensureTopology(planWith("--sds", "4"), api);
  assertEquals(mdm.calls, ["/fault_set/create fault-set-4", "/sds/add sds-4"]);
  mdm.calls.length = 0;
  mdm.mapped = false;
  await ensureTopology(planWith("--sds", "4"), api);
  assertEquals(mdm.calls, ["map ?volume_id=1&sdc_id=1&access_mode=readWrite"]);
});

Deno.test("ensureTopology() says which process is not registered", async () => {
  const api = new MdmApi("http://mdm", { send: new FakeMdm().send });
  await assertRejects(() => ensureTopology(planWith("--sds", "5"), api), Error, "sds-5 runs but is not registered");
});

Deno.test("MdmApi throws what the MDM said when it refuses", async () => {
  const send = () => Promise.resolve({ status: 409, body: '{"detail":"the name is taken"}' });
  await assertRejects(
    () => new MdmApi("http://mdm", { send }).create("/pd/create", { name: "a" }),
    Error,
    "The MDM refused POST /pd/create: the name is taken",
  );
});
