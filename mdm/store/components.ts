/**
 * `component_registry`: processes that enrolled, with their node keys.
 *
 * @module
 */
import type { Database } from "@/mdm/store/database.ts";
import type { ComponentId } from "@/shared/ids.ts";

export type ComponentType = "MDM" | "SDS" | "SDC" | "MGMT";
export type ComponentStatus = "ACTIVE" | "STALE" | "DOWN" | "UNREGISTERED";

/** A process that enrolled. */
export interface ComponentRow {
  /** Order of registration, from 1. */
  readonly id: number;
  readonly componentId: ComponentId;
  readonly componentType: ComponentType;
  readonly address: string;
  readonly controlPort: number | null;
  readonly dataPort: number | null;
  readonly mgmtPort: number | null;
  readonly nodeKeyHex: string;
  readonly status: ComponentStatus;
  readonly registeredAtMs: number;
  /** At the last change of status or registration; the newest beats are in memory. */
  readonly lastHeartbeatAtMs: number | null;
  readonly metadata: Readonly<Record<string, unknown>>;
}

const COLUMNS = `id, component_id AS componentId, component_type AS componentType, address, control_port AS controlPort,
  data_port AS dataPort, mgmt_port AS mgmtPort, node_key_hex AS nodeKeyHex, status, registered_at_ms AS registeredAtMs,
  last_heartbeat_at_ms AS lastHeartbeatAtMs, metadata`;

type Raw = Omit<ComponentRow, "metadata"> & { readonly metadata: string };

function rowOf(raw: Raw): ComponentRow {
  return { ...raw, metadata: JSON.parse(raw.metadata) };
}

export function componentById(db: Database, componentId: string): ComponentRow | undefined {
  const raw = db.get<Raw>(`SELECT ${COLUMNS} FROM component_registry WHERE component_id = ?`, componentId);
  return raw && rowOf(raw);
}

/** All but the unregistered, in order of registration. */
export function listComponents(db: Database): ComponentRow[] {
  return db.all<Raw>(`SELECT ${COLUMNS} FROM component_registry WHERE status <> 'UNREGISTERED' ORDER BY id`).map(rowOf);
}

export type ComponentFacts = Pick<
  ComponentRow,
  "componentId" | "componentType" | "address" | "controlPort" | "dataPort" | "mgmtPort" | "metadata"
>;

export function insertComponent(db: Database, row: ComponentFacts & { nodeKeyHex: string; atMs: number }): void {
  const atMs = Math.floor(row.atMs);
  db.run(
    `INSERT INTO component_registry (component_id, component_type, address, control_port, data_port, mgmt_port, node_key_hex,
       status, registered_at_ms, last_heartbeat_at_ms, metadata) VALUES (?, ?, ?, ?, ?, ?, ?, 'ACTIVE', ?, ?, ?)`,
    row.componentId,
    row.componentType,
    row.address,
    row.controlPort,
    row.dataPort,
    row.mgmtPort,
    row.nodeKeyHex,
    atMs,
    atMs,
    JSON.stringify(row.metadata),
  );
}

export function updateComponent(db: Database, row: ComponentFacts & { atMs: number }): void {
  db.run(
    `UPDATE component_registry SET address = ?, control_port = ?, data_port = ?, mgmt_port = ?, metadata = ?, status = 'ACTIVE',
       last_heartbeat_at_ms = ? WHERE component_id = ?`,
    row.address,
    row.controlPort,
    row.dataPort,
    row.mgmtPort,
    JSON.stringify(row.metadata),
    Math.floor(row.atMs),
    row.componentId,
  );
}

export function setComponentStatus(
  db: Database,
  componentId: ComponentId,
  change: { status: ComponentStatus; lastHeartbeatAtMs: number | null },
): void {
  db.run(
    "UPDATE component_registry SET status = ?, last_heartbeat_at_ms = COALESCE(?, last_heartbeat_at_ms) WHERE component_id = ?",
    change.status,
    change.lastHeartbeatAtMs === null ? null : Math.floor(change.lastHeartbeatAtMs),
    componentId,
  );
}

export function deleteComponent(db: Database, componentId: ComponentId): void {
  db.run("DELETE FROM component_registry WHERE component_id = ?", componentId);
}
