/**
 * Opens `mgmt.db`, which only MGMT opens, and holds its tables together.
 *
 * @module
 */
import { AuditLog } from "@/mgmt/store/audit_log.ts";
import { MIGRATIONS } from "@/mgmt/store/migrations.ts";
import { Sessions } from "@/mgmt/store/sessions.ts";
import { TopologyCache } from "@/mgmt/store/topology_cache.ts";
import { Users } from "@/mgmt/store/users.ts";
import { migrate } from "@/shared/migrate.ts";
import { openPrivateDatabase } from "@/shared/private_files.ts";

/** The tables of `mgmt.db`. */
export interface MgmtStore extends Disposable {
  readonly users: Users;
  readonly sessions: Sessions;
  readonly audit: AuditLog;
  readonly topology: TopologyCache;
}

/** Opens or creates the database at `path` (`:memory:` in tests). @throws {Error} when it is not this program's. */
export function openStore(path: string): MgmtStore {
  const database = openPrivateDatabase(path, { enableForeignKeyConstraints: true });
  try {
    database.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA busy_timeout = 2000");
    migrate(database, MIGRATIONS);
  } catch (error) {
    database.close();
    throw error;
  }
  return {
    users: new Users(database),
    sessions: new Sessions(database),
    audit: new AuditLog(database),
    topology: new TopologyCache(database),
    [Symbol.dispose]: () => database.close(),
  };
}
