/**
 * `volume_mappings`: which SDC may use which volume, and the generation below which its tokens are void (replication design,
 * section 6.4). A generation is the mapping version at which the row changed, so it never goes back, even for a pair that is
 * forgotten and mapped again.
 *
 * @module
 */
import type { AccessMode } from "@/shared/api/sdc.ts";
import type { MappingGeneration } from "@/shared/api/sds.ts";
import type { Database } from "@/mdm/store/database.ts";
import type { SdcId, VolumeId } from "@/shared/ids.ts";

/** A volume that an SDC may use. */
export interface MappingRow {
  readonly volumeId: VolumeId;
  readonly sdcId: SdcId;
  readonly accessMode: AccessMode;
  readonly mappingGeneration: number;
  readonly changedAtMs: number;
}

const SELECT = `SELECT volume_id AS volumeId, sdc_id AS sdcId, access_mode AS accessMode,
    mapping_generation AS mappingGeneration, changed_at_ms AS changedAtMs FROM volume_mappings`;

export function mappingOf(db: Database, key: { volumeId: VolumeId; sdcId: SdcId }): MappingRow | undefined {
  return db.get(
    `${SELECT} WHERE volume_id = ? AND sdc_id = ? AND access_mode IS NOT NULL`,
    key.volumeId,
    key.sdcId,
  );
}

export function mappingsOfVolume(db: Database, volumeId: VolumeId): MappingRow[] {
  return db.all(`${SELECT} WHERE volume_id = ? AND access_mode IS NOT NULL ORDER BY sdc_id`, volumeId);
}

export function mappingsOfSdc(db: Database, sdcId: SdcId): MappingRow[] {
  return db.all(`${SELECT} WHERE sdc_id = ? AND access_mode IS NOT NULL ORDER BY volume_id`, sdcId);
}

export function listMappings(db: Database): MappingRow[] {
  return db.all(`${SELECT} WHERE access_mode IS NOT NULL ORDER BY volume_id, sdc_id`);
}

/** Generations of all pairs that tokens may exist for. */
export function listGenerations(db: Database): MappingGeneration[] {
  return db.all(
    `SELECT volume_id AS volumeId, sdc_id AS sdcId, mapping_generation AS mappingGeneration FROM volume_mappings
     ORDER BY volume_id, sdc_id`,
  );
}

/** Sets the mapping; `accessMode` null unmaps. */
export function setMapping(
  db: Database,
  mapping: { volumeId: VolumeId; sdcId: SdcId; accessMode: AccessMode | null; mappingGeneration: number; atMs: number },
): void {
  db.run(
    `INSERT INTO volume_mappings (volume_id, sdc_id, access_mode, mapping_generation, changed_at_ms) VALUES (?, ?, ?, ?, ?)
     ON CONFLICT (volume_id, sdc_id) DO UPDATE SET access_mode = excluded.access_mode,
       mapping_generation = excluded.mapping_generation, changed_at_ms = excluded.changed_at_ms`,
    mapping.volumeId,
    mapping.sdcId,
    mapping.accessMode,
    mapping.mappingGeneration,
    Math.floor(mapping.atMs),
  );
}

/** Raises the generation of an SDC's mappings, which voids the tokens of its older sessions. */
export function raiseGenerationsOfSdc(db: Database, sdcId: SdcId, mappingGeneration: number): void {
  db.run(
    "UPDATE volume_mappings SET mapping_generation = ? WHERE sdc_id = ? AND access_mode IS NOT NULL",
    mappingGeneration,
    sdcId,
  );
}

/** Forgets pairs that were unmapped before `beforeMs`: every token for them has expired everywhere. */
export function forgetUnmapped(db: Database, beforeMs: number): number {
  return db.run(
    "DELETE FROM volume_mappings WHERE access_mode IS NULL AND changed_at_ms < ?",
    Math.floor(beforeMs),
  ).changes;
}
