import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import type { ClusterView } from "@/mgmt/core/cluster_view.ts";
import { clusterPage } from "@/mgmt/pages/cluster_page.ts";
import { niceTop } from "@/mgmt/views/chart.tsx";
import { renderSections } from "@/mgmt/views/frame.tsx";
import { nextStep } from "@/mgmt/views/next_step.tsx";
import type { Overview } from "@/shared/api/overview.ts";
import { FIXTURE_TIME_MS, overviewFixture } from "@/tests/support/mgmt_fixture.ts";

const MDM_URL = "http://127.0.0.1:8001";

function viewOf(overview: Overview): ClusterView {
  return {
    mdmUrl: MDM_URL,
    nowMs: FIXTURE_TIME_MS,
    contact: { kind: "in_touch" },
    snapshot: { overview, takenAtMs: FIXTURE_TIME_MS },
    rates: new Map(),
    history: [],
    alerts: [],
    answers: new Map(),
  };
}

function markupOf(path: string, overview: Overview): string {
  const view = viewOf(overview);
  return [...renderSections(clusterPage(path, view)!, view).values()].join("");
}

Deno.test("renderSections() writes names as text, whatever they hold", () => {
  const base = overviewFixture();
  const name = `<img src=x onerror="alert(1)">`;
  const hostile = {
    ...base,
    clusterName: name,
    domains: base.domains.map((domain) => ({
      ...domain,
      name,
      faultSets: domain.faultSets.map((set) => ({ ...set, name })),
    })),
    pools: base.pools.map((pool) => ({ ...pool, name })),
    sdss: base.sdss.map((sds) => ({ ...sds, name, host: name })),
    sdcs: base.sdcs.map((sdc) => ({ ...sdc, name, nbdUri: name })),
    volumes: base.volumes.map((volume) => ({ ...volume, name })),
    components: base.components.map((component) => ({ ...component, componentId: name })),
    events: base.events.map((event) => ({ ...event, message: name, subject: name })),
    alerts: [{ key: name, severity: "error" as const, sinceMs: 0, subject: name, message: name }],
  };
  for (
    const path of [
      "/",
      "/sds",
      "/sds/1",
      "/pool",
      "/pool/1",
      "/volume",
      "/volume/1",
      "/sdc",
      "/sdc/1",
      "/discovery",
      "/topology",
      "/pd",
      "/pd/1",
      "/rebuild",
    ]
  ) {
    const markup = markupOf(path, hostile);
    assert(!markup.includes("<img"), path);
    assertStringIncludes(markup, "&lt;img", path);
  }
});

Deno.test("clusterPage() has an empty state for every list", () => {
  const empty = overviewFixture({
    pools: [],
    sdss: [],
    sdcs: [],
    volumes: [],
    components: [],
    events: [],
    domains: [],
  });
  const texts = {
    "/": "Next: make a protection domain",
    "/sds": "No storage server yet.",
    "/pool": "No pool yet.",
    "/volume": "No volume yet.",
  };
  for (const [path, text] of Object.entries(texts)) assertStringIncludes(markupOf(path, empty), text);
  assertStringIncludes(markupOf("/sdc", empty), "No client yet.");
  assertStringIncludes(markupOf("/discovery", empty), "No process has registered yet.");
});

Deno.test("nextStep() leads from nothing to a mapped volume", () => {
  const whole = overviewFixture();
  const unmapped = whole.volumes.map((volume) => ({ ...volume, mappings: [] }));
  const stages: readonly [Partial<Overview>, string | undefined][] = [
    [{ domains: [], sdss: [], pools: [], sdcs: [], volumes: [], components: [] }, "make a protection domain"],
    [{ sdss: [], pools: [], sdcs: [], volumes: [], components: [] }, "start a storage server"],
    [{ sdss: [], pools: [], sdcs: [], volumes: [] }, "add a storage server to the domain"],
    [{ pools: [], sdcs: [], volumes: [] }, "make a pool"],
    [{ sdcs: [], volumes: [] }, "make a volume"],
    [{ sdcs: [] }, "add the client"],
    [{ volumes: unmapped }, "map a volume"],
    [{}, undefined],
  ];
  assertEquals(
    stages.map(([change]) => nextStep(overviewFixture(change), MDM_URL)?.title),
    stages.map(([, title]) => title),
  );
});

Deno.test("niceTop() ends an axis at a round figure", () => {
  assertEquals([0, 1, 3, 12, 480, 62_600].map((value) => niceTop(value)), [1, 1, 5, 20, 500, 100_000]);
  assertEquals(niceTop(3 * 1024 ** 2, 1024), 5 * 1024 ** 2);
});
