/**
 * Tables that several pages show: pools, storage servers, devices, volumes, clients, and what their columns have in common.
 *
 * @module
 */
import type { Overview, OverviewPool, OverviewSdc, OverviewSds, OverviewVolume } from "@/shared/api/overview.ts";
import type { ClusterView } from "@/mgmt/core/cluster_view.ts";
import { livenessBadge, poolBadge, sdsBadge, volumeBadge } from "@/mgmt/core/condition.ts";
import { formatBytes, formatDuration } from "@/mgmt/core/format.ts";
import { type RateTable, sdcKey, sdsKey, volumeKey } from "@/mgmt/core/rates.ts";
import { Badge, type Column, DateTime, Empty, Panel, SpaceUsed, Table } from "@/mgmt/views/parts.tsx";
import { rateColumns } from "@/mgmt/views/rates.tsx";

/** What tables look things up in. */
export interface TableFacts {
  readonly overview: Overview;
  readonly view: ClusterView;
}

/** Columns of names that lead to their pages, and of when something was heard. */
const SDS_NAME: Column<OverviewSds> = { title: "Name", cell: (sds) => <a href={`/sds/${sds.sdsId}`}>{sds.name}</a> };
const POOL_NAME: Column<OverviewPool> = {
  title: "Name",
  cell: (pool) => <a href={`/pool/${pool.poolId}`}>{pool.name}</a>,
};

/** Pools. */
export function PoolTable({ pools }: { readonly pools: readonly OverviewPool[] }) {
  if (pools.length === 0) return <Empty title="No pool yet.">{null}</Empty>;
  return (
    <Table
      caption="Pools"
      rows={pools}
      rowKey={(pool) => pool.poolId}
      columns={[
        POOL_NAME,
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
  );
}

/** Storage servers. */
export function SdsTable({ sdss, facts }: { readonly sdss: readonly OverviewSds[]; readonly facts: TableFacts }) {
  if (sdss.length === 0) return <Empty title="No server in this domain yet.">{null}</Empty>;
  return (
    <Table
      caption="Storage servers of this protection domain"
      rows={sdss}
      rowKey={(sds) => sds.sdsId}
      columns={[
        SDS_NAME,
        { title: "State", cell: (sds) => <Badge badge={sdsBadge(sds)} /> },
        { title: "Fault set", cell: (sds) => faultSetOf(facts.overview, sds), wideOnly: true },
        { title: "Space", cell: (sds) => <SpaceUsed {...spaceOf(sds)} /> },
        { title: "Groups", numeric: true, wideOnly: true, cell: (sds) => sum(sds.devices, (device) => device.pgCount) },
        {
          title: "as primary",
          numeric: true,
          wideOnly: true,
          cell: (sds) => sum(sds.devices, (device) => device.primaryCount),
        },
        ...rateColumns<OverviewSds>(facts.view.rates, (sds) => sdsKey(sds.sdsId)),
        { title: "Last beat", numeric: true, cell: (sds) => beatText(sds.lastBeatAgeMs), wideOnly: true },
      ]}
    />
  );
}

/** Volumes. */
export function VolumeTable(
  { volumes, facts }: { readonly volumes: readonly OverviewVolume[]; readonly facts: TableFacts },
) {
  const { overview, view } = facts;
  if (volumes.length === 0) return <Empty title="No volume yet.">{null}</Empty>;
  return (
    <Table
      caption="Volumes"
      rows={volumes}
      rowKey={(volume) => volume.volumeId}
      columns={[
        { title: "Name", cell: (volume) => <a href={`/volume/${volume.volumeId}`}>{volume.name}</a> },
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

/** Clients. */
export function SdcTable({ sdcs, facts }: { readonly sdcs: readonly OverviewSdc[]; readonly facts: TableFacts }) {
  return (
    <Table
      caption="Clients"
      rows={sdcs}
      rowKey={(sdc) => sdc.sdcId}
      columns={[
        { title: "Name", cell: (sdc) => <a href={`/sdc/${sdc.sdcId}`}>{sdc.name}</a> },
        { title: "State", cell: (sdc) => <Badge badge={livenessBadge(sdc.state)} /> },
        { title: "Volumes", numeric: true, cell: (sdc) => sdc.mappings.length },
        ...rateColumns<OverviewSdc>(facts.view.rates, (sdc) => sdcKey(sdc.sdcId)),
        { title: "Last beat", numeric: true, cell: (sdc) => beatText(sdc.lastBeatAgeMs), wideOnly: true },
      ]}
    />
  );
}

/** The rates of one thing, with its name, on its own page. */
export function OwnRates(props: {
  readonly title: string;
  readonly column: string;
  readonly name: string;
  readonly rates: RateTable;
  readonly rateKey: string;
  /** Where its figures over time are. */
  readonly metricsHref: string;
}) {
  return (
    <Panel title={props.title} note={<a href={props.metricsHref}>Over time</a>} flush>
      <Table
        caption="Rates"
        rows={[props.name]}
        rowKey={(name) => name}
        columns={[
          { title: props.column, cell: (name) => name },
          ...rateColumns<string>(props.rates, () => props.rateKey),
        ]}
      />
    </Panel>
  );
}

/** Fault set of a server. */
export function faultSetOf(overview: Overview, sds: OverviewSds): string {
  if (sds.faultSetId === null) return "none";
  return nameOf(overview.domains.flatMap((domain) => domain.faultSets), (set) => set.faultSetId === sds.faultSetId);
}

/** Name of the first of `items` that fits. */
export function nameOf<Item extends { readonly name: string }>(
  items: readonly Item[],
  fits: (item: Item) => boolean,
): string {
  return items.find(fits)?.name ?? "unknown";
}

/** Age of a heartbeat. */
export function beatText(ageMs: number | null, never = "–"): string {
  if (ageMs === null) return never;
  return ageMs < 2_000 ? "just now" : `${formatDuration(ageMs)} ago`;
}

/** Space of a server's devices together. */
export function spaceOf(sds: OverviewSds) {
  return {
    usedBytes: sum(sds.devices, (device) => device.usedBytes),
    capacityBytes: sum(sds.devices, (device) => device.capacityBytes),
  };
}

/** Sum of a value of `items`. */
export function sum<Item>(items: readonly Item[], valueOf: (item: Item) => number): number {
  return items.reduce((total, item) => total + valueOf(item), 0);
}

/** How a client may use a volume. */
export function accessWord(mode: "readWrite" | "readOnly"): string {
  return mode === "readWrite" ? "read and write" : "read only";
}
