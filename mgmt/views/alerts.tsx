/**
 * Alerts: the list on the overview and the page of all.
 *
 * @module
 */
import type { Overview, Severity } from "@/shared/api/overview.ts";
import { type Alert, alertsOf } from "@/mgmt/core/alerts.ts";
import type { ClusterView } from "@/mgmt/core/cluster_view.ts";
import type { Level } from "@/mgmt/core/condition.ts";
import type { Page } from "@/mgmt/views/page.ts";
import { ClockTime, Empty, LevelIcon, Panel } from "@/mgmt/views/parts.tsx";

const LEVEL_OF: Readonly<Record<Severity, Level>> = {
  critical: "critical",
  error: "critical",
  warning: "warning",
  info: "idle",
};

/** Alerts, worst first. */
export function AlertList({ alerts }: { readonly alerts: readonly Alert[] }) {
  return (
    <ul class="alerts">
      {alerts.map((alert) => (
        <li key={alert.key} data-key={alert.key}>
          <LevelIcon level={LEVEL_OF[alert.severity]} />
          <span>
            <strong>{alert.subject}</strong> {alert.message}
          </span>
          <span class="quiet">
            {alert.severity}
            {alert.sinceMs !== undefined && (
              <>
                {" "}since <ClockTime atMs={alert.sinceMs} />
              </>
            )}
          </span>
        </li>
      ))}
    </ul>
  );
}

/** The page of all alerts. */
export function alertsPage(overview: Overview, view: ClusterView): Page {
  const alerts = contactAlerts(view).concat(alertsOf(overview));
  return {
    title: "Alerts",
    sections: [{
      name: "all-alerts",
      content: alerts.length === 0
        ? (
          <Empty title="No alerts.">
            <p>Silent processes, failed devices, missing copies and full pools would be listed here.</p>
          </Empty>
        )
        : (
          <Panel title="Active now" flush>
            <AlertList alerts={alerts} />
          </Panel>
        ),
    }],
  };
}

/** The alert that only MGMT can raise. */
export function contactAlerts({ contact, mdmUrl }: ClusterView): readonly Alert[] {
  if (contact.kind !== "lost") return [];
  return [{
    key: "mdm_unreachable",
    severity: "critical",
    subject: "MDM",
    message: `It does not answer at ${mdmUrl}: ${contact.reason}. Reads and writes go on without it; changes do not`,
    sinceMs: contact.sinceMs,
  }];
}
