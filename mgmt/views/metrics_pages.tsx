/**
 * Figures of one thing over time, and the rebuilds.
 *
 * @module
 */
import type { Overview, OverviewPool } from "@/shared/api/overview.ts";
import { poolBadge } from "@/mgmt/core/condition.ts";
import {
  counted,
  formatByteRate,
  formatBytes,
  formatCount,
  formatDuration,
  formatPercent,
} from "@/mgmt/core/format.ts";
import type { FigureKind } from "@/mgmt/core/lists.ts";
import type { SnapshotPoint } from "@/mgmt/store/snapshots.ts";
import { Chart, type Series } from "@/mgmt/views/chart.tsx";
import type { Page } from "@/mgmt/views/page.ts";
import { Badge, Bar, Empty, Panel } from "@/mgmt/views/parts.tsx";

/** Times that the page offers, and how far apart points may be to be joined. */
export const SPANS = {
  hour: { title: "Hour", spanMs: 3_600_000, gapMs: 150_000, longOnly: false },
  day: { title: "Day", spanMs: 86_400_000, gapMs: 300_000, longOnly: true },
  week: { title: "Week", spanMs: 7 * 86_400_000, gapMs: 1_800_000, longOnly: true },
} as const;
export type SpanWord = keyof typeof SPANS;

/** Figures of one pool, volume, server or client over time. */
export function itemMetricsPage(
  item: { readonly kind: FigureKind; readonly id: number; readonly name: string },
  { points, span }: { readonly points: readonly SnapshotPoint[]; readonly span: SpanWord },
): Page {
  const { spanMs, gapMs } = SPANS[span];
  const path = `/metrics/${item.kind}/${item.id}`;
  const chart = (
    name: string,
    facts: {
      readonly title: string;
      readonly format: (value: number) => string;
      readonly base?: 1024;
      readonly series: readonly Series<SnapshotPoint>[];
    },
  ) => ({
    name,
    content: (
      <Panel title={facts.title}>
        <Chart
          history={points}
          label={facts.title}
          format={facts.format}
          {...(facts.base && { base: facts.base })}
          series={facts.series}
          spanMsMax={spanMs}
          gapMs={gapMs}
        />
      </Panel>
    ),
  });
  return {
    title: `${item.name} over time`,
    parent: { title: item.name, href: `/${item.kind}/${item.id}` },
    sections: [
      {
        name: "spans",
        content: (
          <nav class="spans" aria-label="Time shown">
            {Object.entries(SPANS).map(([word, { title }]) => (
              <a key={word} href={`${path}?span=${word}`} aria-current={word === span ? "true" : undefined}>{title}</a>
            ))}
          </nav>
        ),
      },
      ...(points.length < 2
        ? [{
          name: "no-points",
          content: (
            <Empty title="Too little is written down yet.">
              <p>MGMT notes figures each minute.</p>
            </Empty>
          ),
        }]
        : [
          chart("operations-chart", {
            title: "Operations per second",
            format: formatCount,
            series: [
              { name: "Reads", mark: "a", valueOf: ({ metrics }) => metrics.readsPerSecond },
              { name: "Writes", mark: "b", valueOf: ({ metrics }) => metrics.writesPerSecond },
            ],
          }),
          chart("bytes-chart", {
            title: "Throughput",
            format: formatByteRate,
            base: 1024,
            series: [
              { name: "Reads", mark: "a", valueOf: ({ metrics }) => metrics.readBytesPerSecond },
              { name: "Writes", mark: "b", valueOf: ({ metrics }) => metrics.writtenBytesPerSecond },
            ],
          }),
          ...(item.kind === "sdc" ? [] : [chart("space-chart", {
            title: "Space",
            format: formatBytes,
            base: 1024,
            series: [{ name: "Used", mark: "a", valueOf: ({ metrics }) => metrics.usedBytes }],
          })]),
        ]),
    ],
  };
}

/** How every pool's way back to full copies stands. */
export function rebuildPage(overview: Overview): Page {
  return {
    title: "Rebuild",
    sections: overview.pools.length === 0
      ? [{ name: "list", content: <Empty title="No pool yet.">{null}</Empty> }]
      : overview.pools.map((pool) => ({
        name: `rebuild-${pool.poolId}`,
        content: <PoolRebuild pool={pool} nowMs={overview.mdmTimeMs} />,
      })),
  };
}

function PoolRebuild({ pool, nowMs }: { readonly pool: OverviewPool; readonly nowMs: number }) {
  const { pgs, rebuild, poolId } = pool;
  const lacking = pgs.degraded + pgs.joining + pgs.unavailable;
  const total = Math.max(rebuild?.groupsTotal ?? 0, lacking);
  return (
    <Panel title={pool.name} note={<Badge badge={poolBadge(pool)} />}>
      {lacking === 0
        ? <p>All {counted(pgs.total, "group")} have their copies: nothing is to be rebuilt.</p>
        : (
          <div class="rebuild">
            <Bar part={total - lacking} whole={total} label="Groups rebuilt" level="idle" />
            <p>
              <strong>{formatPercent(total - lacking, total)}</strong> {total - lacking} of {counted(total, "group")}
              {" "}
              rebuilt
              {rebuild && (
                <>
                  {" "}· {formatBytes(rebuild.bytesCopied)} copied ·{" "}
                  {rebuild.joinsRunning > 0 ? counted(rebuild.joinsRunning, "join runs", "joins run") : "no join runs"}
                  {" "}
                  · for {formatDuration(nowMs - rebuild.startedAtMs)}
                </>
              )}
            </p>
          </div>
        )}
      <p class="links">
        <a href={`/rebuild/${poolId}`}>What the MDM says</a>
        {lacking > 0 && <a href={`/rebuild/${poolId}/start`}>Start now</a>}
        {(rebuild?.joinsRunning ?? 0) > 0 && <a href={`/rebuild/${poolId}/cancel`}>Stop</a>}
      </p>
    </Panel>
  );
}
