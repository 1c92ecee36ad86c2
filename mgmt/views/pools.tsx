/**
 * Pools: the list and one pool.
 *
 * @module
 */
import type { Overview, OverviewPool, OverviewVolume } from "@/shared/api/overview.ts";
import type { ClusterView } from "@/mgmt/core/cluster_view.ts";
import { deviceBadge, poolBadge, volumeBadge } from "@/mgmt/core/condition.ts";
import { counted, formatBytes, formatDuration, formatPercent } from "@/mgmt/core/format.ts";
import { volumeKey } from "@/mgmt/core/rates.ts";
import { NextStep } from "@/mgmt/views/next_step.tsx";
import type { Page } from "@/mgmt/views/page.ts";
import { Badge, Bar, DateTime, Empty, Facts, Panel, SpaceUsed, Table } from "@/mgmt/views/parts.tsx";
import { rateColumns } from "@/mgmt/views/rates.tsx";
import { nameOf } from "@/mgmt/views/sds.tsx";

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
        <Table
          caption="Pools"
          rows={overview.pools}
          rowKey={(pool) => pool.poolId}
          columns={[
            { title: "Name", cell: (pool: OverviewPool) => <a href={`/pool/${pool.poolId}`}>{pool.name}</a> },
            { title: "Health", cell: (pool) => <Badge badge={poolBadge(pool)} /> },
            {
              title: "Space",
              cell: (pool) => <SpaceUsed usedBytes={pool.rawUsedBytes} capacityBytes={pool.rawCapacityBytes} />,
            },
            {
              title: "Given to volumes",
              numeric: true,
              wideOnly: true,
              cell: (pool) => formatBytes(pool.provisionedBytes),
            },
            { title: "Groups full", numeric: true, cell: (pool) => `${pool.pgs.full} of ${pool.pgs.total}` },
            { title: "Devices", numeric: true, wideOnly: true, cell: (pool) => pool.deviceCount },
          ]}
        />
      </Panel>
    );
  return { title: "Pools", sections: [{ name: "list", content }] };
}

/** One pool. */
export function poolPage(pool: OverviewPool, { overview, view }: { overview: Overview; view: ClusterView }): Page {
  const { rebuild, pgs } = pool;
  const lacking = pgs.degraded + pgs.joining + pgs.unavailable;
  return {
    title: pool.name,
    parent: { title: "Pools", href: "/pool" },
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

/** Volumes as a table. */
export function VolumeTable(props: {
  readonly volumes: readonly OverviewVolume[];
  readonly facts: { readonly overview: Overview; readonly view: ClusterView };
}) {
  const { volumes, facts: { overview, view } } = props;
  if (volumes.length === 0) return <Empty title="No volume yet.">{null}</Empty>;
  return (
    <Table
      caption="Volumes"
      rows={volumes}
      rowKey={(volume) => volume.volumeId}
      columns={[
        { title: "Name", cell: (volume: OverviewVolume) => <a href={`/volume/${volume.volumeId}`}>{volume.name}</a> },
        { title: "State", cell: (volume) => <Badge badge={volumeBadge(volume.state)} /> },
        {
          title: "Used of size",
          cell: (volume) =>
            volume.usedBytes === null
              ? formatBytes(volume.sizeBytes)
              : <SpaceUsed usedBytes={volume.usedBytes} capacityBytes={volume.sizeBytes} />,
        },
        {
          title: "Pool",
          wideOnly: true,
          cell: (volume) => nameOf(overview.pools, (pool) => pool.poolId === volume.poolId),
        },
        { title: "Clients", numeric: true, wideOnly: true, cell: (volume) => volume.mappings.length },
        ...rateColumns<OverviewVolume>(view.rates, (volume) => volumeKey(volume.volumeId)),
        { title: "Created", wideOnly: true, cell: (volume) => <DateTime atMs={volume.createdAtMs} /> },
      ]}
    />
  );
}
