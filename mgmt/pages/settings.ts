/**
 * `/settings`: how long things are kept, clean-up and backup, for administrators.
 *
 * @module
 */
import { type Context, Hono } from "hono";
import { z } from "zod";
import { counted } from "@/mgmt/core/format.ts";
import { type MgmtParts, requireRole, Visit, wantsPage } from "@/mgmt/pages/context.ts";
import { CONFIG_KEYS, type ConfigKey } from "@/mgmt/store/config.ts";
import { settingsPage } from "@/mgmt/views/settings.tsx";

const KEYS = Object.keys(CONFIG_KEYS) as ConfigKey[]; // the keys of a constant

const valueSchema = (key: ConfigKey) => {
  const { min, max } = CONFIG_KEYS[key];
  const range = `Write a whole number from ${min} to ${max}.`;
  return z.string(range).trim().regex(/^\d{1,6}$/, range).transform(Number).pipe(
    z.number().min(min, range).max(max, range),
  );
};

/** The routes. */
export function settingsRoutes(parts: MgmtParts): Hono {
  const routes = new Hono();
  const show = (c: Context, facts: {
    readonly values?: Partial<Record<ConfigKey, string>>;
    readonly errors?: Readonly<Record<string, string>>;
    readonly report?: string;
  }) => {
    const visit = new Visit(c, parts);
    const kept = KEYS.map((key) => [key, facts.values?.[key] ?? String(parts.store.config.get(key))]);
    const page = settingsPage({
      values: Object.fromEntries(kept) as Record<ConfigKey, string>, // one entry per key
      errors: facts.errors ?? {},
      formToken: visit.formToken(),
      fixed: { "Address of the MDM": parts.poller.view().mdmUrl, "Port of these pages": String(parts.guiPort) },
      report: facts.report,
    });
    return visit.show({ ...page, status: facts.errors ? 422 : 200 });
  };
  routes.get("/settings", (c) => {
    requireRole(c, parts, "admin");
    if (wantsPage(c)) return show(c, {});
    return c.json(Object.fromEntries(KEYS.map((key) => [key, parts.store.config.get(key)])));
  });
  routes.post("/settings", async (c) => {
    const { user } = requireRole(c, parts, "admin");
    const form = await c.req.parseBody();
    const parsed = z.object({
      monitoring_retention_days: valueSchema("monitoring_retention_days"),
      resolved_alerts_retention_days: valueSchema("resolved_alerts_retention_days"),
    }).safeParse(form);
    if (!parsed.success) {
      if (!wantsPage(c)) throw parsed.error;
      const errors = Object.fromEntries(parsed.error.issues.map(({ path, message }) => [path.join("."), message]));
      return show(c, { values: Object.fromEntries(KEYS.map((key) => [key, String(form[key] ?? "")])), errors });
    }
    for (const key of KEYS) {
      if (parts.store.config.get(key) === parsed.data[key]) continue;
      parts.store.config.set(key, parsed.data[key], { nowMs: parts.clock.wallMs(), by: user.name });
      const detail = `${key} = ${parsed.data[key]}`;
      parts.signIn.audit(user.name, "config_changed", { origin: new Visit(c, parts).origin(), detail });
    }
    return wantsPage(c) ? c.redirect("/settings?done=config_changed", 303) : c.json(parsed.data);
  });
  routes.post("/settings/clean-up", (c) => {
    const { user } = requireRole(c, parts, "admin");
    const { snapshots, resolvedAlerts, freePages } = parts.housekeeping.cleanUp();
    const report = `Removed ${counted(snapshots, "figure")} and ${counted(resolvedAlerts, "resolved alert")}; ` +
      `${counted(freePages, "page")} of the file are free.`;
    parts.signIn.audit(user.name, "clean_up", { origin: new Visit(c, parts).origin(), detail: report });
    return wantsPage(c)
      ? show(c, { report })
      : c.json({ snapshots, resolved_alerts: resolvedAlerts, free_pages: freePages });
  });
  routes.post("/settings/backup", async (c) => {
    const { user } = requireRole(c, parts, "admin");
    const path = await parts.housekeeping.backup();
    parts.signIn.audit(user.name, "backup_made", { origin: new Visit(c, parts).origin(), detail: path });
    return wantsPage(c) ? show(c, { report: `Written to ${path}.` }) : c.json({ path });
  });
  return routes;
}
