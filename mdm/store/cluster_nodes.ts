/**
 * `cluster_nodes`: what `cluster_node_id` names. A row belongs to at most one registered process.
 *
 * @module
 */
import type { ComponentRow } from "@/mdm/store/components.ts";
import type { Database } from "@/mdm/store/database.ts";
import type { ComponentId } from "@/shared/ids.ts";

export interface ClusterNodeRow {
  readonly id: number;
  readonly nodeId: string;
  readonly name: string;
  readonly address: string;
  readonly controlPort: number | null;
  readonly dataPort: number | null;
  readonly capabilities: readonly string[];
  readonly componentId: ComponentId | null;
  /** What its last heartbeat of the predecessor's API said. */
  readonly reportedStatus: string | null;
  readonly registeredAtMs: number;
  readonly lastHeartbeatAtMs: number | null;
  readonly metadata: Readonly<Record<string, unknown>>;
}

const COLUMNS = `id, node_id AS nodeId, name, address, control_port AS controlPort, data_port AS dataPort, capabilities,
  component_id AS componentId, reported_status AS reportedStatus, registered_at_ms AS registeredAtMs,
  last_heartbeat_at_ms AS lastHeartbeatAtMs, metadata`;

type Raw = Omit<ClusterNodeRow, "capabilities" | "metadata"> & {
  readonly capabilities: string;
  readonly metadata: string;
};

function rowOf(raw: Raw): ClusterNodeRow {
  return { ...raw, capabilities: raw.capabilities.split(","), metadata: JSON.parse(raw.metadata) };
}

export function clusterNodeById(db: Database, id: number): ClusterNodeRow | undefined {
  const raw = db.get<Raw>(`SELECT ${COLUMNS} FROM cluster_nodes WHERE id = ?`, id);
  return raw && rowOf(raw);
}

export function clusterNodeByName(db: Database, nodeId: string): ClusterNodeRow | undefined {
  const raw = db.get<Raw>(`SELECT ${COLUMNS} FROM cluster_nodes WHERE node_id = ?`, nodeId);
  return raw && rowOf(raw);
}

export function clusterNodeOfComponent(db: Database, componentId: ComponentId): ClusterNodeRow | undefined {
  const raw = db.get<Raw>(`SELECT ${COLUMNS} FROM cluster_nodes WHERE component_id = ?`, componentId);
  return raw && rowOf(raw);
}

export function listClusterNodes(db: Database): ClusterNodeRow[] {
  return db.all<Raw>(`SELECT ${COLUMNS} FROM cluster_nodes ORDER BY id`).map(rowOf);
}

/** The lowest free row whose address and one of whose ports are those of `component`. */
export function freeNodeMatching(db: Database, component: ComponentRow): ClusterNodeRow | undefined {
  const ports = new Set(
    [component.controlPort, component.dataPort, component.mgmtPort].filter((port) => port !== null),
  );
  return listClusterNodes(db).find((node) =>
    node.componentId === null && node.address === component.address &&
    [node.controlPort, node.dataPort].some((port) => port !== null && ports.has(port))
  );
}

export interface NewClusterNode {
  readonly nodeId: string;
  readonly name: string;
  readonly address: string;
  readonly controlPort: number | null;
  readonly dataPort: number | null;
  readonly capabilities: readonly string[];
  readonly componentId: ComponentId | null;
  readonly atMs: number;
  readonly metadata: Readonly<Record<string, unknown>>;
}

/** Inserts the row, or changes all but its binding and time when `nodeId` is known. */
export function upsertClusterNode(db: Database, node: NewClusterNode): void {
  db.run(
    `INSERT INTO cluster_nodes (node_id, name, address, control_port, data_port, capabilities, component_id, registered_at_ms,
       metadata) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
     ON CONFLICT (node_id) DO UPDATE SET name = excluded.name, address = excluded.address, control_port = excluded.control_port,
       data_port = excluded.data_port, capabilities = excluded.capabilities, metadata = excluded.metadata`,
    node.nodeId,
    node.name,
    node.address,
    node.controlPort,
    node.dataPort,
    node.capabilities.join(","),
    node.componentId,
    Math.floor(node.atMs),
    JSON.stringify(node.metadata),
  );
}

export function bindClusterNode(db: Database, id: number, componentId: ComponentId): void {
  db.run("UPDATE cluster_nodes SET component_id = ? WHERE id = ?", componentId, id);
}

export function recordNodeHeartbeat(
  db: Database,
  id: number,
  beat: { status: string | null; capabilities: readonly string[] | null; atMs: number },
): void {
  db.run(
    `UPDATE cluster_nodes SET reported_status = COALESCE(?, reported_status), capabilities = COALESCE(?, capabilities),
       last_heartbeat_at_ms = ? WHERE id = ?`,
    beat.status,
    beat.capabilities?.join(",") ?? null,
    Math.floor(beat.atMs),
    id,
  );
}
