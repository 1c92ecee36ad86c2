/**
 * Alerts: the list on the overview, the page of all with its filter, one alert with its history, and the rules.
 *
 * @module
 */
import type { Severity } from "@/shared/api/overview.ts";
import type { AlertRule } from "@/mgmt/core/alert_rules.ts";
import {
  actionsIn,
  type Alert,
  ALERT_STATES,
  type AlertAction,
  alertCounts,
  type AlertFilter,
  BY_ITSELF,
} from "@/mgmt/core/alerts.ts";
import type { Level } from "@/mgmt/core/condition.ts";
import { formatDuration } from "@/mgmt/core/format.ts";
import type { AlertHistoryRow } from "@/mgmt/store/alerts.ts";
import type { Page } from "@/mgmt/views/page.ts";
import { Badge, DateTime, Empty, Facts, LevelIcon, Panel, Table } from "@/mgmt/views/parts.tsx";

const LEVEL_OF: Readonly<Record<Severity, Level>> = {
  critical: "critical",
  error: "critical",
  warning: "warning",
  info: "idle",
};

const SEVERITIES: readonly Severity[] = ["critical", "error", "warning", "info"];
const ACTION_WORDS: Readonly<Record<AlertAction, string>> = {
  acknowledge: "Acknowledge",
  suppress: "Suppress",
  resolve: "Resolve",
};

/** Alerts, worst first; `mayAct` shows what one can do about them. */
export function AlertList(
  { alerts, mayAct = false }: { readonly alerts: readonly Alert[]; readonly mayAct?: boolean },
) {
  return (
    <ul class="alerts">
      {alerts.map((alert) => (
        <li key={alert.alertId} data-key={alert.alertId} class={`state-${alert.state}`}>
          <LevelIcon level={alert.state === "resolved" ? "ok" : LEVEL_OF[alert.severity]} />
          <span>
            <a href={`/alerts/${alert.alertId}`}>
              <strong>{alert.source}</strong>
            </a>{" "}
            {alert.message}
            <span class="quiet line">
              {alert.severity}, {stateText(alert)}, raised <DateTime atMs={alert.raisedAtMs} />
            </span>
          </span>
          {mayAct && <ActionButtons alert={alert} />}
        </li>
      ))}
    </ul>
  );
}

/** Buttons of the page's one form `act`, so that a list which updates itself needs no token. */
function ActionButtons({ alert }: { readonly alert: Alert }) {
  const actions = actionsIn(alert.state).filter((action) => action !== "suppress");
  if (actions.length === 0) return null;
  return (
    <span class="row-actions">
      {actions.map((action) => (
        <button
          type="submit"
          form="act"
          class="small"
          key={action}
          formaction={`/alerts/${action}/${alert.alertId}`}
        >
          {ACTION_WORDS[action]}
          <span class="visually-hidden">{` the alert about ${alert.source}`}</span>
        </button>
      ))}
    </span>
  );
}

function stateText({ state, acknowledgedBy, resolvedBy }: Alert): string {
  if (state === "acknowledged" && acknowledgedBy !== null) return `acknowledged by ${acknowledgedBy}`;
  if (state === "resolved") {
    return resolvedBy === BY_ITSELF ? "resolved by itself" : `resolved by ${resolvedBy ?? "somebody"}`;
  }
  return state;
}

/** The page of alerts: those that are not resolved, or those that pass a filter. */
export function alertsPage(
  facts: {
    readonly open: readonly Alert[];
    /** What the filter finds; undefined without one. */
    readonly found: readonly Alert[] | undefined;
    readonly filter: AlertFilter;
    /** Categories that occur. */
    readonly categories: readonly string[];
    readonly mayAct: boolean;
  },
): Page {
  const { open, found, filter, categories, mayAct } = facts;
  const shown = found ?? open;
  return {
    title: "Alerts",
    actions: [{ title: "Raise an alert", href: "/alerts/create" }, { title: "Rules", href: "/alerts/rules" }],
    sections: [
      { name: "alert-counts", content: <Counts alerts={open} /> },
      { name: "alert-filter", content: <Filter filter={filter} categories={categories} /> },
      {
        name: "all-alerts",
        content: shown.length === 0
          ? (
            <Empty title={found ? "No alert fits." : "No alerts."}>
              {found
                ? (
                  <p>
                    <a href="/alerts">All open alerts</a>
                  </p>
                )
                : <p>Silent processes, failed devices, missing copies and full pools would be listed here.</p>}
            </Empty>
          )
          : (
            <Panel title={found ? `Found: ${shown.length}` : "Open now"} flush>
              <AlertList alerts={shown} mayAct={mayAct} />
            </Panel>
          ),
      },
    ],
  };
}

function Counts({ alerts }: { readonly alerts: readonly Alert[] }) {
  const counts = alertCounts(alerts);
  return (
    <ul class="severity-counts">
      {SEVERITIES.map((severity) => (
        <li key={severity}>
          <a href={`/alerts?severity=${severity}`}>
            <LevelIcon level={counts[severity] === 0 ? "idle" : LEVEL_OF[severity]} />
            <strong>{counts[severity]}</strong> {severity}
          </a>
        </li>
      ))}
    </ul>
  );
}

function Filter({ filter, categories }: { readonly filter: AlertFilter; readonly categories: readonly string[] }) {
  return (
    <form method="get" action="/alerts" class="filter" aria-label="Filter">
      <FilterField name="state" label="State" value={filter.state} choices={ALERT_STATES} />
      <FilterField name="severity" label="Severity" value={filter.severity} choices={SEVERITIES} />
      <FilterField name="category" label="Category" value={filter.category} choices={categories} />
      <div class="field">
        <label for="filter-source">Source</label>
        <input id="filter-source" name="source" value={filter.source ?? ""} autocomplete="off" spellcheck={false} />
      </div>
      <button type="submit">Filter</button>
    </form>
  );
}

function FilterField(
  props: {
    readonly name: string;
    readonly label: string;
    readonly value: string | undefined;
    readonly choices: readonly string[];
  },
) {
  const id = `filter-${props.name}`;
  return (
    <div class="field">
      <label for={id}>{props.label}</label>
      <select id={id} name={props.name}>
        <option value="">any</option>
        {props.choices.map((choice) => (
          <option key={choice} value={choice} selected={choice === props.value}>{choice.replaceAll("_", " ")}</option>
        ))}
      </select>
    </div>
  );
}

/** One alert with everything that happened to it. */
export function alertPage(
  alert: Alert,
  facts: {
    readonly history: readonly AlertHistoryRow[];
    readonly rule: AlertRule | undefined;
    readonly formToken: string;
    readonly mayAct: boolean;
  },
): Page {
  const { history, rule, formToken, mayAct } = facts;
  const actions = mayAct ? actionsIn(alert.state) : [];
  return {
    title: `Alert ${alert.alertId}: ${alert.source}`,
    parent: { title: "Alerts", href: "/alerts" },
    isForm: true,
    sections: [
      {
        name: "facts-panel",
        content: (
          <Panel title={alert.message}>
            <Facts
              facts={{
                Severity: (
                  <Badge
                    badge={{
                      level: alert.state === "resolved" ? "ok" : LEVEL_OF[alert.severity],
                      word: alert.severity,
                    }}
                  />
                ),
                State: stateText(alert),
                ...(alert.suppressedUntilMs !== null &&
                  { "Suppressed until": <DateTime atMs={alert.suppressedUntilMs} /> }),
                Category: alert.category.replaceAll("_", " "),
                Rule: rule ? rule.name : "none",
                Raised: <DateTime atMs={alert.raisedAtMs} />,
                ...(alert.resolvedAtMs !== null && { Resolved: <DateTime atMs={alert.resolvedAtMs} /> }),
              }}
            />
            {actions.length > 0 && (
              <form method="post" class="buttons">
                <input type="hidden" name="form_token" value={formToken} />
                <input type="hidden" name="back" value={`/alerts/${alert.alertId}`} />
                {actions.filter((action) => action !== "suppress").map((action) => (
                  <button
                    type="submit"
                    key={action}
                    class={action === "acknowledge" ? "primary" : ""}
                    formaction={`/alerts/${action}/${alert.alertId}`}
                  >
                    {ACTION_WORDS[action]}
                  </button>
                ))}
                {actions.includes("suppress") && <SuppressFields alertId={alert.alertId} />}
              </form>
            )}
          </Panel>
        ),
      },
      {
        name: "alert-history",
        content: (
          <Panel title="What happened" flush>
            <Table
              caption="History of this alert"
              rows={history.map((row, index) => ({ row, index }))}
              rowKey={({ index }) => index}
              columns={[
                { title: "When", cell: ({ row }) => <DateTime atMs={row.atMs} /> },
                { title: "What", cell: ({ row }) => row.event.replaceAll("_", " ") },
                { title: "Severity", cell: ({ row }) => row.severity },
                { title: "By", cell: ({ row }) => row.actor === BY_ITSELF ? "itself" : row.actor },
                { title: "Note", cell: ({ row }) => row.note, wideOnly: true },
              ]}
            />
          </Panel>
        ),
      },
    ],
  };
}

const SUPPRESS_CHOICES = [
  { hours: "1", label: "for 1 hour" },
  { hours: "8", label: "for 8 hours" },
  { hours: "24", label: "for a day" },
  { hours: "", label: "until it is over" },
];

function SuppressFields({ alertId }: { readonly alertId: number }) {
  return (
    <span class="suppress">
      <label class="visually-hidden" for="suppress-hours">How long to suppress</label>
      <select id="suppress-hours" name="hours">
        {SUPPRESS_CHOICES.map(({ hours, label }) => <option key={hours} value={hours}>{label}</option>)}
      </select>
      <button type="submit" formaction={`/alerts/suppress/${alertId}`}>Suppress</button>
    </span>
  );
}

/** The rules; administrators may change thresholds and switch rules off. */
export function rulesPage(
  rules: readonly AlertRule[],
  facts: { readonly formToken: string; readonly mayChange: boolean },
): Page {
  return {
    title: "Alert rules",
    parent: { title: "Alerts", href: "/alerts" },
    isForm: true,
    sections: [{
      name: "rules",
      content: (
        <Panel
          title="Rules"
          note="An alert is raised when a figure is over its threshold as often in a row as the rule says, and resolves by itself"
          flush
        >
          <Table
            caption="Alert rules"
            rows={rules}
            rowKey={(rule) => rule.ruleId}
            columns={[
              { title: "Rule", cell: (rule) => rule.name },
              {
                title: "Severity",
                cell: (rule) => <Badge badge={{ level: LEVEL_OF[rule.severity], word: rule.severity }} />,
              },
              {
                title: "Figure",
                cell: (rule) => `${rule.sourceType} ${rule.metric.replaceAll("_", " ")}`,
                wideOnly: true,
              },
              {
                title: "Looked at",
                wideOnly: true,
                cell: (rule) => `every ${formatDuration(rule.everyMs)}, ${rule.consecutive} in a row`,
              },
              {
                title: "Over",
                cell: (rule) => facts.mayChange ? <RuleForm rule={rule} formToken={facts.formToken} /> : ruleText(rule),
              },
            ]}
          />
        </Panel>
      ),
    }],
  };
}

function ruleText({ threshold, isActive }: AlertRule): string {
  return `${threshold}${isActive ? "" : ", switched off"}`;
}

function RuleForm({ rule, formToken }: { readonly rule: AlertRule; readonly formToken: string }) {
  return (
    <form method="post" action={`/alerts/rules/${rule.ruleId}`} class="rule-form">
      <input type="hidden" name="form_token" value={formToken} />
      <input
        type="number"
        name="threshold"
        value={rule.threshold}
        step="any"
        min="0"
        aria-label={`Threshold of ${rule.name}`}
      />
      <label>
        <input type="checkbox" name="is_active" value="1" checked={rule.isActive} />
        on<span class="visually-hidden">: {rule.name}</span>
      </label>
      <button type="submit" class="small">
        Save<span class="visually-hidden">{rule.name}</span>
      </button>
    </form>
  );
}
