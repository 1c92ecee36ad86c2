/**
 * `/alerts`: what is open, what was, and what people do about it; and the rules. Under `POWERFLEX_AUTH=open` the list is shown
 * without login; nothing can be changed without one.
 *
 * @module
 */
import { type Context, Hono } from "hono";
import { z } from "zod";
import { severitySchema } from "@/shared/api/overview.ts";
import { StorageError } from "@/shared/errors.ts";
import { parseParams, parseQuery } from "@/shared/http/body.ts";
import type { FormText } from "@/mgmt/changes/change.ts";
import { type Alert, ALERT_STATES, type AlertAction, type AlertFilter } from "@/mgmt/core/alerts.ts";
import { hasRole } from "@/mgmt/core/roles.ts";
import { localPath, type MgmtParts, requireRole, Visit, wantsPage } from "@/mgmt/pages/context.ts";
import type { AuditAction } from "@/mgmt/store/audit_log.ts";
import { alertPage, alertsPage, rulesPage } from "@/mgmt/views/alerts.tsx";
import { type FormOutcome, formPage } from "@/mgmt/views/forms.tsx";
import type { Page } from "@/mgmt/views/page.ts";

const AUDIT_OF: Readonly<Record<AlertAction, AuditAction>> = {
  acknowledge: "alert_acknowledged",
  suppress: "alert_suppressed",
  resolve: "alert_resolved",
};
const HOUR_MS = 3_600_000;

const anyOr = <Schema extends z.ZodType>(schema: Schema) =>
  z.union([z.literal("").transform(() => undefined), schema]).optional();
const filterSchema = z.object({
  state: anyOr(z.enum(ALERT_STATES)),
  severity: anyOr(severitySchema),
  category: anyOr(z.string().max(64)),
  source: anyOr(z.string().trim().max(128)),
});
const idParams = z.object({ id: z.coerce.number().int().positive() });
const hoursSchema = z.union([z.literal(""), z.coerce.number().positive().max(720)]).default("");
const ruleSchema = z.object({
  threshold: z.coerce.number("Write a number").min(0).max(1e9),
  is_active: z.literal("1").optional(),
});
const raiseSchema = z.object({
  severity: severitySchema,
  source: z.string().trim().min(1, "Say what it is about.").max(128, "At most 128 characters."),
  message: z.string().trim().min(1, "Say what is wrong.").max(500, "At most 500 characters."),
});

/** The filter in a query. @throws {z.ZodError} for words that no alert has. */
export function alertFilterOf(query: Readonly<Record<string, string>>): AlertFilter | undefined {
  const parsed = filterSchema.parse(query);
  const given = Object.entries(parsed).filter(([, value]) => value !== undefined && value !== "");
  return given.length === 0 ? undefined : Object.fromEntries(given) as AlertFilter; // the schema's own fields
}

/** The page of alerts under `query`. */
export function alertListPage(parts: MgmtParts, query: Readonly<Record<string, string>>, mayAct: boolean): Page {
  const open = parts.alerts.open();
  const filter = alertFilterOf(query);
  const found = filter && parts.store.alerts.list(filter);
  const categories = [...new Set([...parts.store.alertRules.all().map(({ condition }) => condition), "mdm", "manual"])];
  return alertsPage({ open, found, filter: filter ?? {}, categories, mayAct });
}

/** The routes. */
export function alertRoutes(parts: MgmtParts): Hono {
  const routes = new Hono();
  const mayAct = (c: Context) =>
    hasRole(new Visit(c, parts).signedIn({ touch: false })?.user.role ?? "viewer", "operator");
  routes.get("/alerts", (c) => {
    if (wantsPage(c)) return new Visit(c, parts).show(alertListPage(parts, c.req.query(), mayAct(c)));
    const filter = alertFilterOf(parseQuery(c, filterSchema.transform(() => c.req.query())));
    return c.json((filter ? parts.store.alerts.list(filter) : parts.alerts.open()).map(alertJson));
  });
  routes.get("/alerts/rules", (c) => {
    const { user, formToken } = requireRole(c, parts, "viewer");
    const rules = parts.store.alertRules.all();
    if (!wantsPage(c)) return c.json(rules);
    return new Visit(c, parts).show(rulesPage(rules, { formToken, mayChange: hasRole(user.role, "admin") }));
  });
  routes.post("/alerts/rules/:id{[0-9]+}", async (c) => {
    const { user } = requireRole(c, parts, "admin");
    const { id } = parseParams(c, idParams);
    const { threshold, is_active } = ruleSchema.parse(await c.req.parseBody());
    if (!parts.store.alertRules.change(id, { threshold, isActive: is_active === "1" })) {
      throw new StorageError("not_found", `Cannot change rule ${id}: there is none with this number`);
    }
    parts.alerts.reloadRules();
    const detail = `alert rule ${id}: over ${threshold}, ${is_active === "1" ? "on" : "off"}`;
    parts.signIn.audit(user.name, "config_changed", { origin: new Visit(c, parts).origin(), detail });
    return c.redirect("/alerts/rules?done=rule_changed", 303);
  });
  addRaising(routes, parts);
  for (const action of ["acknowledge", "suppress", "resolve"] as const) {
    routes.post(`/alerts/${action}/:id{[0-9]+}`, (c) => act(c, parts, action));
  }
  routes.get("/alerts/:id{[0-9]+}", (c) => {
    requireRole(c, parts, "viewer");
    const { id } = parseParams(c, idParams);
    const alert = parts.alerts.open().find(({ alertId }) => alertId === id) ?? parts.store.alerts.byId(id);
    if (!alert) throw new StorageError("not_found", `There is no alert ${id}: it was removed, or never raised`);
    const history = parts.store.alerts.history(id);
    if (!wantsPage(c)) return c.json({ ...alertJson(alert), history });
    const rule = parts.store.alertRules.all().find(({ ruleId }) => ruleId === alert.ruleId);
    const visit = new Visit(c, parts);
    return visit.show(alertPage(alert, { history, rule, formToken: visit.formToken(), mayAct: mayAct(c) }));
  });
  return routes;
}

async function act(c: Context, parts: MgmtParts, action: AlertAction): Promise<Response> {
  const { user } = requireRole(c, parts, "operator");
  const { id } = parseParams(c, idParams);
  const form = await c.req.parseBody();
  const hours = action === "suppress" ? hoursSchema.parse(form["hours"]) : "";
  const alert = parts.alerts.act(id, { action, by: user.name, forMs: hours === "" ? null : hours * HOUR_MS });
  parts.signIn.audit(user.name, AUDIT_OF[action], {
    origin: new Visit(c, parts).origin(),
    detail: `alert ${id} about ${alert.source}${hours === "" ? "" : ` for ${hours} h`}`,
  });
  if (!wantsPage(c)) return c.json({ status: alert.state, id });
  const back = localPath(form["back"]);
  return c.redirect(`${back === "/" ? "/alerts" : back}?done=alert_changed`, 303);
}

const RAISE_FORM: FormText = {
  title: "Raise an alert",
  parent: { title: "Alerts", href: "/alerts" },
  about: "For what no rule sees, such as work on a rack. It stays until somebody resolves it.",
  fields: [
    {
      name: "severity",
      label: "Severity",
      kind: "select",
      value: "warning",
      choices: severitySchema.options.map((severity) => ({ value: severity, label: severity })),
    },
    { name: "source", label: "About", kind: "text", value: "", hint: "Such as sds-2 or rack-1." },
    { name: "message", label: "What is wrong", kind: "area", value: "" },
  ],
  submit: "Raise alert",
  subject: "",
};

function addRaising(routes: Hono, parts: MgmtParts): void {
  const show = (c: Context, outcome: FormOutcome | undefined, status = 200) => {
    const visit = new Visit(c, parts);
    return visit.show({
      ...formPage(RAISE_FORM, { action: c.req.path, formToken: visit.formToken(), outcome }),
      status,
    });
  };
  routes.get("/alerts/create", (c) => {
    requireRole(c, parts, "operator");
    return show(c, undefined);
  });
  routes.post("/alerts/create", async (c) => {
    const { user } = requireRole(c, parts, "operator");
    const form = await c.req.parseBody();
    const parsed = raiseSchema.safeParse(form);
    if (!parsed.success) {
      if (!wantsPage(c)) throw parsed.error;
      const errors = Object.fromEntries(parsed.error.issues.map(({ path, message }) => [path.join("."), message]));
      const values = Object.fromEntries(Object.entries(form).map(([name, value]) => [name, String(value)]));
      return show(c, { values, errors, problem: undefined }, 422);
    }
    const alertId = parts.alerts.raiseByHand(parsed.data, user.name);
    const detail = `alert ${alertId} about ${parsed.data.source}`;
    parts.signIn.audit(user.name, "alert_raised", { origin: new Visit(c, parts).origin(), detail });
    return wantsPage(c) ? c.redirect("/alerts?done=alert_raised", 303) : c.json({ id: alertId, status: "active" });
  });
}

function alertJson(alert: Alert) {
  const time = (atMs: number | null) => atMs === null ? null : new Date(atMs).toISOString();
  return {
    id: alert.alertId,
    severity: alert.severity,
    category: alert.category,
    source: alert.source,
    message: alert.message,
    state: alert.state,
    since: time(alert.raisedAtMs),
    acknowledged_by: alert.acknowledgedBy,
    suppressed_until: time(alert.suppressedUntilMs),
    resolved_at: time(alert.resolvedAtMs),
    resolved_by: alert.resolvedBy,
  };
}
