/**
 * Where the copies of a group should be, which devices may hold copies, and which SDSs an operator took out of service.
 *
 * @module
 */
import type { Migration } from "@/shared/migrate.ts";

export const TARGETS: Migration = {
  version: 8,
  name: "targets",
  sql: `
-- target: device ids as JSON, the primary first; [] before it was computed. misplaced: the members are others, or in another order.
ALTER TABLE pg ADD COLUMN target TEXT NOT NULL DEFAULT '[]';
ALTER TABLE pg ADD COLUMN misplaced INTEGER NOT NULL DEFAULT 0;
CREATE INDEX pg_misplaced ON pg (id) WHERE misplaced = 1;

-- out: silent for so long, or failed, that its copies are made elsewhere.
ALTER TABLE sds_device_inventory ADD COLUMN placement TEXT NOT NULL DEFAULT 'in' CHECK (placement IN ('in', 'out'));
-- failed: an operator wants its copies elsewhere at once. leaving: elsewhere, then it is removed.
ALTER TABLE sds_nodes ADD COLUMN service TEXT NOT NULL DEFAULT 'in' CHECK (service IN ('in', 'failed', 'leaving'));
`,
};
