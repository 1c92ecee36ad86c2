/**
 * `sds_nodes`: SDSs that an operator added, each bound to one registered process.
 *
 * @module
 */
import type { Database } from "@/mdm/store/database.ts";
import {
  asId,
  type ComponentId,
  type FaultSetId,
  type PoolId,
  type ProtectionDomainId,
  type SdsId,
} from "@/shared/ids.ts";

/** What an operator made of an SDS. */
export type SdsService = "in" | "failed" | "leaving";

export interface SdsRow {
  readonly sdsId: SdsId;
  readonly name: string;
  readonly domainId: ProtectionDomainId;
  readonly faultSetId: FaultSetId | null;
  readonly componentId: ComponentId;
  readonly clusterNodeId: number;
  readonly claimedBytes: number;
  /** `failed`, `leaving`: an operator wants its copies elsewhere; the latter is removed when it holds none. */
  readonly service: SdsService;
  readonly address: string;
  readonly controlPort: number | null;
  readonly dataPort: number | null;
  readonly mgmtPort: number | null;
  readonly nodeKeyHex: string;
}

const SELECT =
  `SELECT s.id AS sdsId, s.name, s.pd_id AS domainId, s.fault_set_id AS faultSetId, s.component_id AS componentId,
    s.cluster_node_id AS clusterNodeId, s.total_capacity_bytes AS claimedBytes, s.service, c.address, c.control_port AS controlPort,
    c.data_port AS dataPort, c.mgmt_port AS mgmtPort, c.node_key_hex AS nodeKeyHex
  FROM sds_nodes s JOIN component_registry c ON c.component_id = s.component_id`;

export interface NewSds {
  readonly name: string;
  readonly domainId: ProtectionDomainId;
  readonly faultSetId: FaultSetId | null;
  readonly componentId: ComponentId;
  readonly clusterNodeId: number;
  readonly claimedBytes: number;
  readonly atMs: number;
}

export function insertSds(db: Database, sds: NewSds): SdsId {
  const { lastId } = db.run(
    `INSERT INTO sds_nodes (name, pd_id, fault_set_id, component_id, cluster_node_id, total_capacity_bytes, created_at_ms)
     VALUES (?, ?, ?, ?, ?, ?, ?)`,
    sds.name,
    sds.domainId,
    sds.faultSetId,
    sds.componentId,
    sds.clusterNodeId,
    sds.claimedBytes,
    Math.floor(sds.atMs),
  );
  return asId(lastId);
}

export function sdsById(db: Database, sdsId: SdsId): SdsRow | undefined {
  return db.get(`${SELECT} WHERE s.id = ?`, sdsId);
}

export function sdsByName(db: Database, name: string): SdsRow | undefined {
  return db.get(`${SELECT} WHERE s.name = ?`, name);
}

export function sdsOfComponent(db: Database, componentId: ComponentId): SdsRow | undefined {
  return db.get(`${SELECT} WHERE s.component_id = ?`, componentId);
}

export function listSds(db: Database): SdsRow[] {
  return db.all(`${SELECT} ORDER BY s.id`);
}

export function sdsOfDomain(db: Database, domainId: ProtectionDomainId): SdsRow[] {
  return db.all(`${SELECT} WHERE s.pd_id = ? ORDER BY s.id`, domainId);
}

/** SDSs with a device in the pool. */
export function sdsOfPool(db: Database, poolId: PoolId): SdsRow[] {
  return db.all(
    `${SELECT} WHERE s.id IN (SELECT sds_id FROM sds_device_inventory WHERE pool_id = ?) ORDER BY s.id`,
    poolId,
  );
}

/** Other SDSs with a device in a pool in which this one has a device. */
export function peersOfSds(db: Database, sdsId: SdsId): SdsRow[] {
  return db.all(
    `${SELECT} WHERE s.id <> ? AND s.id IN (
       SELECT theirs.sds_id FROM sds_device_inventory mine JOIN sds_device_inventory theirs ON theirs.pool_id = mine.pool_id
       WHERE mine.sds_id = ?) ORDER BY s.id`,
    sdsId,
    sdsId,
  );
}

export function setSdsService(db: Database, sdsId: SdsId, service: SdsService): void {
  db.run("UPDATE sds_nodes SET service = ? WHERE id = ?", service, sdsId);
}

/** Forgets an SDS and its devices; no group names one. */
export function deleteSds(db: Database, sdsId: SdsId): void {
  db.run("DELETE FROM sds_device_inventory WHERE sds_id = ?", sdsId);
  db.run("DELETE FROM sds_nodes WHERE id = ?", sdsId);
}
