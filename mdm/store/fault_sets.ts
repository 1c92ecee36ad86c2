/**
 * `fault_sets`: SDSs that fail together.
 *
 * @module
 */
import type { Database } from "@/mdm/store/database.ts";
import { asId, type FaultSetId, type ProtectionDomainId } from "@/shared/ids.ts";

export interface FaultSetRow {
  readonly faultSetId: FaultSetId;
  readonly domainId: ProtectionDomainId;
  readonly name: string;
}

const COLUMNS = "id AS faultSetId, pd_id AS domainId, name";

export function insertFaultSet(db: Database, row: { domainId: ProtectionDomainId; name: string }): FaultSetId {
  return asId(db.run("INSERT INTO fault_sets (pd_id, name) VALUES (?, ?)", row.domainId, row.name).lastId);
}

export function faultSetById(db: Database, faultSetId: FaultSetId): FaultSetRow | undefined {
  return db.get(`SELECT ${COLUMNS} FROM fault_sets WHERE id = ?`, faultSetId);
}

export function faultSetByName(
  db: Database,
  key: { domainId: ProtectionDomainId; name: string },
): FaultSetRow | undefined {
  return db.get(`SELECT ${COLUMNS} FROM fault_sets WHERE pd_id = ? AND name = ?`, key.domainId, key.name);
}

export function listFaultSets(db: Database): FaultSetRow[] {
  return db.all(`SELECT ${COLUMNS} FROM fault_sets ORDER BY id`);
}
