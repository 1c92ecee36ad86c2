/**
 * Revocations under way (replication design, section 6.4), so that a restart of the MDM does not forget whom they wait for.
 *
 * @module
 */
import type { Migration } from "@/shared/migrate.ts";

export const REVOCATIONS: Migration = {
  version: 7,
  name: "revocations",
  sql: `
-- An SDS that has not confirmed that generations up to mapping_version are in force for a volume.
CREATE TABLE revocation_pending (
  volume_id INTEGER NOT NULL,
  sds_id INTEGER NOT NULL,
  pool_id INTEGER NOT NULL,
  mapping_version INTEGER NOT NULL,
  PRIMARY KEY (volume_id, sds_id)
) STRICT, WITHOUT ROWID;
`,
};
