/**
 * Table `alert_rules`: when figures become alerts. A new database has the rules of `mgmt/core/alert_rules.ts`; a rule that a
 * later version adds is added to old databases too, what people changed stays.
 *
 * @module
 */
import type { DatabaseSync } from "node:sqlite";
import type { AlertRule, RuleText } from "@/mgmt/core/alert_rules.ts";

/** The table. */
export class AlertRules {
  readonly #database: DatabaseSync;

  constructor(database: DatabaseSync) {
    this.#database = database;
  }

  /** Adds those of `rules` whose name is not there. */
  seed(rules: readonly RuleText[]): void {
    const insert = this.#database.prepare(`
      INSERT INTO alert_rules
        (name, condition, component_type, metric, threshold, severity, every_ms, consecutive, cool_down_ms)
      VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (name) DO NOTHING
    `);
    for (const rule of rules) {
      const { name, condition, sourceType, metric, threshold, severity, everyMs, consecutive, coolDownMs } = rule;
      insert.run(name, condition, sourceType, metric, threshold, severity, everyMs, consecutive, coolDownMs);
    }
  }

  all(): AlertRule[] {
    return this.#database.prepare("SELECT * FROM alert_rules ORDER BY id").all().map(ruleOf);
  }

  /** Changes threshold and whether the rule is used; false when there is no such rule. */
  change(ruleId: number, change: { readonly threshold: number; readonly isActive: boolean }): boolean {
    return this.#database.prepare("UPDATE alert_rules SET threshold = ?, is_active = ? WHERE id = ?")
      .run(change.threshold, change.isActive ? 1 : 0, ruleId).changes === 1;
  }
}

function ruleOf(row: Record<string, unknown>): AlertRule {
  return {
    ruleId: Number(row["id"]),
    name: String(row["name"]),
    // Only `seed` writes these four columns, from typed rules.
    condition: row["condition"] as AlertRule["condition"],
    sourceType: row["component_type"] as AlertRule["sourceType"],
    metric: row["metric"] as AlertRule["metric"],
    severity: row["severity"] as AlertRule["severity"],
    threshold: Number(row["threshold"]),
    everyMs: Number(row["every_ms"]),
    consecutive: Number(row["consecutive"]),
    coolDownMs: Number(row["cool_down_ms"]),
    isActive: row["is_active"] === 1,
  };
}
