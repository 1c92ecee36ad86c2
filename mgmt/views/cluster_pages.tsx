/**
 * Pages of the cluster as a whole: performance, discovery, health, and what stands there while nothing is known.
 *
 * @module
 */
import type { Overview, OverviewComponent, OverviewVolume } from "@/shared/api/overview.ts";
import type { ClusterView } from "@/mgmt/core/cluster_view.ts";
import { livenessBadge } from "@/mgmt/core/condition.ts";
import { formatByteRate, formatCount, formatDuration } from "@/mgmt/core/format.ts";
import { volumeKey } from "@/mgmt/core/rates.ts";
import { clusterSentence } from "@/mgmt/core/sentence.ts";
import { Chart } from "@/mgmt/views/chart.tsx";
import type { Page } from "@/mgmt/views/page.ts";
import { Badge, Command, DateTime, Empty, LevelIcon, Panel, Table } from "@/mgmt/views/parts.tsx";
import { rateColumns } from "@/mgmt/views/rates.tsx";
import { beatText } from "@/mgmt/views/tables.tsx";

/** Rates of the cluster over time, and of its volumes now. */
export function performancePage(overview: Overview, view: ClusterView): Page {
  return {
    title: "Performance",
    sections: [
      {
        name: "operations-chart",
        content: (
          <Panel title="Operations per second">
            <Chart
              history={view.history}
              label="Operations per second"
              format={formatCount}
              series={[
                { name: "Reads", mark: "a", valueOf: ({ rates }) => rates.readsPerSecond },
                { name: "Writes", mark: "b", valueOf: ({ rates }) => rates.writesPerSecond },
              ]}
            />
          </Panel>
        ),
      },
      {
        name: "bytes-chart",
        content: (
          <Panel title="Throughput">
            <Chart
              history={view.history}
              label="Throughput"
              format={formatByteRate}
              base={1024}
              series={[
                { name: "Reads", mark: "a", valueOf: ({ rates }) => rates.readBytesPerSecond },
                { name: "Writes", mark: "b", valueOf: ({ rates }) => rates.writtenBytesPerSecond },
              ]}
            />
          </Panel>
        ),
      },
      {
        name: "volume-rates",
        content: (
          <Panel title="Volumes" flush>
            {overview.volumes.length === 0 ? <Empty title="No volume yet.">{null}</Empty> : (
              <Table
                caption="Rates by volume"
                rows={overview.volumes}
                rowKey={(volume) => volume.volumeId}
                columns={[
                  { title: "Volume", cell: (volume) => <a href={`/volume/${volume.volumeId}`}>{volume.name}</a> },
                  ...rateColumns<OverviewVolume>(view.rates, (volume) => volumeKey(volume.volumeId)),
                ]}
              />
            )}
          </Panel>
        ),
      },
    ],
  };
}

/** Every process that registered. */
export function discoveryPage(overview: Overview): Page {
  return {
    title: "Discovery",
    actions: [{ title: "Register a minimal set", href: "/cluster/bootstrap/minimal" }],
    sections: [{
      name: "components",
      content: (
        <Panel
          title="Registered processes"
          note="Each joins by itself with the join token and beats from then on"
          flush
        >
          <ComponentTable components={overview.components} />
        </Panel>
      ),
    }],
  };
}

function ComponentTable({ components }: { readonly components: readonly OverviewComponent[] }) {
  if (components.length === 0) return <Empty title="No process has registered yet.">{null}</Empty>;
  return (
    <Table
      caption="Registered processes"
      rows={components}
      rowKey={(component) => component.componentId}
      columns={[
        { title: "Process", cell: (component) => component.componentId },
        { title: "Type", cell: (component) => component.componentType },
        { title: "State", cell: (component) => <Badge badge={livenessBadge(component.state)} /> },
        { title: "Host", cell: (component) => component.host, wideOnly: true },
        { title: "Ports", cell: (component) => portsText(component), wideOnly: true },
        { title: "Last beat", numeric: true, cell: (component) => beatText(component.lastBeatAgeMs) },
        { title: "Registered", wideOnly: true, cell: (component) => <DateTime atMs={component.registeredAtMs} /> },
      ]}
    />
  );
}

function portsText({ ports }: OverviewComponent): string {
  return Object.entries(ports).map(([plane, port]) => `${plane} ${port}`).join(", ") || "none";
}

/** Health in one page, for those without a login. */
export function healthPage(overview: Overview, view: ClusterView): Page {
  const sentence = clusterSentence(overview);
  const level = view.contact.kind === "lost" ? "unknown" : sentence.level;
  return {
    title: "Health",
    sections: [
      {
        name: "statement",
        content: (
          <div class={`statement level-${level}`}>
            <LevelIcon level={level} />
            <div>
              <p class="sentence">{sentence.text}</p>
            </div>
          </div>
        ),
      },
      {
        name: "components",
        content: (
          <Panel title="Processes" flush>
            <ComponentTable components={overview.components} />
          </Panel>
        ),
      },
    ],
  };
}

/** Stands for every page while the MDM never answered and nothing is remembered. */
export function unreachablePage(title: string, view: ClusterView): Page {
  const { contact, mdmUrl, nowMs } = view;
  return {
    title,
    sections: [{
      name: "unreachable",
      content: contact.kind !== "lost"
        ? <Empty title="Asking the MDM for the state of the cluster…">{null}</Empty>
        : (
          <div class="statement level-critical">
            <LevelIcon level="critical" />
            <div>
              <p class="sentence">MGMT cannot reach the MDM, so it has nothing to show.</p>
              <dl class="facts">
                <div>
                  <dt>Asked</dt>
                  <dd>
                    <code>{mdmUrl}</code>
                  </dd>
                </div>
                <div>
                  <dt>Since</dt>
                  <dd>{formatDuration(nowMs - contact.sinceMs)}, {contact.attemptCount} tries; it goes on trying</dd>
                </div>
                <div>
                  <dt>Last answer</dt>
                  <dd>{contact.reason}</dd>
                </div>
              </dl>
              <p>
                Start the MDM if it does not run. If it runs elsewhere, set <code>POWERFLEX_MDM_BASE_URL</code>{" "}
                for MGMT and start it again. Volumes that are in use work on without the MDM for a while.
              </p>
              <Command text="deno task start:mdm" />
            </div>
          </div>
        ),
    }],
  };
}

/** Says that something is not there, with the way back. */
export function missingPage(what: { readonly title: string; readonly parent: NonNullable<Page["parent"]> }): Page {
  return {
    title: what.title,
    parent: what.parent,
    status: 404,
    sections: [{
      name: "missing",
      content: (
        <Empty title={`${what.title} is not there.`}>
          <p>
            It was removed, or the address is not right. <a href={what.parent.href}>{what.parent.title}</a>
          </p>
        </Empty>
      ),
    }],
  };
}
