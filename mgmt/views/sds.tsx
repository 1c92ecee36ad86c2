/**
 * Storage servers: the list and one server.
 *
 * @module
 */
import type { Overview, OverviewDevice, OverviewSds } from "@/shared/api/overview.ts";
import type { ClusterView } from "@/mgmt/core/cluster_view.ts";
import { deviceBadge, sdsBadge } from "@/mgmt/core/condition.ts";
import { formatDuration } from "@/mgmt/core/format.ts";
import { sdsKey } from "@/mgmt/core/rates.ts";
import { EventList } from "@/mgmt/views/overview.tsx";
import type { Page } from "@/mgmt/views/page.ts";
import { Badge, Command, Empty, Facts, Panel, SpaceUsed, Table } from "@/mgmt/views/parts.tsx";
import { rateColumns } from "@/mgmt/views/rates.tsx";

/** All servers, by protection domain. */
export function sdsListPage(overview: Overview, view: ClusterView): Page {
  if (overview.sdss.length === 0) {
    return {
      title: "Storage servers",
      sections: [{
        name: "list",
        content: (
          <Empty title="No storage server yet.">
            <p>Start one; it joins by itself and is then added to a protection domain.</p>
            <Command text="deno task start:sds" />
          </Empty>
        ),
      }],
    };
  }
  return {
    title: "Storage servers",
    sections: overview.domains.map((domain) => ({
      name: `domain-${domain.domainId}`,
      content: (
        <Panel title={`Protection domain ${domain.name}`} flush>
          <SdsTable sdss={overview.sdss.filter((sds) => sds.domainId === domain.domainId)} facts={{ overview, view }} />
        </Panel>
      ),
    })),
  };
}

interface TableFacts {
  readonly overview: Overview;
  readonly view: ClusterView;
}

function SdsTable({ sdss, facts }: { readonly sdss: readonly OverviewSds[]; readonly facts: TableFacts }) {
  if (sdss.length === 0) return <Empty title="No server in this domain yet.">{null}</Empty>;
  return (
    <Table
      caption="Storage servers of this protection domain"
      rows={sdss}
      rowKey={(sds) => sds.sdsId}
      columns={[
        { title: "Name", cell: (sds) => <a href={`/sds/${sds.sdsId}`}>{sds.name}</a> },
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

/** One server with its devices. */
export function sdsPage(sds: OverviewSds, { overview, view }: TableFacts): Page {
  const events = overview.events.filter((event) => event.subject === sds.name);
  return {
    title: sds.name,
    parent: { title: "Storage servers", href: "/sds" },
    sections: [
      {
        name: "facts-panel",
        content: (
          <Panel title="State">
            <Facts
              facts={{
                State: <Badge badge={sdsBadge(sds)} />,
                "Last heartbeat": beatText(sds.lastBeatAgeMs, "never"),
                "Protection domain": nameOf(overview.domains, (domain) => domain.domainId === sds.domainId),
                "Fault set": faultSetOf(overview, sds),
                Process: sds.componentId ?? "none is bound to it",
                Host: sds.host,
                Ports: `control ${sds.controlPort}, management ${sds.mgmtPort}, data ${sds.dataPort}`,
                Groups: `${sum(sds.devices, (device) => device.pgCount)}, ` +
                  `${sum(sds.devices, (device) => device.primaryCount)} as primary`,
                Space: <SpaceUsed {...spaceOf(sds)} />,
              }}
            />
          </Panel>
        ),
      },
      {
        name: "devices",
        content: (
          <Panel title="Devices" flush>
            <DeviceTable sds={sds} overview={overview} />
          </Panel>
        ),
      },
      {
        name: "rates",
        content: (
          <Panel title="Requests served as primary" flush>
            <Table
              caption="Rates"
              rows={[sds]}
              rowKey={() => sds.sdsId}
              columns={[
                { title: "Server", cell: () => sds.name },
                ...rateColumns<OverviewSds>(view.rates, () => sdsKey(sds.sdsId)),
              ]}
            />
          </Panel>
        ),
      },
      {
        name: "own-events",
        content: (
          <Panel title="Its recent events" flush>
            <EventList events={events} />
          </Panel>
        ),
      },
    ],
  };
}

function DeviceTable({ sds, overview }: { readonly sds: OverviewSds; readonly overview: Overview }) {
  if (sds.devices.length === 0) {
    return (
      <Empty title="No device.">
        <p>A server without a device stores nothing. Devices join a pool when the server is added with their names.</p>
      </Empty>
    );
  }
  return (
    <Table
      caption="Devices"
      rows={sds.devices}
      rowKey={(device) => device.deviceId}
      columns={[
        { title: "Device", cell: (device: OverviewDevice) => device.name },
        { title: "State", cell: (device) => <Badge badge={deviceBadge(device)} /> },
        { title: "Pool", cell: (device) => <PoolLink poolId={device.poolId} overview={overview} /> },
        {
          title: "Space",
          cell: (device) => <SpaceUsed usedBytes={device.usedBytes} capacityBytes={device.capacityBytes} />,
        },
        { title: "Groups", numeric: true, cell: (device) => device.pgCount, wideOnly: true },
        { title: "as primary", numeric: true, cell: (device) => device.primaryCount, wideOnly: true },
      ]}
    />
  );
}

function PoolLink({ poolId, overview }: { readonly poolId: number | null; readonly overview: Overview }) {
  if (poolId === null) return <>none yet</>;
  return <a href={`/pool/${poolId}`}>{nameOf(overview.pools, (pool) => pool.poolId === poolId)}</a>;
}

function faultSetOf(overview: Overview, sds: OverviewSds): string {
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

function spaceOf(sds: OverviewSds) {
  return {
    usedBytes: sum(sds.devices, (device) => device.usedBytes),
    capacityBytes: sum(sds.devices, (device) => device.capacityBytes),
  };
}

function sum<Item>(items: readonly Item[], valueOf: (item: Item) => number): number {
  return items.reduce((total, item) => total + valueOf(item), 0);
}
