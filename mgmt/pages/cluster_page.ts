/**
 * Which page stands at which path. The routes show it, and the stream of events renders it again.
 *
 * @module
 */
import type { Overview } from "@/shared/api/overview.ts";
import type { ClusterView } from "@/mgmt/core/cluster_view.ts";
import {
  discoveryPage,
  healthPage,
  missingPage,
  performancePage,
  unreachablePage,
} from "@/mgmt/views/cluster_pages.tsx";
import { domainListPage, domainPage, treePage } from "@/mgmt/views/domains.tsx";
import { rebuildPage } from "@/mgmt/views/metrics_pages.tsx";
import { overviewPage } from "@/mgmt/views/overview.tsx";
import type { Page } from "@/mgmt/views/page.ts";
import { poolListPage, poolPage } from "@/mgmt/views/pools.tsx";
import { sdsListPage, sdsPage } from "@/mgmt/views/sds.tsx";
import { sdcListPage, sdcPage, volumeListPage, volumePage } from "@/mgmt/views/volumes.tsx";

type Render = (overview: Overview, view: ClusterView) => Page;

const LIST_PAGES: ReadonlyMap<string, { readonly title: string; readonly render: Render }> = new Map([
  ["/", { title: "Overview", render: overviewPage }],
  ["/topology", { title: "Topology", render: treePage }],
  ["/pd", { title: "Protection domains", render: domainListPage }],
  ["/rebuild", { title: "Rebuild", render: rebuildPage }],
  ["/sds", { title: "Storage servers", render: sdsListPage }],
  ["/pool", { title: "Pools", render: poolListPage }],
  ["/volume", { title: "Volumes", render: volumeListPage }],
  ["/sdc", { title: "Clients", render: sdcListPage }],
  ["/metrics", { title: "Performance", render: performancePage }],
  ["/discovery", { title: "Discovery", render: discoveryPage }],
  ["/health", { title: "Health", render: healthPage }],
]);

/** The page at `path`, which shows the cluster; undefined when `path` is none of those. */
export function clusterPage(path: string, view: ClusterView): Page | undefined {
  const overview = view.snapshot?.overview;
  const list = LIST_PAGES.get(path);
  if (list) return overview ? list.render(overview, view) : unreachablePage(list.title, view);
  const [, kind, digits] = path.match(/^\/(pd|sds|pool|volume|sdc)\/(\d{1,9})$/) ?? [];
  if (kind === undefined) return undefined;
  const parent = { title: LIST_PAGES.get(`/${kind}`)!.title, href: `/${kind}` };
  if (!overview) return { ...unreachablePage(parent.title, view), parent };
  return itemPage({ kind, id: Number(digits) }, { overview, view }) ??
    missingPage({ title: `${ITEM_WORDS[kind]} ${digits}`, parent });
}

const ITEM_WORDS: Readonly<Record<string, string>> = {
  pd: "Protection domain",
  sds: "Storage server",
  pool: "Pool",
  volume: "Volume",
  sdc: "Client",
};

function itemPage(
  { kind, id }: { readonly kind: string; readonly id: number },
  facts: { readonly overview: Overview; readonly view: ClusterView },
): Page | undefined {
  const { overview } = facts;
  switch (kind) {
    case "pd": {
      const domain = overview.domains.find(({ domainId }) => domainId === id);
      return domain && domainPage(domain, facts);
    }
    case "sds": {
      const sds = overview.sdss.find(({ sdsId }) => sdsId === id);
      return sds && sdsPage(sds, facts);
    }
    case "pool": {
      const pool = overview.pools.find(({ poolId }) => poolId === id);
      return pool && poolPage(pool, facts);
    }
    case "volume": {
      const volume = overview.volumes.find(({ volumeId }) => volumeId === id);
      return volume && volumePage(volume, facts);
    }
    default: {
      const sdc = overview.sdcs.find(({ sdcId }) => sdcId === id);
      return sdc && sdcPage(sdc, facts);
    }
  }
}
