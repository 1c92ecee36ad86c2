/**
 * Where a file stands in the tree, for the rules of the lint plugin.
 *
 * @module
 */

const ROOT = decodeURIComponent(new URL("../../", import.meta.url).pathname);

/** Folders of the components; none imports another. */
export const COMPONENTS: readonly string[] = ["mdm", "sds", "sdc", "mgmt"];

/** Path from the root of the repository, or undefined for a file elsewhere. */
export function pathInTree(filename: string): string | undefined {
  return filename.startsWith(ROOT) ? filename.slice(ROOT.length) : undefined;
}

/** The full name of a path of the tree, for tests. */
export function filenameOf(path: string): string {
  return ROOT + path;
}

/** First folder of a path: `mdm`, `shared`, …; "" for a file at the root. */
export function areaOf(path: string): string {
  const slash = path.indexOf("/");
  return slash < 0 ? "" : path.slice(0, slash);
}

/** The path that `specifier` names from the file `from`, if it is in the tree: by the alias `@/` or relative. */
export function importedPath(specifier: string, from: string): string | undefined {
  if (specifier.startsWith("@/")) return specifier.slice(2);
  if (!specifier.startsWith(".")) return undefined;
  return pathInTree(decodeURIComponent(new URL(specifier, `file://${filenameOf(from)}`).pathname));
}

/** Tests and what serves them. */
export function isTest(path: string): boolean {
  return /_test\.tsx?$/.test(path) || areaOf(path) === "tests";
}

/** Decisions as pure functions: `core/` of a component or of a part of it. */
export function isCore(path: string): boolean {
  return COMPONENTS.includes(areaOf(path)) && /\/core\//.test(path) && !isTest(path);
}

/** Code that runs in a browser, which has its own clock. */
export function isBrowserCode(path: string): boolean {
  return /^mgmt\/(?:.*\/)?(?:islands|browser)\//.test(path);
}
