/**
 * Storage servers: the list and one server.
 *
 * @module
 */
import type { Overview, OverviewDevice, OverviewSds } from "@/shared/api/overview.ts";
import type { ClusterView } from "@/mgmt/core/cluster_view.ts";
import { deviceBadge, sdsBadge } from "@/mgmt/core/condition.ts";
import { sdsKey } from "@/mgmt/core/rates.ts";
import { EventList } from "@/mgmt/views/overview.tsx";
import type { Page } from "@/mgmt/views/page.ts";
import { Badge, Command, Empty, Facts, Panel, SpaceUsed, Table } from "@/mgmt/views/parts.tsx";
import { AnswerText } from "@/mgmt/views/answers.tsx";
import {
  beatText,
  faultSetOf,
  nameOf,
  OwnRates,
  SdsTable,
  spaceOf,
  sum,
  type TableFacts,
} from "@/mgmt/views/tables.tsx";

const ACTIONS = [{ title: "Add storage server", href: "/sds/add", isPrimary: true }];

/** All servers, by protection domain. */
export function sdsListPage(overview: Overview, view: ClusterView): Page {
  if (overview.sdss.length === 0) {
    return {
      title: "Storage servers",
      actions: ACTIONS,
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
    actions: ACTIONS,
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

/** One server with its devices. */
export function sdsPage(sds: OverviewSds, { overview, view }: TableFacts): Page {
  const events = overview.events.filter((event) => event.subject === sds.name);
  return {
    title: sds.name,
    parent: { title: "Storage servers", href: "/sds" },
    actions: [
      sds.markedFailed
        ? { title: "Let it return", href: `/sds/${sds.sdsId}/recover` }
        : { title: "Mark failed", href: `/sds/${sds.sdsId}/fail` },
    ],
    sections: [
      {
        name: "facts-panel",
        content: (
          <Panel title="State">
            <Facts
              facts={{
                State: <Badge badge={sdsBadge(sds)} />,
                "Last heartbeat": beatText(sds.lastBeatAgeMs, "never"),
                "Its own word": <AnswerText answer={view.answers.get(sdsKey(sds.sdsId))} />,
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
          <OwnRates
            title="Requests served as primary"
            column="Server"
            name={sds.name}
            rates={view.rates}
            rateKey={sdsKey(sds.sdsId)}
            metricsHref={`/metrics/sds/${sds.sdsId}`}
          />
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
