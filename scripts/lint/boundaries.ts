/**
 * Rule of directions: a component imports itself and `shared/`, `shared/` imports itself, tests and scripts import anything.
 *
 * @module
 */
import { areaOf, COMPONENTS, importedPath, isTest, pathInTree } from "@/scripts/lint/places.ts";

/** No component reaches into another; nothing shared knows a component. */
export const boundaries: Deno.lint.Rule = {
  create(context) {
    const path = pathInTree(context.filename);
    if (path === undefined || isTest(path)) return {};
    const from = areaOf(path);
    if (!COMPONENTS.includes(from) && from !== "shared") return {};
    const check = (source: Deno.lint.Node | null) => {
      if (source?.type !== "Literal" || typeof source.value !== "string") return;
      const target = importedPath(source.value, path);
      if (target === undefined) return;
      const to = areaOf(target);
      if (to === from || (from !== "shared" && to === "shared")) return;
      context.report({ node: source, message: `${from}/ may import ${allowed(from)}, not ${target}` });
    };
    return {
      ImportDeclaration: (node) => check(node.source),
      ExportNamedDeclaration: (node) => check(node.source),
      ExportAllDeclaration: (node) => check(node.source),
      ImportExpression: (node) => check(node.source),
    };
  },
};

function allowed(from: string): string {
  return from === "shared" ? "shared/ only" : `${from}/ and shared/ only: talk to other components over the network`;
}
