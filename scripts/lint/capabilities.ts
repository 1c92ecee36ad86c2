/**
 * Rules that keep time, randomness and the outside world behind ports, so that tests and the simulator own them.
 *
 * @module
 */
import { areaOf, isBrowserCode, isCore, isTest, pathInTree } from "@/scripts/lint/places.ts";

/** `object.property` that reads time or randomness. */
const IMPURE_MEMBERS: ReadonlySet<string> = new Set([
  "Date.now",
  "performance.now",
  "Math.random",
  "crypto.getRandomValues",
  "crypto.randomUUID",
]);

/** Functions that wait or read time. */
const IMPURE_CALLS: ReadonlySet<string> = new Set(["setTimeout", "setInterval"]);

/** The only homes of what the sets above name. */
const PORT_FILES: ReadonlySet<string> = new Set(["shared/clock.ts", "shared/random.ts"]);

/** `node:` modules that compute and touch nothing. */
const PURE_NODE_MODULES: ReadonlySet<string> = new Set([
  "node:assert",
  "node:assert/strict",
  "node:buffer",
  "node:crypto",
  "node:util",
  "node:zlib",
]);

/** Names whose import brings the outside into a core. */
const IMPURE_IMPORTS: ReadonlySet<string> = new Set([
  "systemClock",
  "systemRandom",
  "denoTransport",
  "fetchSend",
  "randomBytes",
  "randomUUID",
  "randomInt",
]);

/** No clock, timer or random source but through the ports. */
export const usePorts: Deno.lint.Rule = {
  create(context) {
    const path = pathInTree(context.filename);
    if (path === undefined || mayUseHostTime(path)) return {};
    return impureUses(
      context,
      (use) =>
        `Take ${use} from a port: Clock of @/shared/clock.ts or Random of @/shared/random.ts, so that tests and the simulator own it`,
    );
  },
};

function mayUseHostTime(path: string): boolean {
  return PORT_FILES.has(path) || areaOf(path) === "scripts" || isTest(path) || isBrowserCode(path);
}

/** A core decides: it reads no clock, no random source, no file, no network, no process. */
export const pureCore: Deno.lint.Rule = {
  create(context) {
    const path = pathInTree(context.filename);
    if (path === undefined || !isCore(path)) return {};
    const explain = (use: string) => `A core is pure: pass what ${use} gives as an argument`;
    return {
      ...impureUses(context, explain),
      ImportDeclaration(node) {
        if (node.importKind === "type") return;
        const module = node.source.value;
        if (module.startsWith("node:") && !PURE_NODE_MODULES.has(module)) {
          context.report({ node, message: explain(module) });
        }
        for (const specifier of node.specifiers) {
          const imported = specifier.type === "ImportSpecifier" ? specifier.imported : undefined;
          if (imported?.type === "Identifier" && IMPURE_IMPORTS.has(imported.name)) {
            context.report({ node: specifier, message: explain(imported.name) });
          }
        }
      },
      Identifier(node) {
        if (node.name === "Deno") context.report({ node, message: explain("Deno") });
      },
      'CallExpression[callee.name="fetch"]'(node: Deno.lint.CallExpression) {
        context.report({ node, message: explain("fetch") });
      },
    };
  },
};

function impureUses(context: Deno.lint.RuleContext, explain: (use: string) => string): Deno.lint.LintVisitor {
  return {
    MemberExpression(node) {
      const name = memberName(node);
      if (name !== undefined && IMPURE_MEMBERS.has(name)) context.report({ node, message: explain(name) });
    },
    CallExpression(node) {
      if (node.callee.type === "Identifier" && IMPURE_CALLS.has(node.callee.name)) {
        context.report({ node, message: explain(node.callee.name) });
      }
    },
    NewExpression(node) {
      if (node.callee.type === "Identifier" && node.callee.name === "Date" && node.arguments.length === 0) {
        context.report({ node, message: explain("new Date()") });
      }
    },
  };
}

function memberName(node: Deno.lint.MemberExpression): string | undefined {
  const { object, property } = node;
  if (object.type !== "Identifier" || property.type !== "Identifier" || node.computed) return undefined;
  return `${object.name}.${property.name}`;
}
