/**
 * The overview: how the cluster is in one sentence, then what one needs next.
 *
 * @module
 */
import type { Overview, OverviewEvent, OverviewSds, OverviewVolume } from "@/shared/api/overview.ts";
import type { ClusterView } from "@/mgmt/core/cluster_view.ts";
import { isWanted } from "@/mgmt/core/alerts.ts";
import { allPgs, type Level, rebuildProgress, sdsBadge, volumeBadge } from "@/mgmt/core/condition.ts";
import {
  counted,
  formatByteRate,
  formatBytes,
  formatCount,
  formatDuration,
  formatPercent,
} from "@/mgmt/core/format.ts";
import { CLUSTER_KEY, sdsKey, volumeKey } from "@/mgmt/core/rates.ts";
import { clusterSentence } from "@/mgmt/core/sentence.ts";
import { AlertList } from "@/mgmt/views/alerts.tsx";
import { Sparkline } from "@/mgmt/views/chart.tsx";
import type { Page, Section } from "@/mgmt/views/page.ts";
import { Badge, Bar, ClockTime, Empty, LevelIcon, Panel, SpaceUsed, Table } from "@/mgmt/views/parts.tsx";
import { operationsColumn, throughputColumn } from "@/mgmt/views/rates.tsx";
import { NextStep } from "@/mgmt/views/next_step.tsx";
import { Topology } from "@/mgmt/views/topology.tsx";

/** Events on the overview. */
const EVENTS_SHOWN = 8;

/** The overview of a cluster whose state is known. */
export function overviewPage(overview: Overview, view: ClusterView): Page {
  const alerts = view.alerts.filter(isWanted);
  const hasServers = overview.sdss.length > 0;
  const sections: Section[] = [
    { name: "statement", content: <Statement overview={overview} stale={view.contact.kind === "lost"} /> },
    { name: "next-step", content: <NextStep overview={overview} mdmUrl={view.mdmUrl} /> },
    { name: "figures", content: <Figures overview={overview} view={view} /> },
    {
      name: "overview-alerts",
      content: alerts.length === 0 ? null : (
        <Panel title="Needs attention" flush>
          <AlertList alerts={alerts.slice(0, 5)} />
          {alerts.length > 5 && (
            <p class="more">
              <a href="/alerts">All {alerts.length} alerts</a>
            </p>
          )}
        </Panel>
      ),
    },
    {
      name: "picture",
      content: !hasServers ? null : (
        <Panel
          title="Topology"
          note="Clients, the groups that hold their data, and the servers that store the copies"
        >
          <Topology overview={overview} view={view} />
        </Panel>
      ),
    },
    {
      name: "servers",
      content: !hasServers ? null : (
        <div class="stack">
          <Panel title="Storage servers" flush>
            <ServerTable sdss={overview.sdss} view={view} />
          </Panel>
          <Panel title="Volumes" flush>
            <VolumeSummary volumes={overview.volumes} view={view} />
          </Panel>
        </div>
      ),
    },
    {
      name: "events",
      content: (
        <Panel title="Recent events" flush>
          <EventList events={overview.events.slice(0, EVENTS_SHOWN)} />
        </Panel>
      ),
    },
  ];
  return { title: "Overview", sections };
}

function Statement({ overview, stale }: { readonly overview: Overview; readonly stale: boolean }) {
  const sentence = clusterSentence(overview);
  const level: Level = stale ? "unknown" : sentence.level;
  const progress = rebuildProgress(overview);
  return (
    <div class={`statement level-${level}`}>
      <LevelIcon level={level} />
      <div>
        <p class="sentence">{stale && "Last known: "}{sentence.text}</p>
        {progress && (
          <div class="rebuild">
            <Bar part={progress.groupsDone} whole={progress.groupsTotal} label="Groups rebuilt" level="idle" />
            <p>
              <strong>{formatPercent(progress.groupsDone, progress.groupsTotal)}</strong> {progress.groupsDone} of{" "}
              {counted(progress.groupsTotal, "group")} rebuilt · {formatBytes(progress.bytesCopied)} copied ·{" "}
              {counted(progress.joinsRunning, "join runs", "joins run")} · for{" "}
              {formatDuration(overview.mdmTimeMs - progress.startedAtMs)}
            </p>
          </div>
        )}
      </div>
    </div>
  );
}

function Figures({ overview, view }: { readonly overview: Overview; readonly view: ClusterView }) {
  const used = overview.pools.reduce((sum, pool) => sum + pool.rawUsedBytes, 0);
  const capacity = overview.pools.reduce((sum, pool) => sum + pool.rawCapacityBytes, 0);
  const pgs = allPgs(overview);
  const rates = view.rates.get(CLUSTER_KEY);
  const connected = overview.sdcs.filter((sdc) => sdc.state === "up").length;
  const mapped = overview.volumes.filter((volume) => volume.mappings.length > 0).length;
  return (
    <dl class="figures">
      <div>
        <dt>Space</dt>
        <dd>
          <strong>{formatBytes(used)}</strong>
          <span class="line">of {formatBytes(capacity)} used</span>
          <Bar part={used} whole={capacity} label="Space used" />
        </dd>
      </div>
      <div>
        <dt>Groups at full copies</dt>
        <dd>
          <strong>{pgs.full}</strong>
          <span class="line">of {pgs.total}</span>
          <Bar
            part={pgs.full}
            whole={pgs.total}
            label="Groups at full copies"
            level={pgs.unavailable > 0 ? "critical" : pgs.full < pgs.total ? "warning" : "ok"}
          />
        </dd>
      </div>
      <div>
        <dt>Reads</dt>
        <dd>
          <strong>{rates ? formatCount(rates.readsPerSecond) : "–"}</strong>
          <span class="quiet">/s</span>
          <span class="line">{rates ? formatByteRate(rates.readBytesPerSecond) : "–"}</span>
          <Sparkline history={view.history} valueOf={({ rates }) => rates.readsPerSecond} />
        </dd>
      </div>
      <div>
        <dt>Writes</dt>
        <dd>
          <strong>{rates ? formatCount(rates.writesPerSecond) : "–"}</strong>
          <span class="quiet">/s</span>
          <span class="line">{rates ? formatByteRate(rates.writtenBytesPerSecond) : "–"}</span>
          <Sparkline history={view.history} valueOf={({ rates }) => rates.writesPerSecond} />
        </dd>
      </div>
      <div>
        <dt>Clients</dt>
        <dd>
          <strong>{connected}</strong> <span class="quiet">of {overview.sdcs.length} up</span>
          <span class="line">{mapped} of {counted(overview.volumes.length, "volume")} mapped</span>
        </dd>
      </div>
    </dl>
  );
}

function ServerTable({ sdss, view }: { readonly sdss: readonly OverviewSds[]; readonly view: ClusterView }) {
  return (
    <Table
      caption="Storage servers"
      rows={sdss}
      rowKey={(sds) => sds.sdsId}
      columns={[
        { title: "Name", cell: (sds) => <a href={`/sds/${sds.sdsId}`}>{sds.name}</a> },
        { title: "State", cell: (sds) => <Badge badge={sdsBadge(sds)} /> },
        {
          title: "Space",
          cell: (sds) => (
            <SpaceUsed
              usedBytes={sds.devices.reduce((sum, device) => sum + device.usedBytes, 0)}
              capacityBytes={sds.devices.reduce((sum, device) => sum + device.capacityBytes, 0)}
            />
          ),
        },
        operationsColumn<OverviewSds>(view.rates, (sds) => sdsKey(sds.sdsId)),
        throughputColumn<OverviewSds>(view.rates, (sds) => sdsKey(sds.sdsId)),
      ]}
    />
  );
}

function VolumeSummary({ volumes, view }: { readonly volumes: readonly OverviewVolume[]; readonly view: ClusterView }) {
  if (volumes.length === 0) return <Empty title="No volume yet.">{null}</Empty>;
  return (
    <Table
      caption="Volumes"
      rows={volumes}
      rowKey={(volume) => volume.volumeId}
      columns={[
        { title: "Name", cell: (volume) => <a href={`/volume/${volume.volumeId}`}>{volume.name}</a> },
        { title: "State", cell: (volume) => <Badge badge={volumeBadge(volume.state)} /> },
        { title: "Size", numeric: true, cell: (volume) => formatBytes(volume.sizeBytes) },
        operationsColumn<OverviewVolume>(view.rates, (volume) => volumeKey(volume.volumeId)),
        throughputColumn<OverviewVolume>(view.rates, (volume) => volumeKey(volume.volumeId)),
      ]}
    />
  );
}

/** Events, newest first. */
export function EventList({ events }: { readonly events: readonly OverviewEvent[] }) {
  if (events.length === 0) return <Empty title="Nothing has happened yet.">{null}</Empty>;
  return (
    <ol class="events">
      {events.map((event) => (
        <li key={event.eventId} data-key={event.eventId} class={`severity-${event.severity}`}>
          <ClockTime atMs={event.atMs} />
          <span>
            {event.severity !== "info" && <span class="severity">{event.severity}</span>}
            {event.message}
          </span>
        </li>
      ))}
    </ol>
  );
}
