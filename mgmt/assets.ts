/**
 * The files that pages refer to, held in memory. Each URL carries a hash of its content, so browsers keep it for ever and never
 * show an old one.
 *
 * @module
 */
import { createHash } from "node:crypto";
import style from "@/mgmt/assets/app.css" with { type: "text" };
import icon from "@/mgmt/assets/icon.svg" with { type: "text" };
import script from "@/mgmt/assets/live.js" with { type: "text" };

/** A file that is served. */
export interface Asset {
  readonly url: string;
  readonly contentType: string;
  readonly text: string;
  readonly etag: string;
}

function asset(name: string, text: string, contentType: string): Asset {
  const hash = createHash("sha256").update(text).digest("hex").slice(0, 16);
  return { url: `/assets/${name.replace(".", `.${hash}.`)}`, contentType, text, etag: `"${hash}"` };
}

const STYLE = asset("app.css", style, "text/css; charset=utf-8");
// The import's type is that of the module which the attribute keeps from running.
const SCRIPT = asset("live.js", script as unknown as string, "text/javascript; charset=utf-8");
const ICON = asset("icon.svg", icon, "image/svg+xml");

/** URLs for the head of a page. */
export const ASSET_URLS = { style: STYLE.url, script: SCRIPT.url, icon: ICON.url } as const;

/** Every file by its URL. */
export const ASSETS: ReadonlyMap<string, Asset> = new Map([STYLE, SCRIPT, ICON].map((file) => [file.url, file]));
