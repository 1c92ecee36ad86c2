/**
 * The topology picture: clients → groups → storage servers, as SVG.
 *
 * @module
 */
import type { Overview, OverviewPool } from "@/shared/api/overview.ts";
import type { ClusterView } from "@/mgmt/core/cluster_view.ts";
import { type Badge, livenessBadge, poolBadge, sdsBadge } from "@/mgmt/core/condition.ts";
import { formatByteRate, formatCount } from "@/mgmt/core/format.ts";
import { type IoRates, sdcKey, sdsKey } from "@/mgmt/core/rates.ts";
import {
  type Box,
  type DotState,
  dotStates,
  type Edge,
  type Orientation,
  topologyLayout,
} from "@/mgmt/core/topology_layout.ts";
import { LevelIcon } from "@/mgmt/views/parts.tsx";

/** Both forms of the picture; the style sheet shows the one that fits. */
export function Topology({ overview, view }: { readonly overview: Overview; readonly view: ClusterView }) {
  return (
    <div class="topology">
      <Picture overview={overview} view={view} orientation="wide" />
      <Picture overview={overview} view={view} orientation="tall" />
    </div>
  );
}

function Picture(
  props: { readonly overview: Overview; readonly view: ClusterView; readonly orientation: Orientation },
) {
  const { overview, view, orientation } = props;
  const layout = topologyLayout(overview, orientation);
  const { hidden } = layout;
  const hiddenWords = [
    hidden.clients > 0 && `${hidden.clients} more clients`,
    hidden.pools > 0 && `${hidden.pools} more pools`,
    hidden.servers > 0 && `${hidden.servers} more storage servers`,
  ].filter(Boolean);
  return (
    <div class={orientation}>
      <svg
        viewBox={`-1 -1 ${layout.width + 2} ${layout.height + 2}`}
        role="group"
        aria-label="Clients, groups and storage servers"
      >
        {layout.edges.map((edge) => (
          <EdgeLine
            key={edgeKey(edge)}
            edge={edge}
            facts={{ overview, view, orientation }}
          />
        ))}
        {layout.faultSets.map(({ faultSetId, box }) => (
          <g key={`fs-${faultSetId}`}>
            <rect class="fault-set" {...box} rx="10" />
            <text class="fault-set-name" x={box.x + 12} y={box.y + 16}>{faultSetName(overview, faultSetId)}</text>
          </g>
        ))}
        {layout.clients.map(({ sdcId, box }) => {
          const sdc = overview.sdcs.find((candidate) => candidate.sdcId === sdcId)!;
          const node = { name: sdc.name, badge: livenessBadge(sdc.state), rates: view.rates.get(sdcKey(sdcId)) };
          return <NodeBox key={`sdc-${sdcId}`} box={box} href={`/sdc/${sdcId}`} node={node} />;
        })}
        {layout.pools.map(({ poolId, box }) => (
          <PoolBox
            key={`pool-${poolId}`}
            box={box}
            pool={overview.pools.find((pool) => pool.poolId === poolId)!}
          />
        ))}
        {layout.servers.map(({ sdsId, box }) => {
          const sds = overview.sdss.find((candidate) => candidate.sdsId === sdsId)!;
          const node = { name: sds.name, badge: sdsBadge(sds), rates: view.rates.get(sdsKey(sdsId)) };
          return <NodeBox key={`sds-${sdsId}`} box={box} href={`/sds/${sdsId}`} node={node} />;
        })}
      </svg>
      {hiddenWords.length > 0 && <p class="note">Not in the picture: {hiddenWords.join(", ")}.</p>}
    </div>
  );
}

interface NodeFacts {
  readonly name: string;
  readonly badge: Badge;
  readonly rates: IoRates | undefined;
}

function NodeBox(props: { readonly box: Box; readonly href: string; readonly node: NodeFacts }) {
  const { box, href, node } = props;
  return (
    <a class={`node level-${node.badge.level}`} href={href}>
      <rect {...box} rx="8" />
      <text class="name" x={box.x + 14} y={box.y + 25}>{node.name}</text>
      <svg x={box.x + 13} y={box.y + 37} width="14" height="14">
        <LevelIcon level={node.badge.level} />
      </svg>
      <text class={`state text-${node.badge.level}`} x={box.x + 32} y={box.y + 48}>{node.badge.word}</text>
      <text class="rate" x={box.x + box.width - 12} y={box.y + 25}>{rateText(node.rates)}</text>
    </a>
  );
}

function rateText(rates: IoRates | undefined): string {
  if (!rates) return "";
  const operations = rates.readsPerSecond + rates.writesPerSecond;
  return operations < 0.05 ? "idle" : `${formatCount(operations)} IO/s`;
}

const DOT = { columns: 16, pitch: 13.5, size: 10 };
const DOT_WORDS: readonly (readonly [DotState, string])[] = [
  ["full", "full"],
  ["joining", "rebuilding"],
  ["degraded", "degraded"],
  ["unavailable", "not served"],
];

function PoolBox({ pool, box }: { readonly pool: OverviewPool; readonly box: Box }) {
  const badge = poolBadge(pool);
  const dots = dotStates(pool.pgs);
  const left = box.x + (box.width - DOT.columns * DOT.pitch + (DOT.pitch - DOT.size)) / 2;
  const present = DOT_WORDS.filter(([state]) => pool.pgs[state] > 0);
  return (
    <a
      class={`pool level-${badge.level}`}
      href={`/pool/${pool.poolId}`}
    >
      <rect {...box} rx="10" />
      <text class="name" x={left} y={box.y + 26}>{pool.name}</text>
      <text class="rate" x={box.x + box.width - (left - box.x)} y={box.y + 26}>{pool.pgs.total} groups</text>
      {dots.length === 0 && <text class="state" x={left} y={box.y + 60}>Groups appear with the first volume.</text>}
      {dots.map((state, index) => {
        const x = left + (index % DOT.columns) * DOT.pitch;
        const y = box.y + 40 + Math.floor(index / DOT.columns) * DOT.pitch;
        return <path key={index} class={`dot ${state}`} transform={`translate(${x} ${y})`} d={DOT_SHAPES[state]} />;
      })}
      {present.map(([state, word], index) => (
        <g key={state}>
          <path
            class={`dot ${state}`}
            d={DOT_SHAPES[state]}
            transform={`translate(${left + (index % 2) * 112} ${box.y + 156 + Math.floor(index / 2) * 18})`}
          />
          <text class="legend" x={left + 15 + (index % 2) * 112} y={box.y + 165 + Math.floor(index / 2) * 18}>
            {pool.pgs[state]} {word}
          </text>
        </g>
      ))}
    </a>
  );
}

/** A shape per state, so that colour is not all that tells them apart. */
const DOT_SHAPES: Readonly<Record<DotState, string>> = {
  full: "M2 0h6a2 2 0 012 2v6a2 2 0 01-2 2H2a2 2 0 01-2-2V2a2 2 0 012-2z",
  joining:
    "M2 .75h6A1.25 1.25 0 019.25 2v6A1.25 1.25 0 018 9.25H2A1.25 1.25 0 01.75 8V2A1.25 1.25 0 012 .75zM3.5 3.5h3v3h-3z",
  degraded: "M2 .75h6A1.25 1.25 0 019.25 2v6A1.25 1.25 0 018 9.25H2A1.25 1.25 0 01.75 8V2A1.25 1.25 0 012 .75z",
  unavailable: "M1.5 1.5l7 7M8.5 1.5l-7 7",
};

interface EdgeFacts {
  readonly overview: Overview;
  readonly view: ClusterView;
  readonly orientation: Orientation;
}

function EdgeLine({ edge, facts }: { readonly edge: Edge; readonly facts: EdgeFacts }) {
  const { overview, view, orientation } = facts;
  const rates = view.rates.get(edge.sdcId === undefined ? sdsKey(edge.sdsId!) : sdcKey(edge.sdcId));
  const bytesPerSecond = rates ? rates.readBytesPerSecond + rates.writtenBytesPerSecond : 0;
  const broken = edge.sdcId === undefined
    ? sdsBadge(overview.sdss.find((sds) => sds.sdsId === edge.sdsId)!).level !== "ok"
    : livenessBadge(overview.sdcs.find((sdc) => sdc.sdcId === edge.sdcId)!.state).level !== "ok";
  const state = broken ? "broken" : bytesPerSecond > 0 ? "busy" : "quiet";
  return (
    <path class={`edge ${state}`} d={curve(edge, orientation)}>
      <title>{state === "busy" ? formatByteRate(bytesPerSecond) : state}</title>
    </path>
  );
}

function curve({ from, to }: Edge, orientation: Orientation): string {
  if (orientation === "wide") {
    const [x1, y1, x2, y2] = [from.x + from.width, from.y + from.height / 2, to.x, to.y + to.height / 2];
    const bend = (x2 - x1) / 2;
    return `M${x1} ${y1}C${x1 + bend} ${y1} ${x2 - bend} ${y2} ${x2} ${y2}`;
  }
  const [x1, y1, x2, y2] = [from.x + from.width / 2, from.y + from.height, to.x + to.width / 2, to.y];
  const bend = Math.min(40, (y2 - y1) / 2);
  return `M${x1} ${y1}C${x1} ${y1 + bend} ${x2} ${y2 - bend} ${x2} ${y2}`;
}

function edgeKey(edge: Edge): string {
  return `${edge.sdcId ?? ""}-${edge.poolId}-${edge.sdsId ?? ""}`;
}

function faultSetName(overview: Overview, faultSetId: number): string {
  const names = overview.domains.flatMap((domain) => domain.faultSets);
  return names.find((faultSet) => faultSet.faultSetId === faultSetId)?.name ?? `fault set ${faultSetId}`;
}
