/**
 * Rules about the text of a file: its length, its to-do notes and the names of its tests.
 *
 * @module
 */

/** A longer file answers for more than one thing. */
export const FILE_LINES_MAX = 400;

/** Files end within {@linkcode FILE_LINES_MAX} lines. */
export const fileLength: Deno.lint.Rule = {
  create: (context) => ({
    Program(node) {
      const { text } = context.sourceCode;
      const lines = text.split("\n").length - (text.endsWith("\n") ? 1 : 0);
      if (lines <= FILE_LINES_MAX) return;
      context.report({
        range: [0, Math.min(1, node.range[1])],
        message: `${lines} lines: split the file, at most ${FILE_LINES_MAX} are read`,
      });
    },
  }),
};

/** A note of what is left names the issue that will see to it. */
export const todoNamesIssue: Deno.lint.Rule = {
  create: (context) => ({
    Program() {
      for (const comment of context.sourceCode.getAllComments()) {
        if (/\bTODO\b(?!\(#\d+\))/.test(comment.value)) {
          context.report({ range: comment.range, message: "Name the issue: TODO(#42): …" });
        }
      }
    },
  }),
};

const IDLE_OPENINGS: ReadonlySet<string> = new Set(["should", "test", "tests", "it", "works", "check", "checks"]);

/** The name of a test is a sentence that begins with the symbol, or with `scenario:`. */
export const testName: Deno.lint.Rule = {
  create: (context) => ({
    CallExpression(node) {
      if (!isDenoTest(node.callee)) return;
      const [name] = node.arguments;
      if (name?.type !== "Literal" || typeof name.value !== "string") return;
      const problem = nameProblem(name.value);
      if (problem !== undefined) context.report({ node: name, message: problem });
    },
  }),
};

function isDenoTest(callee: Deno.lint.Node): boolean {
  return callee.type === "MemberExpression" && callee.object.type === "Identifier" && callee.object.name === "Deno" &&
    callee.property.type === "Identifier" && callee.property.name === "test";
}

function nameProblem(name: string): string | undefined {
  const words = name.trim().split(/\s+/);
  if (words.length < 3) return "Say in a sentence what holds: symbol() does what, when";
  if (IDLE_OPENINGS.has(words[0]!.toLowerCase())) {
    return `Begin with the symbol or with "scenario:", not with "${words[0]}"`;
  }
  if (/[.!]$/.test(name)) return "Leave the sentence without a final period";
  return undefined;
}
