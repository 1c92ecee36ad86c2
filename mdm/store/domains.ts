/**
 * `protection_domains`.
 *
 * @module
 */
import type { Database } from "@/mdm/store/database.ts";
import { asId, type ProtectionDomainId } from "@/shared/ids.ts";

export interface DomainRow {
  readonly domainId: ProtectionDomainId;
  readonly name: string;
  readonly description: string;
}

const COLUMNS = "id AS domainId, name, description";

export function insertDomain(
  db: Database,
  row: { name: string; description: string; atMs: number },
): ProtectionDomainId {
  const { lastId } = db.run(
    "INSERT INTO protection_domains (name, description, created_at_ms) VALUES (?, ?, ?)",
    row.name,
    row.description,
    Math.floor(row.atMs),
  );
  return asId(lastId);
}

export function domainById(db: Database, domainId: ProtectionDomainId): DomainRow | undefined {
  return db.get(`SELECT ${COLUMNS} FROM protection_domains WHERE id = ?`, domainId);
}

export function domainByName(db: Database, name: string): DomainRow | undefined {
  return db.get(`SELECT ${COLUMNS} FROM protection_domains WHERE name = ?`, name);
}

export function listDomains(db: Database): DomainRow[] {
  return db.all(`SELECT ${COLUMNS} FROM protection_domains ORDER BY id`);
}

/** Removes a domain that has neither pools nor SDSs, with its fault sets. */
export function deleteDomain(db: Database, domainId: ProtectionDomainId): void {
  db.run("DELETE FROM fault_sets WHERE pd_id = ?", domainId);
  db.run("DELETE FROM protection_domains WHERE id = ?", domainId);
}
