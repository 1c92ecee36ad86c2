/**
 * `sdc_clients`: SDCs that an operator added, each bound to one registered process.
 *
 * @module
 */
import type { Database } from "@/mdm/store/database.ts";
import { asId, type ComponentId, type SdcId, type SdcSession } from "@/shared/ids.ts";

export interface SdcRow {
  readonly sdcId: SdcId;
  readonly name: string;
  readonly componentId: ComponentId;
  readonly clusterNodeId: number;
  /** The newest session; null until it registered. */
  readonly sdcSession: SdcSession | null;
  readonly address: string;
  readonly controlPort: number | null;
  readonly dataPort: number | null;
  readonly mgmtPort: number | null;
  readonly nodeKeyHex: string;
  readonly metadataJson: string;
}

const SELECT = `SELECT s.id AS sdcId, s.name, s.component_id AS componentId, s.cluster_node_id AS clusterNodeId,
    s.sdc_session AS sdcSession, c.address, c.control_port AS controlPort, c.data_port AS dataPort, c.mgmt_port AS mgmtPort,
    c.node_key_hex AS nodeKeyHex, c.metadata AS metadataJson
  FROM sdc_clients s JOIN component_registry c ON c.component_id = s.component_id`;

export function insertSdc(
  db: Database,
  sdc: { name: string; componentId: ComponentId; clusterNodeId: number; atMs: number },
): SdcId {
  const { lastId } = db.run(
    "INSERT INTO sdc_clients (name, component_id, cluster_node_id, created_at_ms) VALUES (?, ?, ?, ?)",
    sdc.name,
    sdc.componentId,
    sdc.clusterNodeId,
    Math.floor(sdc.atMs),
  );
  return asId(lastId);
}

export function sdcById(db: Database, sdcId: SdcId): SdcRow | undefined {
  return db.get(`${SELECT} WHERE s.id = ?`, sdcId);
}

export function sdcByName(db: Database, name: string): SdcRow | undefined {
  return db.get(`${SELECT} WHERE s.name = ?`, name);
}

export function sdcOfComponent(db: Database, componentId: ComponentId): SdcRow | undefined {
  return db.get(`${SELECT} WHERE s.component_id = ?`, componentId);
}

export function listSdcs(db: Database): SdcRow[] {
  return db.all(`${SELECT} ORDER BY s.id`);
}

export function setSdcSession(db: Database, sdcId: SdcId, session: SdcSession): void {
  db.run("UPDATE sdc_clients SET sdc_session = ? WHERE id = ?", session, sdcId);
}
