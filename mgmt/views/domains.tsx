/**
 * Protection domains, and the whole cluster as a tree.
 *
 * @module
 */
import type { ComponentChildren } from "preact";
import type { Overview, OverviewDomain, OverviewPool, OverviewSds } from "@/shared/api/overview.ts";
import type { ClusterView } from "@/mgmt/core/cluster_view.ts";
import { deviceBadge, livenessBadge, poolBadge, sdsBadge, volumeBadge } from "@/mgmt/core/condition.ts";
import { counted, formatBytes } from "@/mgmt/core/format.ts";
import { NextStep } from "@/mgmt/views/next_step.tsx";
import type { Page } from "@/mgmt/views/page.ts";
import { Badge, Empty, Facts, Panel, SpaceUsed, Table } from "@/mgmt/views/parts.tsx";
import { nameOf, PoolTable, SdsTable, spaceOf, type TableFacts } from "@/mgmt/views/tables.tsx";

const CREATE = { title: "Create protection domain", href: "/pd/create", isPrimary: true };

/** All protection domains. */
export function domainListPage(overview: Overview, view: ClusterView): Page {
  const { domains, sdss, pools } = overview;
  const content = domains.length === 0
    ? (
      <>
        <Empty title="No protection domain yet.">
          <p>The servers of a domain protect one another: copies stay within it. Everything begins with one.</p>
        </Empty>
        <NextStep overview={overview} mdmUrl={view.mdmUrl} />
      </>
    )
    : (
      <Panel title="All protection domains" flush>
        <Table
          caption="Protection domains"
          rows={domains}
          rowKey={(domain) => domain.domainId}
          columns={[
            { title: "Name", cell: (domain) => <a href={`/pd/${domain.domainId}`}>{domain.name}</a> },
            { title: "Servers", numeric: true, cell: ({ domainId }) => within(sdss, domainId).length },
            { title: "Fault sets", numeric: true, cell: ({ faultSets }) => faultSets.length },
            { title: "Pools", numeric: true, cell: ({ domainId }) => within(pools, domainId).length },
            { title: "Space", wideOnly: true, cell: ({ domainId }) => <PoolSpace pools={within(pools, domainId)} /> },
          ]}
        />
      </Panel>
    );
  return { title: "Protection domains", actions: [CREATE], sections: [{ name: "list", content }] };
}

function within<Item extends { readonly domainId: number }>(items: readonly Item[], domainId: number): Item[] {
  return items.filter((item) => item.domainId === domainId);
}

function PoolSpace({ pools }: { readonly pools: readonly OverviewPool[] }) {
  const sum = (valueOf: (pool: OverviewPool) => number) => pools.reduce((total, pool) => total + valueOf(pool), 0);
  return (
    <SpaceUsed
      usedBytes={sum((pool) => pool.rawUsedBytes)}
      capacityBytes={sum((pool) => pool.rawCapacityBytes)}
    />
  );
}

/** One protection domain. */
export function domainPage(domain: OverviewDomain, facts: TableFacts): Page {
  const { overview } = facts;
  const { domainId, name, faultSets } = domain;
  const sdss = within(overview.sdss, domainId);
  const pools = within(overview.pools, domainId);
  return {
    title: name,
    parent: { title: "Protection domains", href: "/pd" },
    actions: [
      { title: "Add storage server", href: `/sds/add?pd_id=${domainId}` },
      { title: "Create pool", href: `/pool/create?pd_id=${domainId}` },
      ...(sdss.length + pools.length === 0 ? [{ title: "Delete", href: `/pd/${domainId}/delete` }] : []),
    ],
    sections: [
      {
        name: "facts-panel",
        content: (
          <Panel title="What it holds">
            <Facts
              facts={{
                Servers: counted(sdss.length, "server"),
                "Fault sets": faultSets.length === 0 ? "none" : faultSets.map((set) => set.name).join(", "),
                Pools: counted(pools.length, "pool"),
                Space: <PoolSpace pools={pools} />,
              }}
            />
          </Panel>
        ),
      },
      {
        name: "pools-panel",
        content: (
          <Panel title="Pools" flush>
            <PoolTable pools={pools} />
          </Panel>
        ),
      },
      {
        name: "servers-panel",
        content: (
          <Panel title="Storage servers" flush>
            <SdsTable sdss={sdss} facts={facts} />
          </Panel>
        ),
      },
    ],
  };
}

/** The cluster as a tree: domains with fault sets, servers and devices; pools with volumes; clients. */
export function treePage(overview: Overview): Page {
  return {
    title: "Topology",
    sections: [
      ...overview.domains.map((domain) => ({
        name: `tree-${domain.domainId}`,
        content: (
          <Panel title={`Protection domain ${domain.name}`}>
            <ul class="tree">
              <DomainServers domain={domain} overview={overview} />
              {within(overview.pools, domain.domainId).map((pool) => (
                <PoolBranch key={pool.poolId} pool={pool} overview={overview} />
              ))}
            </ul>
          </Panel>
        ),
      })),
      {
        name: "tree-clients",
        content: (
          <Panel title="Clients">
            {overview.sdcs.length === 0 ? <p class="quiet">None is added yet.</p> : <ClientTree overview={overview} />}
          </Panel>
        ),
      },
    ],
  };
}

function Branch(
  props: {
    readonly kind: string;
    readonly name: ComponentChildren;
    readonly about?: ComponentChildren;
    readonly children?: ComponentChildren;
  },
) {
  return (
    <li>
      <span class="leaf">
        <span class="kind">{props.kind}</span> {props.name} {props.about}
      </span>
      {props.children}
    </li>
  );
}

function DomainServers({ domain, overview }: { readonly domain: OverviewDomain; readonly overview: Overview }) {
  const sdss = within(overview.sdss, domain.domainId);
  const alone = sdss.filter((sds) => !domain.faultSets.some((set) => set.faultSetId === sds.faultSetId));
  return (
    <>
      {domain.faultSets.map((set) => (
        <Branch key={set.faultSetId} kind="Fault set" name={set.name}>
          <ul>
            {sdss.filter((sds) => sds.faultSetId === set.faultSetId).map((sds) => (
              <ServerBranch key={sds.sdsId} sds={sds} overview={overview} />
            ))}
          </ul>
        </Branch>
      ))}
      {alone.map((sds) => <ServerBranch key={sds.sdsId} sds={sds} overview={overview} />)}
    </>
  );
}

function ServerBranch({ sds, overview }: { readonly sds: OverviewSds; readonly overview: Overview }) {
  const { usedBytes, capacityBytes } = spaceOf(sds);
  return (
    <Branch
      kind="Server"
      name={<a href={`/sds/${sds.sdsId}`}>{sds.name}</a>}
      about={
        <>
          <Badge badge={sdsBadge(sds)} />{" "}
          <span class="quiet">{formatBytes(usedBytes)} of {formatBytes(capacityBytes)}</span>
        </>
      }
    >
      <ul>
        {sds.devices.map((device) => (
          <Branch
            key={device.deviceId}
            kind="Device"
            name={device.name}
            about={
              <>
                <Badge badge={deviceBadge(device)} />{" "}
                <span class="quiet">
                  {device.poolId === null
                    ? "in no pool yet"
                    : `in ${nameOf(overview.pools, (pool) => pool.poolId === device.poolId)}`},{" "}
                  {counted(device.pgCount, "group")}
                </span>
              </>
            }
          />
        ))}
      </ul>
    </Branch>
  );
}

function PoolBranch({ pool, overview }: { readonly pool: OverviewPool; readonly overview: Overview }) {
  const volumes = overview.volumes.filter((volume) => volume.poolId === pool.poolId);
  return (
    <Branch
      kind="Pool"
      name={<a href={`/pool/${pool.poolId}`}>{pool.name}</a>}
      about={
        <>
          <Badge badge={poolBadge(pool)} />{" "}
          <span class="quiet">
            {formatBytes(pool.provisionedBytes)} of {formatBytes(pool.logicalLimitBytes)} given to volumes
          </span>
        </>
      }
    >
      <ul>
        {volumes.map((volume) => (
          <Branch
            key={volume.volumeId}
            kind="Volume"
            name={<a href={`/volume/${volume.volumeId}`}>{volume.name}</a>}
            about={
              <>
                <Badge badge={volumeBadge(volume.state)} /> <span class="quiet">{formatBytes(volume.sizeBytes)}</span>
              </>
            }
          />
        ))}
      </ul>
    </Branch>
  );
}

function ClientTree({ overview }: { readonly overview: Overview }) {
  return (
    <ul class="tree">
      {overview.sdcs.map((sdc) => (
        <Branch
          key={sdc.sdcId}
          kind="Client"
          name={<a href={`/sdc/${sdc.sdcId}`}>{sdc.name}</a>}
          about={<Badge badge={livenessBadge(sdc.state)} />}
        >
          <ul>
            {sdc.mappings.map(({ volumeId, accessMode }) => (
              <Branch
                key={volumeId}
                kind="Volume"
                name={
                  <a href={`/volume/${volumeId}`}>
                    {nameOf(overview.volumes, (volume) => volume.volumeId === volumeId)}
                  </a>
                }
                about={<span class="quiet">{accessMode === "readWrite" ? "read and write" : "read only"}</span>}
              />
            ))}
          </ul>
        </Branch>
      ))}
    </ul>
  );
}
