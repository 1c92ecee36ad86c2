/**
 * Where the parts of the topology picture stand: clients, pools, storage servers in their fault sets, and the lines between
 * them. Two forms from the same facts: side by side for wide screens, one below the other for narrow ones.
 *
 * @module
 */
import type { FaultSetId, PoolId, SdcId, SdsId } from "@/shared/ids.ts";
import type { Overview } from "@/shared/api/overview.ts";

/** Which form. */
export type Orientation = "wide" | "tall";

/** Clients, pools and servers that the picture shows at most; the tables have all. */
export const CLIENTS_SHOWN = 6;
export const POOLS_SHOWN = 3;
export const SERVERS_SHOWN = 12;

/** A rectangle in units of the picture. */
export interface Box {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

/** A line from the edge of one box to that of another; `flows` says that data moves along it by mapping or membership. */
export interface Edge {
  readonly from: Box;
  readonly to: Box;
  readonly sdcId?: SdcId;
  readonly sdsId?: SdsId;
  readonly poolId: PoolId;
}

/** The picture. */
export interface TopologyLayout {
  readonly orientation: Orientation;
  readonly width: number;
  readonly height: number;
  readonly clients: readonly { readonly sdcId: SdcId; readonly box: Box }[];
  readonly pools: readonly { readonly poolId: PoolId; readonly box: Box }[];
  readonly servers: readonly { readonly sdsId: SdsId; readonly box: Box }[];
  /** Frames around the servers of one fault set. */
  readonly faultSets: readonly { readonly faultSetId: FaultSetId; readonly box: Box }[];
  readonly edges: readonly Edge[];
  readonly hidden: { readonly clients: number; readonly pools: number; readonly servers: number };
}

const NODE = { width: 208, height: 62 };
/** Units of a pool's box; its dots and legend fit. */
export const POOL_BOX = { width: 252, height: 196 };
const GAP = 14;
const FRAME = { side: 10, top: 24, bottom: 10 };
const WIDE_WIDTH = 960;
const TALL_WIDTH = 360;
const TALL_NODE = { width: 168, height: 62 };
const TALL_ROW_GAP = 44;

/** The picture of `overview` in one orientation. */
export function topologyLayout(overview: Overview, orientation: Orientation): TopologyLayout {
  const sdcs = overview.sdcs.slice(0, CLIENTS_SHOWN);
  const pools = overview.pools.slice(0, POOLS_SHOWN);
  const sdss = overview.sdss.slice(0, SERVERS_SHOWN);
  const groups = groupedByFaultSet(sdss);
  const placed = orientation === "wide"
    ? wide({ clientCount: sdcs.length, poolCount: pools.length, groups })
    : tall({ clientCount: sdcs.length, poolCount: pools.length, groups });
  const clients = sdcs.map((sdc, index) => ({ sdcId: sdc.sdcId, box: placed.clients[index]! }));
  const poolBoxes = pools.map((pool, index) => ({ poolId: pool.poolId, box: placed.pools[index]! }));
  const servers = groups.flatMap((group) => group.sdsIds).map((sdsId, index) => ({
    sdsId,
    box: placed.servers[index]!,
  }));
  return {
    orientation,
    width: orientation === "wide" ? WIDE_WIDTH : TALL_WIDTH,
    height: placed.height,
    clients,
    pools: poolBoxes,
    servers,
    faultSets: groups.flatMap((group, index) =>
      group.faultSetId === null ? [] : [{ faultSetId: group.faultSetId, box: placed.frames[index]! }]
    ),
    edges: edgesOf(overview, { clients, pools: poolBoxes, servers }),
    hidden: {
      clients: overview.sdcs.length - sdcs.length,
      pools: overview.pools.length - pools.length,
      servers: overview.sdss.length - sdss.length,
    },
  };
}

interface ServerGroup {
  readonly faultSetId: FaultSetId | null;
  readonly sdsIds: readonly SdsId[];
}

function groupedByFaultSet(sdss: Overview["sdss"]): ServerGroup[] {
  const groups = new Map<FaultSetId | null, SdsId[]>();
  for (const { faultSetId, sdsId } of sdss) {
    const members = groups.get(faultSetId);
    if (members) members.push(sdsId);
    else groups.set(faultSetId, [sdsId]);
  }
  return [...groups].map(([faultSetId, sdsIds]) => ({ faultSetId, sdsIds }));
}

interface Contents {
  readonly clientCount: number;
  readonly poolCount: number;
  readonly groups: readonly ServerGroup[];
}

interface Placed {
  readonly clients: readonly Box[];
  readonly pools: readonly Box[];
  readonly servers: readonly Box[];
  readonly frames: readonly Box[];
  readonly height: number;
}

function wide({ clientCount, poolCount, groups }: Contents): Placed {
  const frameWidth = NODE.width + 2 * FRAME.side;
  const servers: Box[] = [];
  const frames: Box[] = [];
  let y = 0;
  for (const group of groups) {
    const framed = group.faultSetId !== null;
    const top = y;
    y += framed ? FRAME.top : 0;
    for (let index = 0; index < group.sdsIds.length; index++) {
      servers.push({ x: WIDE_WIDTH - FRAME.side - NODE.width, y, ...NODE });
      y += NODE.height + (index < group.sdsIds.length - 1 ? GAP : 0);
    }
    y += framed ? FRAME.bottom : 0;
    frames.push({ x: WIDE_WIDTH - frameWidth, y: top, width: frameWidth, height: y - top });
    y += GAP;
  }
  const stackHeight = (count: number, height: number) => count * height + Math.max(0, count - 1) * GAP;
  const height = Math.max(
    y - GAP,
    stackHeight(clientCount, NODE.height),
    stackHeight(poolCount, POOL_BOX.height),
    NODE.height,
  );
  const column = (count: number, box: { x: number; width: number; height: number }): Box[] => {
    const top = (height - stackHeight(count, box.height)) / 2;
    return Array.from({ length: count }, (_, index) => ({ ...box, y: top + index * (box.height + GAP) }));
  };
  const serverShift = (height - (y - GAP)) / 2;
  return {
    clients: column(clientCount, { x: 0, ...NODE }),
    pools: column(poolCount, { x: (WIDE_WIDTH - POOL_BOX.width) / 2 - 10, ...POOL_BOX }),
    servers: servers.map((box) => ({ ...box, y: box.y + serverShift })),
    frames: frames.map((box) => ({ ...box, y: box.y + serverShift })),
    height,
  };
}

function tall({ clientCount, poolCount, groups }: Contents): Placed {
  const grid = (count: number, top: number): Box[] =>
    Array.from({ length: count }, (_, index) => ({
      x: count === 1 ? (TALL_WIDTH - TALL_NODE.width) / 2 : (index % 2) * (TALL_NODE.width + 24),
      y: top + Math.floor(index / 2) * (TALL_NODE.height + GAP),
      ...TALL_NODE,
    }));
  const gridHeight = (count: number) => Math.ceil(count / 2) * (TALL_NODE.height + GAP) - (count > 0 ? GAP : 0);
  const clients = grid(clientCount, 0);
  let y = gridHeight(clientCount) + TALL_ROW_GAP;
  const pools = Array.from({ length: poolCount }, (_, index) => ({
    x: (TALL_WIDTH - POOL_BOX.width) / 2,
    y: y + index * (POOL_BOX.height + GAP),
    ...POOL_BOX,
  }));
  y += poolCount * (POOL_BOX.height + GAP) - GAP + TALL_ROW_GAP;
  const servers: Box[] = [];
  const frames: Box[] = [];
  // Two fault sets side by side; each stacks its servers.
  for (let index = 0; index < groups.length; index += 2) {
    const pair = groups.slice(index, index + 2);
    const frameHeight = FRAME.top + FRAME.bottom +
      Math.max(...pair.map((group) => group.sdsIds.length * (TALL_NODE.height + GAP) - GAP));
    pair.forEach((group, side) => {
      const alone = groups.length === 1;
      const x = alone ? (TALL_WIDTH - 172) / 2 : side * 188;
      frames.push({ x, y, width: 172, height: frameHeight });
      group.sdsIds.forEach((_, row) => {
        servers.push({ x: x + 6, y: y + FRAME.top + row * (TALL_NODE.height + GAP), width: 160, height: 62 });
      });
    });
    y += frameHeight + GAP;
  }
  return { clients, pools, servers, frames, height: Math.max(y - GAP, NODE.height) };
}

interface PlacedNodes {
  readonly clients: TopologyLayout["clients"];
  readonly pools: TopologyLayout["pools"];
  readonly servers: TopologyLayout["servers"];
}

function edgesOf(overview: Overview, { clients, pools, servers }: PlacedNodes): Edge[] {
  const poolOfVolume = new Map(overview.volumes.map((volume) => [volume.volumeId, volume.poolId]));
  const edges: Edge[] = [];
  for (const { sdcId, box } of clients) {
    const mappings = overview.sdcs.find((sdc) => sdc.sdcId === sdcId)?.mappings ?? [];
    const used = new Set(mappings.map((mapping) => poolOfVolume.get(mapping.volumeId)));
    for (const pool of pools) {
      if (used.has(pool.poolId)) edges.push({ from: box, to: pool.box, sdcId, poolId: pool.poolId });
    }
  }
  for (const { sdsId, box } of servers) {
    const devices = overview.sdss.find((sds) => sds.sdsId === sdsId)?.devices ?? [];
    const used = new Set(devices.map((device) => device.poolId));
    for (const pool of pools) {
      if (used.has(pool.poolId)) edges.push({ from: pool.box, to: box, sdsId, poolId: pool.poolId });
    }
  }
  return edges;
}

/** States of groups by rising harm. */
export type DotState = "full" | "joining" | "degraded" | "unavailable";

/** Dots of a pool's picture at most; beyond that one dot stands for several groups. */
export const DOTS_MAX = 128;

/**
 * One state per dot, worst first. A state that has any group has a dot: a single lost group among thousands must be seen.
 */
export function dotStates(pgs: Overview["pools"][number]["pgs"]): readonly DotState[] {
  const order: readonly DotState[] = ["unavailable", "degraded", "joining", "full"];
  const dotCount = Math.min(DOTS_MAX, pgs.total);
  const dots: DotState[] = [];
  for (const state of order) {
    const share = pgs.total === 0 ? 0 : pgs[state] / pgs.total * dotCount;
    const count = pgs[state] === 0 ? 0 : Math.max(1, state === "full" ? dotCount - dots.length : Math.round(share));
    for (let index = 0; index < count && dots.length < dotCount; index++) dots.push(state);
  }
  return dots;
}
