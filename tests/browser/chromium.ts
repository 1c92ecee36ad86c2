/**
 * Debian's chromium under playwright, with an empty profile, and axe for what a page must offer to everybody.
 *
 * @module
 */
import axe from "axe-core";
import { type BrowserContext, chromium, type Page } from "playwright-core";

/** Where Debian puts it. */
const EXECUTABLES = ["/usr/bin/chromium", "/usr/bin/chromium-browser"];
const FLAGS = [
  "--headless",
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

/** A browser with one profile. */
export interface Browser extends AsyncDisposable {
  readonly context: BrowserContext;
}

/** Starts chromium. @throws {Error} when it is not installed: the test fails, it is never left out. */
export async function openBrowser(options: { readonly javaScriptEnabled?: boolean } = {}): Promise<Browser> {
  const executablePath = EXECUTABLES.find(exists);
  if (executablePath === undefined) {
    throw new Error("Cannot run browser tests: chromium is not installed (apt-get install chromium)");
  }
  const profile = await Deno.makeTempDir();
  const context = await chromium.launchPersistentContext(profile, { executablePath, args: FLAGS, ...options });
  return {
    context,
    async [Symbol.asyncDispose]() {
      await context.close();
      await Deno.remove(profile, { recursive: true });
    },
  };
}

function exists(path: string): boolean {
  try {
    return Deno.statSync(path).isFile;
  } catch {
    return false;
  }
}

interface AxeResult {
  readonly violations: readonly {
    readonly id: string;
    readonly nodes: readonly { readonly html: string; readonly failureSummary: string }[];
  }[];
}

/** What keeps people out of the page as it stands, one line each; empty when nothing does. */
export async function accessibilityProblems(page: Page): Promise<string[]> {
  await page.evaluate(axe.source);
  // axe is a global of the page only, out of the compiler's sight.
  const { violations } = await page.evaluate("axe.run({ resultTypes: ['violations'] })") as AxeResult;
  return violations.flatMap(({ id, nodes }) =>
    nodes.map(({ html, failureSummary }) => `${id}: ${html.slice(0, 160)} – ${failureSummary}`)
  );
}
