// deno-lint-ignore-file powerflex/use-ports -- this runs in browsers, whose clock is the only one
// @ts-check
/// <reference lib="dom" />
/// <reference lib="dom.iterable" />
/**
 * Keeps an open page up to date. The server sends changed sections as markup (mgmt/pages/live.ts); this file puts them in place
 * by changing only what differs, so that focus, selection and scroll stay. Beside that: colours without a reload, copy buttons,
 * and times in the reader's zone.
 *
 * @module
 */

/** Silence of the server after which the page says so; it sends something each second. */
const SILENT_AFTER_MS = 6_000;
/** Wait before the stream is opened again after the server refused it. */
const RETRY_MS = 3_000;

const main = document.getElementById("main");
const announcer = document.getElementById("announce");

/**
 * Makes `target` look like `source`, keeping every node that can stay.
 * @param {Element} target
 * @param {Element} source
 */
function morph(target, source) {
  morphAttributes(target, source);
  const kept = keyedChildren(target);
  /** @type {ChildNode | null} */
  let cursor = target.firstChild;
  for (const wanted of [...source.childNodes]) {
    const found = matching(wanted, cursor, kept);
    if (!found) {
      target.insertBefore(wanted, cursor);
      continue;
    }
    if (found === cursor) cursor = cursor.nextSibling;
    else target.insertBefore(found, cursor);
    if (found instanceof Element && wanted instanceof Element) morph(found, wanted);
    else if (found.nodeValue !== wanted.nodeValue) found.nodeValue = wanted.nodeValue;
  }
  while (cursor) {
    const next = cursor.nextSibling;
    cursor.remove();
    cursor = next;
  }
}

/**
 * The node of the page that can become `wanted`: the one with its key, else the next one of its kind.
 * @param {ChildNode} wanted
 * @param {ChildNode | null} cursor
 * @param {Map<string, Element>} kept
 */
function matching(wanted, cursor, kept) {
  const key = keyOf(wanted);
  if (key !== undefined) {
    const found = kept.get(key);
    return found?.nodeName === wanted.nodeName ? found : undefined;
  }
  return cursor && cursor.nodeName === wanted.nodeName && keyOf(cursor) === undefined ? cursor : undefined;
}

/** @param {Element} parent */
function keyedChildren(parent) {
  /** @type {Map<string, Element>} */
  const children = new Map();
  for (const child of parent.children) {
    const key = keyOf(child);
    if (key !== undefined) children.set(key, child);
  }
  return children;
}

/** @param {Node} node */
function keyOf(node) {
  return node instanceof Element ? node.getAttribute("data-key") ?? undefined : undefined;
}

/**
 * @param {Element} target
 * @param {Element} source
 */
function morphAttributes(target, source) {
  for (const { name } of [...target.attributes]) {
    if (!source.hasAttribute(name)) target.removeAttribute(name);
  }
  for (const { name, value } of source.attributes) {
    if (target.getAttribute(name) !== value) target.setAttribute(name, value);
  }
}

/** The page's times in the reader's zone; the server writes UTC. @param {ParentNode} root */
function localiseTimes(root) {
  for (const time of root.querySelectorAll("time[data-show]")) {
    const at = new Date(time.getAttribute("datetime") ?? "");
    if (Number.isNaN(at.getTime())) continue;
    const two = (/** @type {number} */ value) => String(value).padStart(2, "0");
    const clock = `${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`;
    const date = `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}`;
    time.textContent = time.getAttribute("data-show") === "date" ? `${date} ${clock}` : clock;
  }
}

/** @param {ParentNode} root */
function showCopyButtons(root) {
  if (!navigator.clipboard) return;
  for (const button of root.querySelectorAll("button[data-copy]")) button.removeAttribute("hidden");
}

/**
 * Puts one section in place.
 * @param {string} name
 * @param {string} markup
 */
function updateSection(name, markup) {
  const target = document.querySelector(`[data-live="${CSS.escape(name)}"]`);
  if (!target) return;
  const template = document.createElement("template");
  template.innerHTML = markup;
  localiseTimes(template.content);
  showCopyButtons(template.content);
  const source = /** @type {Element} */ (target.cloneNode(false));
  source.append(template.content);
  morph(target, source);
}

/**
 * Makes the page have the sections named, in that order. @param {readonly string[]} names
 */
function orderSections(names) {
  const parent = document.querySelector(".sections");
  if (!parent) return;
  const present = new Map([...parent.children].map((child) => [child.getAttribute("data-live"), child]));
  if (names.length === 0 || [...present.keys()].join() === names.join()) return;
  for (const name of names) {
    let section = present.get(name);
    if (!section) {
      section = document.createElement("div");
      section.className = "section";
      section.setAttribute("data-live", name);
    }
    parent.append(section);
    present.delete(name);
  }
  for (const gone of present.values()) gone.remove();
}

let lastHeardMs = performance.now();
let lastHeardAt = new Date();
/** What was announced last; the first state of a page is not news. @type {string | undefined} */
let announcedState;
/** @type {EventSource | undefined} */
let stream;

/** @param {MessageEvent<string>} event */
function onUpdate(event) {
  const update = JSON.parse(event.data);
  heard();
  const heading = document.querySelector("h1");
  if (update.title && heading && heading.textContent !== update.title) heading.textContent = update.title;
  orderSections(update.order);
  for (const [name, markup] of Object.entries(update.sections)) updateSection(name, markup);
  if (announcedState !== undefined && announcedState !== update.state && announcer) {
    announcer.textContent = update.announce;
  }
  announcedState = update.state;
}

function heard() {
  lastHeardMs = performance.now();
  lastHeardAt = new Date();
  document.getElementById("offline")?.remove();
  document.body.classList.remove("is-offline");
}

/** Says that the server is silent, and for how long. */
function showSilence() {
  const silentMs = performance.now() - lastHeardMs;
  if (!main || document.hidden || silentMs < SILENT_AFTER_MS) return;
  let banner = document.getElementById("offline");
  if (!banner) {
    banner = document.createElement("p");
    banner.id = "offline";
    document.querySelector(".title")?.after(banner);
    document.body.classList.add("is-offline");
    if (announcer) announcer.textContent = "This page lost contact with MGMT.";
  }
  const clock = lastHeardAt.toTimeString().slice(0, 8);
  banner.textContent = `This page lost contact with MGMT ${Math.floor(silentMs / 1000)} s ago; ` +
    `figures below are from ${clock}. It tries again by itself.`;
}

function openStream() {
  const url = main?.dataset["events"];
  if (!url || stream || document.hidden) return;
  const opened = new EventSource(url);
  stream = opened;
  opened.addEventListener("update", onUpdate);
  opened.addEventListener("signed_out", () => {
    closeStream();
    location.href = `/sign-in?next=${encodeURIComponent(location.pathname)}`;
  });
  opened.addEventListener("error", () => {
    // The browser opens a broken stream again; one that was refused stays closed.
    if (opened.readyState !== EventSource.CLOSED || stream !== opened) return;
    closeStream();
    setTimeout(openStream, RETRY_MS);
  });
}

function closeStream() {
  stream?.close();
  stream = undefined;
}

document.addEventListener("visibilitychange", () => {
  // A page that nobody sees needs no polls.
  if (document.hidden) return closeStream();
  lastHeardMs = performance.now();
  openStream();
});
// A page kept for the back button must not hold its stream.
addEventListener("pagehide", closeStream);
addEventListener("pageshow", openStream);

document.addEventListener("click", async (event) => {
  const button = event.target instanceof Element ? event.target.closest("button[data-copy]") : null;
  if (!(button instanceof HTMLButtonElement)) return;
  await navigator.clipboard.writeText(button.dataset["copy"] ?? "");
  button.textContent = "Copied";
  if (announcer) announcer.textContent = "Copied";
  setTimeout(() => button.textContent = "Copy", 2_000);
});

document.addEventListener("submit", async (event) => {
  const { target: form, submitter } = event;
  if (!(form instanceof HTMLFormElement) || !form.hasAttribute("data-theme-form")) return;
  if (!(submitter instanceof HTMLButtonElement)) return;
  event.preventDefault();
  const theme = submitter.value;
  document.documentElement.dataset["theme"] = theme;
  document.querySelector("meta[name=color-scheme]")?.setAttribute("content", theme === "auto" ? "light dark" : theme);
  for (const button of form.querySelectorAll("button")) {
    button.setAttribute("aria-pressed", String(button === submitter));
  }
  const fields = new FormData(form, submitter);
  const body = new URLSearchParams([...fields].map(([name, value]) => [name, String(value)]));
  await fetch(form.action, { method: "POST", body, redirect: "manual" });
});

localiseTimes(document);
showCopyButtons(document);
openStream();
setInterval(showSilence, 1_000);
