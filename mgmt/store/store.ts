/**
 * Opens `mgmt.db`, which only MGMT opens, and holds its tables together.
 *
 * @module
 */
import { SEEDED_RULES } from "@/mgmt/core/alert_rules.ts";
import { AlertRules } from "@/mgmt/store/alert_rules.ts";
import { Alerts } from "@/mgmt/store/alerts.ts";
import { AuditLog } from "@/mgmt/store/audit_log.ts";
import { Config } from "@/mgmt/store/config.ts";
import { MIGRATIONS } from "@/mgmt/store/migrations.ts";
import { Sessions } from "@/mgmt/store/sessions.ts";
import { Snapshots } from "@/mgmt/store/snapshots.ts";
import { TopologyCache } from "@/mgmt/store/topology_cache.ts";
import { Users } from "@/mgmt/store/users.ts";
import { copyDatabase } from "@/shared/backup.ts";
import { migrate } from "@/shared/migrate.ts";
import { openPrivateDatabase } from "@/shared/private_files.ts";

/** The tables of `mgmt.db`. */
export interface MgmtStore extends Disposable {
  readonly users: Users;
  readonly sessions: Sessions;
  readonly audit: AuditLog;
  readonly topology: TopologyCache;
  readonly alertRules: AlertRules;
  readonly alerts: Alerts;
  readonly snapshots: Snapshots;
  readonly config: Config;
  /** Gives up to `pageCountMax` free pages back to the file system; gives how many of all are free afterwards. */
  compact(pageCountMax: number): number;
  /** Writes a complete copy of the database to `path` while it is used. */
  backup(path: string): Promise<void>;
}

/** Opens or creates the database at `path` (`:memory:` in tests). @throws {Error} when it is not this program's. */
export function openStore(path: string): MgmtStore {
  const database = openPrivateDatabase(path, { enableForeignKeyConstraints: true });
  try {
    database.exec(
      "PRAGMA auto_vacuum = INCREMENTAL; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA busy_timeout = 2000",
    );
    migrate(database, MIGRATIONS);
  } catch (error) {
    database.close();
    throw error;
  }
  const alertRules = new AlertRules(database);
  alertRules.seed(SEEDED_RULES);
  const config = new Config(database);
  config.seed();
  return {
    users: new Users(database),
    sessions: new Sessions(database),
    audit: new AuditLog(database),
    topology: new TopologyCache(database),
    alertRules,
    alerts: new Alerts(database),
    snapshots: new Snapshots(database),
    config,
    compact(pageCountMax) {
      database.prepare(`PRAGMA incremental_vacuum(${Math.floor(pageCountMax)})`).all();
      return Number(database.prepare("PRAGMA freelist_count").get()!["freelist_count"]);
    },
    backup: (path) => copyDatabase(database, path),
    [Symbol.dispose]: () => database.close(),
  };
}
