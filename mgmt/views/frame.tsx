/**
 * The frame around every page: head, navigation, contact line, sections, and who is signed in.
 *
 * @module
 */
import { type ComponentChildren, Fragment } from "preact";
import { renderToString } from "preact-render-to-string";
import type { ClusterView } from "@/mgmt/core/cluster_view.ts";
import { alertCounts } from "@/mgmt/core/alerts.ts";
import { hasRole } from "@/mgmt/core/roles.ts";
import { clusterSentence } from "@/mgmt/core/sentence.ts";
import { formatDuration } from "@/mgmt/core/format.ts";
import { ASSET_URLS } from "@/mgmt/assets.ts";
import type { FrameFacts, Page, Section, Theme } from "@/mgmt/views/page.ts";
import { ClockTime, LevelIcon } from "@/mgmt/views/parts.tsx";

const NAVIGATION = [
  { href: "/", title: "Overview" },
  { href: "/topology", title: "Topology" },
  { href: "/pd", title: "Protection domains" },
  { href: "/sds", title: "Storage servers" },
  { href: "/pool", title: "Pools" },
  { href: "/volume", title: "Volumes" },
  { href: "/sdc", title: "Clients" },
  { href: "/metrics", title: "Performance" },
  { href: "/rebuild", title: "Rebuild" },
  { href: "/alerts", title: "Alerts" },
  { href: "/discovery", title: "Discovery" },
] as const;

/** The whole document of `page`. */
export function renderPage(page: Page, facts: FrameFacts): string {
  const { view, signedIn } = facts;
  const path = facts.path.split("?")[0]!;
  const clusterName = view.snapshot?.overview.clusterName;
  return document(
    { title: [page.title, clusterName].filter(Boolean).join(" · "), theme: facts.theme, live: page.isForm !== true },
    (
      <div class="frame">
        <header class="side">
          <a class="brand" href="/">
            <Logo />
            <span>
              PowerFlex Demo
              {clusterName !== undefined && <small>{clusterName}</small>}
            </span>
          </a>
          <nav aria-label="Pages">
            <ul>
              {NAVIGATION.map((item) => (
                <li key={item.href}>
                  <a href={item.href} aria-current={isCurrent(item.href, path) ? "page" : undefined}>
                    {item.title}
                    {item.href === "/alerts" && <span data-live="alert-count">{alertCountSection(view).content}</span>}
                  </a>
                </li>
              ))}
            </ul>
          </nav>
          <div class="foot">
            <ThemeChoice theme={facts.theme} formToken={facts.formToken} path={facts.path} />
            {signedIn
              ? (
                <div class="who">
                  <a href="/account" aria-current={path === "/account" ? "page" : undefined}>{signedIn.user.name}</a>
                  {signedIn.user.role === "admin" && (
                    <>
                      <a href="/audit" aria-current={path === "/audit" ? "page" : undefined}>Audit log</a>
                      <a href="/settings" aria-current={path === "/settings" ? "page" : undefined}>Settings</a>
                    </>
                  )}
                  <form method="post" action="/sign-out">
                    <input type="hidden" name="form_token" value={facts.formToken} />
                    <button type="submit" class="link">Sign out</button>
                  </form>
                </div>
              )
              : (
                <div class="who">
                  <a href="/sign-in">Sign in</a>
                </div>
              )}
          </div>
        </header>
        <main id="main" tabindex={-1} data-events={eventsUrl(facts.path)}>
          <div class="title">
            {page.parent && (
              <p class="parent">
                <a href={page.parent.href}>{page.parent.title}</a>
              </p>
            )}
            <h1>{page.title}</h1>
            <Actions page={page} facts={facts} />
            <div data-live="contact">{contactSection(view).content}</div>
          </div>
          {facts.done !== undefined && <p class="done" role="status">{facts.done}</p>}
          {mayChange(facts) && (
            <form id="act" method="post" hidden>
              <input type="hidden" name="form_token" value={facts.formToken} />
            </form>
          )}
          <div class="sections">
            {page.sections.map((section) => (
              <div key={section.name} class="section" data-live={section.name}>{section.content}</div>
            ))}
          </div>
        </main>
      </div>
    ),
  );
}

/** What one can do here, for those who may. */
function Actions({ page, facts }: { readonly page: Page; readonly facts: FrameFacts }) {
  if (!page.actions || page.actions.length === 0 || !mayChange(facts)) return null;
  return (
    <div class="actions">
      {page.actions.map(({ title, href, isPrimary }) => (
        <a key={href} href={href} class={isPrimary ? "button primary" : "button"}>{title}</a>
      ))}
    </div>
  );
}

function mayChange({ signedIn }: FrameFacts): boolean {
  return signedIn !== undefined && hasRole(signedIn.user.role, "operator");
}

/** Sections of `page` and its frame as markup, by name: what the stream of events sends. */
export function renderSections(page: Page, view: ClusterView): ReadonlyMap<string, string> {
  const sections = [contactSection(view), alertCountSection(view), ...page.sections];
  return new Map(sections.map((section) => [section.name, renderToString(<Fragment>{section.content}</Fragment>)]));
}

/** A document without the frame: sign-in, password, errors before sign-in. */
export function renderPlain(
  options: { readonly title: string; readonly theme: Theme },
  content: ComponentChildren,
): string {
  return document(
    { ...options, live: false },
    (
      <main id="main" tabindex={-1} class="plain">
        <div class="plain-brand">
          <Logo />
          <span>PowerFlex Demo</span>
        </div>
        {content}
      </main>
    ),
  );
}

/** What MGMT knows of its own contact to the MDM; the browser adds its own contact to MGMT. */
function contactSection({ contact, snapshot, nowMs, mdmUrl }: ClusterView): Section {
  if (contact.kind === "lost" && snapshot) {
    return {
      name: "contact",
      content: (
        <p class="contact lost">
          <LevelIcon level="critical" />
          <span>
            MGMT lost contact with the MDM {formatDuration(nowMs - contact.sinceMs)} ago; figures below are from{" "}
            <ClockTime atMs={snapshot.takenAtMs} />. It asks {mdmUrl} again and again ({contact.attemptCount} tries,
            {" "}
            {contact.reason}).
          </span>
        </p>
      ),
    };
  }
  if (!snapshot) return { name: "contact", content: null };
  return {
    name: "contact",
    content: (
      <p class="contact">
        <span class="pulse" aria-hidden="true" />
        As of <ClockTime atMs={snapshot.takenAtMs} />
      </p>
    ),
  };
}

function alertCountSection({ alerts }: ClusterView): Section {
  const counts = alertCounts(alerts);
  const urgent = counts.critical + counts.error;
  const total = urgent + counts.warning + counts.info;
  return {
    name: "alert-count",
    content: total === 0 ? null : (
      <span class={urgent > 0 ? "count urgent" : "count"}>
        {total}
        <span class="visually-hidden">{total === 1 ? " open alert" : " open alerts"}</span>
      </span>
    ),
  };
}

/** What screen readers hear when the state changes. */
export function announcement(view: ClusterView): { readonly key: string; readonly text: string } {
  if (view.contact.kind === "lost") return { key: "mdm_lost", text: "MGMT lost contact with the MDM." };
  if (!view.snapshot) return { key: "no_figures", text: "" };
  const { key, text } = clusterSentence(view.snapshot.overview);
  return { key, text };
}

function eventsUrl(path: string): string {
  return `/events?page=${encodeURIComponent(path)}`;
}

function isCurrent(href: string, path: string): boolean {
  return href === "/" ? path === "/" : path === href || path.startsWith(`${href}/`);
}

function ThemeChoice(props: { readonly theme: Theme; readonly formToken: string; readonly path: string }) {
  const choices: readonly (readonly [Theme, string])[] = [["auto", "Auto"], ["light", "Light"], ["dark", "Dark"]];
  return (
    <form method="post" action="/theme" class="theme" aria-label="Colours" data-theme-form>
      <input type="hidden" name="form_token" value={props.formToken} />
      <input type="hidden" name="back" value={props.path} />
      {choices.map(([value, title]) => (
        <button type="submit" name="theme" value={value} key={value} aria-pressed={value === props.theme}>
          {title}
        </button>
      ))}
    </form>
  );
}

function Logo() {
  return (
    <svg class="logo" viewBox="0 0 32 32" aria-hidden="true">
      <path class="a" d="M16 2l12 6.5-12 6.5L4 8.5z" />
      <path class="b" d="M4 14.2l12 6.5 12-6.5v3.6l-12 6.5-12-6.5z" />
      <path class="c" d="M4 21.4l12 6.5 12-6.5V25l-12 6.5L4 25z" />
    </svg>
  );
}

function document(
  head: { readonly title: string; readonly theme: Theme; readonly live: boolean },
  body: ComponentChildren,
): string {
  const html = renderToString(
    <html lang="en" data-theme={head.theme}>
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <meta name="color-scheme" content={head.theme === "auto" ? "light dark" : head.theme} />
        <title>{`${head.title} · PowerFlex Demo`}</title>
        <link rel="stylesheet" href={ASSET_URLS.style} />
        <link rel="icon" type="image/svg+xml" href={ASSET_URLS.icon} />
        <script type="module" src={ASSET_URLS.script} />
        {head.live && (
          <noscript>
            <meta http-equiv="refresh" content="10" />
          </noscript>
        )}
      </head>
      <body>
        <a class="skip" href="#main">Skip to content</a>
        {body}
        <p id="announce" class="visually-hidden" role="status" />
      </body>
    </html>,
  );
  return `<!doctype html>${html}`;
}
