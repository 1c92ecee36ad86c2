/**
 * Volumes and clients: lists, one volume, one client.
 *
 * @module
 */
import type { Overview, OverviewSdc, OverviewVolume } from "@/shared/api/overview.ts";
import type { ClusterView } from "@/mgmt/core/cluster_view.ts";
import { livenessBadge, volumeBadge } from "@/mgmt/core/condition.ts";
import { formatBytes } from "@/mgmt/core/format.ts";
import { sdcKey, volumeKey } from "@/mgmt/core/rates.ts";
import { NextStep } from "@/mgmt/views/next_step.tsx";
import type { Page } from "@/mgmt/views/page.ts";
import { Badge, Command, DateTime, Empty, Facts, Panel, SpaceUsed, Table } from "@/mgmt/views/parts.tsx";
import { VolumeTable } from "@/mgmt/views/pools.tsx";
import { rateColumns } from "@/mgmt/views/rates.tsx";
import { beatText, nameOf } from "@/mgmt/views/sds.tsx";

interface PageFacts {
  readonly overview: Overview;
  readonly view: ClusterView;
}

/** All volumes. */
export function volumeListPage(overview: Overview, view: ClusterView): Page {
  const content = overview.volumes.length === 0
    ? (
      <>
        <Empty title="No volume yet.">
          <p>A volume is a block device that applications use through a client.</p>
        </Empty>
        <NextStep overview={overview} mdmUrl={view.mdmUrl} />
      </>
    )
    : (
      <Panel title="All volumes" flush>
        <VolumeTable volumes={overview.volumes} facts={{ overview, view }} />
      </Panel>
    );
  return { title: "Volumes", sections: [{ name: "list", content }] };
}

/** One volume: its state, who uses it, how to connect. */
export function volumePage(volume: OverviewVolume, { overview, view }: PageFacts): Page {
  return {
    title: volume.name,
    parent: { title: "Volumes", href: "/volume" },
    sections: [
      {
        name: "facts-panel",
        content: (
          <Panel title="State">
            <Facts
              facts={{
                State: <Badge badge={volumeBadge(volume.state)} />,
                Size: formatBytes(volume.sizeBytes),
                Used: volume.usedBytes === null
                  ? "not known"
                  : <SpaceUsed usedBytes={volume.usedBytes} capacityBytes={volume.sizeBytes} />,
                Provisioning: volume.provisioning === "thin" ? "thin: space is taken when written" : "thick",
                Pool: (
                  <a href={`/pool/${volume.poolId}`}>
                    {nameOf(overview.pools, (pool) => pool.poolId === volume.poolId)}
                  </a>
                ),
                Created: <DateTime atMs={volume.createdAtMs} />,
              }}
            />
          </Panel>
        ),
      },
      {
        name: "mappings",
        content: (
          <Panel title="Clients" flush>
            <Mappings volume={volume} overview={overview} />
          </Panel>
        ),
      },
      { name: "connect", content: <Connect volume={volume} overview={overview} /> },
      {
        name: "rates",
        content: (
          <Panel title="Requests" flush>
            <Table
              caption="Rates"
              rows={[volume]}
              rowKey={() => volume.volumeId}
              columns={[
                { title: "Volume", cell: () => volume.name },
                ...rateColumns<OverviewVolume>(view.rates, () => volumeKey(volume.volumeId)),
              ]}
            />
          </Panel>
        ),
      },
    ],
  };
}

function Mappings({ volume, overview }: { readonly volume: OverviewVolume; readonly overview: Overview }) {
  if (volume.mappings.length === 0) {
    return (
      <Empty title="No client may use it yet.">
        <p>Map it to a client first.</p>
      </Empty>
    );
  }
  return (
    <Table
      caption="Clients that may use this volume"
      rows={volume.mappings}
      rowKey={({ sdcId }) => sdcId}
      columns={[
        {
          title: "Client",
          cell: ({ sdcId }) => <a href={`/sdc/${sdcId}`}>{nameOf(overview.sdcs, (sdc) => sdc.sdcId === sdcId)}</a>,
        },
        { title: "Access", cell: ({ accessMode }) => accessWord(accessMode) },
      ]}
    />
  );
}

function Connect({ volume, overview }: { readonly volume: OverviewVolume; readonly overview: Overview }) {
  const uris = volume.mappings.flatMap(({ sdcId }) => {
    const uri = overview.sdcs.find((sdc) => sdc.sdcId === sdcId)?.nbdUri;
    return uri ? [`${uri}/${encodeURIComponent(volume.name)}`] : [];
  });
  const [first] = uris;
  if (first === undefined) return null;
  return (
    <Panel title="Connect" note="Any NBD client will do">
      <Command text={`nbdinfo ${first}`} />
      <Command text={`nbdcopy disk.img ${first}`} />
      <Command text={`qemu-io -f raw ${first}`} />
    </Panel>
  );
}

/** All clients. */
export function sdcListPage(overview: Overview, view: ClusterView): Page {
  const content = overview.sdcs.length === 0
    ? (
      <Empty title="No client yet.">
        <p>A client serves volumes to applications by NBD. Start one; it joins by itself and is then added.</p>
        <Command text="deno task start:sdc" />
      </Empty>
    )
    : (
      <Panel title="All clients" flush>
        <Table
          caption="Clients"
          rows={overview.sdcs}
          rowKey={(sdc) => sdc.sdcId}
          columns={[
            { title: "Name", cell: (sdc: OverviewSdc) => <a href={`/sdc/${sdc.sdcId}`}>{sdc.name}</a> },
            { title: "State", cell: (sdc) => <Badge badge={livenessBadge(sdc.state)} /> },
            { title: "Volumes", numeric: true, cell: (sdc) => sdc.mappings.length },
            ...rateColumns<OverviewSdc>(view.rates, (sdc) => sdcKey(sdc.sdcId)),
            { title: "Last beat", numeric: true, cell: (sdc) => beatText(sdc.lastBeatAgeMs), wideOnly: true },
          ]}
        />
      </Panel>
    );
  return { title: "Clients", sections: [{ name: "list", content }] };
}

/** One client. */
export function sdcPage(sdc: OverviewSdc, { overview, view }: PageFacts): Page {
  return {
    title: sdc.name,
    parent: { title: "Clients", href: "/sdc" },
    sections: [
      {
        name: "facts-panel",
        content: (
          <Panel title="State">
            <Facts
              facts={{
                State: <Badge badge={livenessBadge(sdc.state)} />,
                "Last heartbeat": beatText(sdc.lastBeatAgeMs, "never"),
                Process: sdc.componentId ?? "none is bound to it",
                Host: sdc.host,
                Ports: `control ${sdc.controlPort}, management ${sdc.mgmtPort}, devices ${sdc.devicePort}`,
                NBD: sdc.nbdUri === null ? "not told" : <code>{sdc.nbdUri}</code>,
              }}
            />
          </Panel>
        ),
      },
      {
        name: "mapped-volumes",
        content: (
          <Panel title="Volumes it may use" flush>
            {sdc.mappings.length === 0 ? <Empty title="None is mapped to it.">{null}</Empty> : (
              <Table
                caption="Mapped volumes"
                rows={sdc.mappings}
                rowKey={({ volumeId }) => volumeId}
                columns={[
                  {
                    title: "Volume",
                    cell: ({ volumeId }) => (
                      <a href={`/volume/${volumeId}`}>
                        {nameOf(overview.volumes, (volume) => volume.volumeId === volumeId)}
                      </a>
                    ),
                  },
                  { title: "Access", cell: ({ accessMode }) => accessWord(accessMode) },
                  { title: "Mapped", cell: ({ mappedAtMs }) => <DateTime atMs={mappedAtMs} /> },
                ]}
              />
            )}
          </Panel>
        ),
      },
      {
        name: "rates",
        content: (
          <Panel title="Requests" flush>
            <Table
              caption="Rates"
              rows={[sdc]}
              rowKey={() => sdc.sdcId}
              columns={[
                { title: "Client", cell: () => sdc.name },
                ...rateColumns<OverviewSdc>(view.rates, () => sdcKey(sdc.sdcId)),
              ]}
            />
          </Panel>
        ),
      },
    ],
  };
}

function accessWord(mode: "readWrite" | "readOnly"): string {
  return mode === "readWrite" ? "read and write" : "read only";
}
