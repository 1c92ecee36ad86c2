/**
 * The pages that show the cluster, and the stream of events that keeps an open page up to date: each poll, the sections that
 * changed are sent as markup.
 *
 * | event | data |
 * | --- | --- |
 * | `update` | JSON: `title`, `order` (names of the page's sections), `sections` (markup by name, changed ones), `state` and `announce` |
 * | `signed_out` | none: the session ended |
 *
 * @module
 */
import { Hono } from "hono";
import { streamSSE } from "hono/streaming";
import { StorageError } from "@/shared/errors.ts";
import { stoppingSignal } from "@/shared/http/serve.ts";
import { hasRole } from "@/mgmt/core/roles.ts";
import { alertListPage } from "@/mgmt/pages/alerts.ts";
import { clusterPage } from "@/mgmt/pages/cluster_page.ts";
import { localPath, type MgmtParts, Visit } from "@/mgmt/pages/context.ts";
import { announcement, renderSections } from "@/mgmt/views/frame.tsx";
import type { Page } from "@/mgmt/views/page.ts";

/** Paths that are shown without login under `POWERFLEX_AUTH=open`. */
const OPEN_PATHS: readonly string[] = ["/health", "/alerts"];

/** True if `path` needs no login. */
export function isOpen(path: string, parts: Pick<MgmtParts, "auth">): boolean {
  return parts.auth === "open" && (OPEN_PATHS.includes(path) || path.startsWith("/health/"));
}

/** The routes. */
export function liveRoutes(parts: MgmtParts): Hono {
  const routes = new Hono();
  for (
    const path of [
      "/",
      "/topology",
      "/rebuild",
      "/pd",
      "/pd/:id",
      "/sds",
      "/sds/:id",
      "/pool",
      "/pool/:id",
      "/volume",
      "/volume/:id",
      "/sdc",
      "/sdc/:id",
      "/discovery",
    ]
  ) {
    routes.get(path, (c, next) => {
      const page = clusterPage(c.req.path, parts.poller.view());
      return page ? Promise.resolve(new Visit(c, parts).show(page)) : next();
    });
  }
  routes.get("/events", (c) => {
    const path = localPath(c.req.query("page"));
    const visit = new Visit(c, parts);
    const allowed = () =>
      isOpen(path.split("?")[0]!, parts) || visit.signedIn({ touch: false })?.user.mustChangePassword === false;
    if (!allowed()) throw new StorageError("unauthorized", "Cannot stream events: nobody is signed in");
    const pageAt = (pathAndQuery: string): Page => {
      const url = new URL(pathAndQuery, "http://localhost");
      if (url.pathname !== "/alerts") {
        return clusterPage(url.pathname, parts.poller.view()) ?? { title: "", sections: [] };
      }
      const role = visit.signedIn({ touch: false })?.user.role ?? "viewer";
      return alertListPage(parts, Object.fromEntries(url.searchParams), hasRole(role, "operator"));
    };
    const turns = new Turns();
    const unwatch = parts.poller.watch(() => turns.next());
    if (!unwatch) throw new StorageError("too_busy", "Cannot stream events: too many pages are open already");
    const stopping = stoppingSignal(c);
    const end = () => turns.end();
    stopping.addEventListener("abort", end, { once: true });
    parts.metrics.watchers.inc();
    c.header("Cache-Control", "no-store");
    return streamSSE(c, async (stream) => {
      stream.onAbort(end);
      try {
        const differences = new Differences();
        do {
          if (!allowed()) {
            await stream.writeSSE({ event: "signed_out", data: "" });
            break;
          }
          const view = parts.poller.view();
          const page = pageAt(path);
          const { key, text } = announcement(view);
          const update = {
            title: page.title,
            order: page.sections.map(({ name }) => name),
            sections: differences.since(renderSections(page, view)),
            state: key,
            announce: text,
          };
          await stream.writeSSE({ event: "update", data: JSON.stringify(update) });
        } while (!stopping.aborted && !stream.aborted && await turns.wait());
      } finally {
        unwatch();
        stopping.removeEventListener("abort", end);
        parts.metrics.watchers.dec();
      }
    });
  });
  return routes;
}

/** What changed since the last time it was asked. */
class Differences {
  #sent: ReadonlyMap<string, string> = new Map();

  since(sections: ReadonlyMap<string, string>): Record<string, string> {
    const changed = [...sections].filter(([name, markup]) => this.#sent.get(name) !== markup);
    this.#sent = sections;
    return Object.fromEntries(changed);
  }
}

/** Turns that a slow reader may miss: several while it is busy count as one. */
class Turns {
  #due = false;
  #ended = false;
  #wake: (() => void) | undefined;

  next(): void {
    this.#due = true;
    this.#wake?.();
  }

  end(): void {
    this.#ended = true;
    this.#wake?.();
  }

  /** Resolves with true at the next turn, with false at the end. */
  async wait(): Promise<boolean> {
    if (!this.#due && !this.#ended) await new Promise<void>((resolve) => this.#wake = resolve);
    this.#wake = undefined;
    this.#due = false;
    return !this.#ended;
  }
}
