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
import type { Page, PageAction } from "@/mgmt/views/page.ts";
import { Badge, Command, DateTime, Empty, Facts, Panel, SpaceUsed, Table } from "@/mgmt/views/parts.tsx";
import { AnswerText } from "@/mgmt/views/answers.tsx";
import {
  accessWord,
  beatText,
  nameOf,
  OwnRates,
  SdcTable,
  type TableFacts,
  VolumeTable,
} from "@/mgmt/views/tables.tsx";

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
  return {
    title: "Volumes",
    actions: [{ title: "Create volume", href: "/volume/create", isPrimary: true }],
    sections: [{ name: "list", content }],
  };
}

/** One volume: its state, who uses it, how to connect. */
export function volumePage(volume: OverviewVolume, { overview, view }: TableFacts): Page {
  return {
    title: volume.name,
    parent: { title: "Volumes", href: "/volume" },
    actions: volumeActions(volume),
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
          <OwnRates
            title="Requests"
            column="Volume"
            name={volume.name}
            rates={view.rates}
            rateKey={volumeKey(volume.volumeId)}
            metricsHref={`/metrics/volume/${volume.volumeId}`}
          />
        ),
      },
    ],
  };
}

function volumeActions({ volumeId, mappings }: OverviewVolume): PageAction[] {
  const isMapped = mappings.length > 0;
  const href = (word: string) => `/volume/${volumeId}/${word}`;
  return [
    { title: "Map", href: href("map"), isPrimary: !isMapped },
    { title: "Extend", href: href("extend") },
    ...(isMapped
      ? [{ title: "Write", href: href("io/write") }, { title: "Read", href: href("io/read") }]
      : [{ title: "Delete", href: href("delete") }]),
  ];
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
        { title: "Change", cell: ({ sdcId }) => <UnmapLink volume={volume} sdcId={sdcId} overview={overview} /> },
      ]}
    />
  );
}

function UnmapLink(
  { volume, sdcId, overview }: {
    readonly volume: OverviewVolume;
    readonly sdcId: number;
    readonly overview: Overview;
  },
) {
  const client = nameOf(overview.sdcs, (sdc) => sdc.sdcId === sdcId);
  return (
    <a href={`/volume/${volume.volumeId}/unmap?sdc_id=${sdcId}`}>
      Unmap<span class="visually-hidden">{volume.name} from {client}</span>
    </a>
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
        <SdcTable sdcs={overview.sdcs} facts={{ overview, view }} />
      </Panel>
    );
  return {
    title: "Clients",
    actions: [{ title: "Add client", href: "/sdc/add", isPrimary: true }],
    sections: [{ name: "list", content }],
  };
}

/** One client. */
export function sdcPage(sdc: OverviewSdc, { overview, view }: TableFacts): Page {
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
                "Its own word": <AnswerText answer={view.answers.get(sdcKey(sdc.sdcId))} />,
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
          <OwnRates
            title="Requests"
            column="Client"
            name={sdc.name}
            rates={view.rates}
            rateKey={sdcKey(sdc.sdcId)}
            metricsHref={`/metrics/sdc/${sdc.sdcId}`}
          />
        ),
      },
    ],
  };
}
