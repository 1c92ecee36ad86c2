/**
 * All migrations of `powerflex.db`, in order. A new one goes to the end; none is ever edited.
 *
 * @module
 */
import { CLUSTER } from "@/mdm/store/migrations/0001_cluster.ts";
import { TOPOLOGY } from "@/mdm/store/migrations/0002_topology.ts";
import { VOLUMES } from "@/mdm/store/migrations/0003_volumes.ts";
import { PLACEMENT } from "@/mdm/store/migrations/0004_placement.ts";
import { IO_TOKENS } from "@/mdm/store/migrations/0005_io_tokens.ts";
import { THICK_VOLUMES } from "@/mdm/store/migrations/0006_thick_volumes.ts";
import { REVOCATIONS } from "@/mdm/store/migrations/0007_revocations.ts";
import { TARGETS } from "@/mdm/store/migrations/0008_targets.ts";
import { REBUILD } from "@/mdm/store/migrations/0009_rebuild.ts";
import type { Migration } from "@/shared/migrate.ts";

export const MIGRATIONS: readonly Migration[] = [
  CLUSTER,
  TOPOLOGY,
  VOLUMES,
  PLACEMENT,
  IO_TOKENS,
  THICK_VOLUMES,
  REVOCATIONS,
  TARGETS,
  REBUILD,
];
