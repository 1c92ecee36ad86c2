/**
 * Tables that the specification names and that have no rows of their own here: their content, computed when somebody asks.
 * `docs/tables.md` says where the content of each named table lives.
 *
 * @module
 */
import type { MdmContext } from "@/mdm/context.ts";
import { allNodes } from "@/mdm/operations/cluster_nodes.ts";
import { componentView } from "@/mdm/operations/discovery.ts";
import { beatAgeMs } from "@/mdm/operations/processes.ts";
import { isoOf } from "@/mdm/operations/io_tokens.ts";
import { chunkCountOf, chunkPlaces } from "@/mdm/operations/volume_layout.ts";
import { type ComponentType, listComponents } from "@/mdm/store/components.ts";
import { eventsWhere } from "@/mdm/store/events.ts";
import { issuedIoTokens } from "@/mdm/store/io_tokens.ts";
import { listVolumes } from "@/mdm/store/volumes.ts";
import type { OverviewEvent } from "@/shared/api/overview.ts";

/** A row: values by column. */
export type ViewRow = Readonly<Record<string, string | number | boolean | null>>;

/** Which rows. */
export interface ViewPage {
  readonly offset: number;
  readonly limit: number;
}

/** The views by name. */
export const COMPUTED_VIEWS = {
  chunks: chunkRows,
  replicas: replicaRows,
  sds_heartbeats: (context: MdmContext, page: ViewPage) => heartbeatRows(context, { type: "SDS", page }),
  sdc_heartbeats: (context: MdmContext, page: ViewPage) => heartbeatRows(context, { type: "SDC", page }),
  component_health: (context: MdmContext, page: ViewPage) => heartbeatRows(context, { page }),
  heartbeat_log: heartbeatLog,
  registration_history: registrationHistory,
  node_metadata: nodeMetadata,
  io_plan_cache: planRows,
  cluster_metrics: metricRows,
} as const satisfies Record<string, (context: MdmContext, page: ViewPage) => ViewRow[]>;

export type ComputedView = keyof typeof COMPUTED_VIEWS;

/** Chunks of all volumes in order, as far as the page goes. */
function pagedChunks(context: MdmContext, page: ViewPage) {
  let { offset, limit } = page;
  return listVolumes(context.db).flatMap((volume) => {
    const count = chunkCountOf(volume);
    if (offset >= count || limit === 0) {
      offset = Math.max(0, offset - count);
      return [];
    }
    const places = chunkPlaces(context, { volume, offset, limit });
    [offset, limit] = [0, limit - places.length];
    return places.map((place) => ({ volume, place }));
  });
}

function chunkRows(context: MdmContext, page: ViewPage): ViewRow[] {
  return pagedChunks(context, page).map(({ volume, place }) => ({
    chunk_id: place.chunkId,
    volume_id: volume.volumeId,
    chunk_index: place.chunkIndex,
    pg_id: place.pgId,
    generation: place.generation,
    is_degraded: place.isDegraded,
  }));
}

/** A page counts chunks; each has as many rows as copies. */
function replicaRows(context: MdmContext, page: ViewPage): ViewRow[] {
  return pagedChunks(context, page).flatMap(({ volume, place }) =>
    place.replicas.map((replica) => ({
      volume_id: volume.volumeId,
      chunk_id: place.chunkId,
      replica_id: replica.replicaId,
      sds_id: replica.sdsId,
      is_available: replica.isAvailable,
      is_current: replica.isCurrent,
      is_rebuilding: replica.isRebuilding,
    }))
  );
}

function heartbeatRows(context: MdmContext, options: { type?: ComponentType; page: ViewPage }): ViewRow[] {
  const rows = listComponents(context.db).filter(({ componentType }) =>
    options.type === undefined || componentType === options.type
  );
  return pageOf(rows, options.page).map((component) => {
    const { component_id, component_type, status, last_heartbeat_at } = componentView(context, component);
    const secondsSince = Math.round(beatAgeMs(context, component.componentId)) / 1000;
    return { component_id, component_type, status, last_heartbeat_at, seconds_since_heartbeat: secondsSince };
  });
}

/** Every change of a process's state; the beats themselves are not kept. */
function heartbeatLog(context: MdmContext, page: ViewPage): ViewRow[] {
  const limit = page.offset + page.limit;
  const rows = [
    ...eventsWhere(context.db, { type: "sds_state_change", limit }),
    ...eventsWhere(context.db, { type: "component_state_change", limit }),
  ].sort((a, b) => b.eventId - a.eventId);
  return pageOf(rows, page).map(eventRow);
}

function registrationHistory(context: MdmContext, page: ViewPage): ViewRow[] {
  const rows = eventsWhere(context.db, { type: "component_registered", limit: page.offset + page.limit });
  return pageOf(rows, page).map(eventRow);
}

function eventRow(event: OverviewEvent): ViewRow {
  const { eventId, atMs, subject, message } = event;
  return { id: eventId, at: isoOf(atMs), component_id: subject, message };
}

function nodeMetadata(context: MdmContext, page: ViewPage): ViewRow[] {
  const rows = allNodes(context).flatMap((node) =>
    Object.entries(node.metadata).map(([key, value]) => ({ node_id: node.node_id, key, value: JSON.stringify(value) }))
  );
  return pageOf(rows, page);
}

/** Plans that tokens which may still be used carry: nothing else keeps a plan. */
function planRows(context: MdmContext, page: ViewPage): ViewRow[] {
  return issuedIoTokens(context.db, { nowMs: context.time.nowMs(), ...page }).map((token) => ({
    token_id: token.tokenId,
    volume_id: token.volumeId,
    sdc_id: token.sdcId,
    operation: token.operation,
    expires_at: isoOf(token.expiresAtMs),
    plan_json: token.ioPlanJson,
  }));
}

function metricRows(context: MdmContext, page: ViewPage): ViewRow[] {
  return pageOf(context.metrics.timeline(), page).map(({ atMs, ...figures }) => ({ at: isoOf(atMs), ...figures }));
}

function pageOf<Row>(rows: readonly Row[], page: ViewPage): Row[] {
  return rows.slice(page.offset, page.offset + page.limit);
}
