/**
 * Pools: the list and one pool.
 *
 * @module
 */
import type { Overview, OverviewPool } from "@/shared/api/overview.ts";
import type { ClusterView } from "@/mgmt/core/cluster_view.ts";
import { deviceBadge, poolBadge } from "@/mgmt/core/condition.ts";
import { counted, formatBytes, formatDuration, formatPercent } from "@/mgmt/core/format.ts";
import { NextStep } from "@/mgmt/views/next_step.tsx";
import type { Page } from "@/mgmt/views/page.ts";
import { Badge, Bar, Empty, Facts, Panel, SpaceUsed, Table } from "@/mgmt/views/parts.tsx";
import { nameOf, PoolTable, VolumeTable } from "@/mgmt/views/tables.tsx";

const CREATE = { title: "Create pool", href: "/pool/create", isPrimary: true };

/** All pools. */
export function poolListPage(overview: Overview, view: ClusterView): Page {
  const content = overview.pools.length === 0
    ? (
      <>
        <Empty title="No pool yet.">
          <p>A pool is the space of several servers' devices, with one policy for the copies.</p>
        </Empty>
        <NextStep overview={overview} mdmUrl={view.mdmUrl} />
      </>
    )
    : (
      <Panel title="All pools" flush>
        <PoolTable pools={overview.pools} />
      </Panel>
    );
  return { title: "Pools", actions: [CREATE], sections: [{ name: "list", content }] };
}

/** One pool. */
export function poolPage(pool: OverviewPool, { overview, view }: { overview: Overview; view: ClusterView }): Page {
  const { rebuild, pgs } = pool;
  const lacking = pgs.degraded + pgs.joining + pgs.unavailable;
  return {
    title: pool.name,
    parent: { title: "Pools", href: "/pool" },
    actions: [
      { title: "Create volume", href: `/volume/create?pool_id=${pool.poolId}`, isPrimary: true },
      { title: "Over time", href: `/metrics/pool/${pool.poolId}` },
      ...(pgs.total === 0 ? [{ title: "Delete", href: `/pool/${pool.poolId}/delete` }] : []),
    ],
    sections: [
      {
        name: "facts-panel",
        content: (
          <Panel title="State">
            <Facts
              facts={{
                Health: <Badge badge={poolBadge(pool)} />,
                Protection: pool.protectionPolicy === "two_copies" ? "two copies of everything" : "erasure coding",
                "Protection domain": nameOf(overview.domains, (domain) => domain.domainId === pool.domainId),
                "Space, all copies": <SpaceUsed usedBytes={pool.rawUsedBytes} capacityBytes={pool.rawCapacityBytes} />,
                "Given to volumes": `${formatBytes(pool.provisionedBytes)} of at most ${
                  formatBytes(pool.logicalLimitBytes)
                }`,
              }}
            />
          </Panel>
        ),
      },
      {
        name: "groups-panel",
        content: (
          <Panel title="Groups" note="Each group keeps its chunks on the same servers and fails over as one">
            <ul class="group-states">
              {([["full", "at full copies", "ok"], ["joining", "being rebuilt", "idle"], [
                "degraded",
                "waiting for a copy",
                "warning",
              ], ["unavailable", "not served", "critical"]] as const).map(([state, words, level]) => (
                <li key={state}>
                  <span class="figure">{pgs[state]}</span>
                  <span>{words}</span>
                  <Bar part={pgs[state]} whole={pgs.total} label={words} level={level} />
                </li>
              ))}
            </ul>
            {rebuild && (
              <p>
                Rebuild:{" "}
                <strong>{formatPercent(Math.max(0, rebuild.groupsTotal - lacking), rebuild.groupsTotal)}</strong> of
                {" "}
                {counted(rebuild.groupsTotal, "group")}, {formatBytes(rebuild.bytesCopied)} copied,{" "}
                {counted(rebuild.joinsRunning, "join runs", "joins run")}, for{" "}
                {formatDuration(overview.mdmTimeMs - rebuild.startedAtMs)}.
              </p>
            )}
          </Panel>
        ),
      },
      {
        name: "volumes-panel",
        content: (
          <Panel title="Volumes" flush>
            <VolumeTable
              volumes={overview.volumes.filter((volume) => volume.poolId === pool.poolId)}
              facts={{ overview, view }}
            />
          </Panel>
        ),
      },
      {
        name: "devices",
        content: (
          <Panel title="Devices" flush>
            <PoolDevices pool={pool} overview={overview} />
          </Panel>
        ),
      },
    ],
  };
}

function PoolDevices({ pool, overview }: { readonly pool: OverviewPool; readonly overview: Overview }) {
  const rows = overview.sdss.flatMap((sds) =>
    sds.devices.filter((device) => device.poolId === pool.poolId).map((device) => ({ sds, device }))
  );
  if (rows.length === 0) {
    return (
      <Empty title="No device yet.">
        <p>Devices join the pool when a server of its domain is added.</p>
      </Empty>
    );
  }
  return (
    <Table
      caption="Devices of this pool"
      rows={rows}
      rowKey={({ device }) => device.deviceId}
      columns={[
        {
          title: "Device",
          cell: ({ sds, device }) => (
            <>
              <a href={`/sds/${sds.sdsId}`}>{sds.name}</a> {device.name}
            </>
          ),
        },
        { title: "State", cell: ({ device }) => <Badge badge={deviceBadge(device)} /> },
        {
          title: "Space",
          cell: ({ device }) => <SpaceUsed usedBytes={device.usedBytes} capacityBytes={device.capacityBytes} />,
        },
        { title: "Groups", numeric: true, cell: ({ device }) => device.pgCount, wideOnly: true },
        { title: "as primary", numeric: true, cell: ({ device }) => device.primaryCount, wideOnly: true },
      ]}
    />
  );
}
