import { assertEquals } from "@std/assert";
import { filenameOf } from "@/scripts/lint/places.ts";
import plugin from "@/scripts/lint/plugin.ts";
import { FILE_LINES_MAX } from "@/scripts/lint/text.ts";

/** The rules that `source` breaks as the file `path` of the tree. */
function broken(path: string, source: string): string[] {
  const diagnostics = Deno.lint.runPlugin(plugin, filenameOf(path), source);
  return diagnostics.map(({ id }) => id.replace("powerflex/", ""));
}

interface Case {
  readonly path: string;
  readonly source: string;
  readonly expected: readonly string[];
}

async function run(t: Deno.TestContext, cases: readonly Case[]): Promise<void> {
  for (const { path, source, expected } of cases) {
    const name = `${path}: ${source.slice(0, 60)}${expected.length === 0 ? " passes" : ""}`;
    await t.step(name, () => assertEquals(broken(path, source), [...expected]));
  }
}

Deno.test("boundaries rule keeps components apart", async (t) => {
  await run(t, [
    { path: "mdm/a.ts", source: 'import { x } from "@/sds/x.ts";', expected: ["boundaries"] },
    { path: "mdm/b/a.ts", source: 'import { x } from "../../sdc/x.ts";', expected: ["boundaries"] },
    { path: "sds/a.ts", source: 'import type { X } from "@/mdm/x.ts";', expected: ["boundaries"] },
    { path: "sds/a.ts", source: 'export * from "@/sdc/x.ts";', expected: ["boundaries"] },
    { path: "sds/a.ts", source: 'export { x } from "@/sdc/x.ts";', expected: ["boundaries"] },
    { path: "sdc/a.ts", source: 'await import("@/mgmt/x.ts");', expected: ["boundaries"] },
    { path: "mgmt/a.ts", source: 'import { x } from "@/tests/x.ts";', expected: ["boundaries"] },
    { path: "shared/a.ts", source: 'import { x } from "@/mdm/x.ts";', expected: ["boundaries"] },
    { path: "mdm/a.ts", source: 'import { x } from "@/shared/x.ts"; import { y } from "@/mdm/y.ts";', expected: [] },
    { path: "mdm/a.ts", source: 'import { z } from "zod";', expected: [] },
    { path: "mdm/a_test.ts", source: 'import { x } from "@/sds/x.ts";', expected: [] },
    { path: "scripts/a.ts", source: 'import { x } from "@/sds/x.ts"; import { y } from "@/mdm/y.ts";', expected: [] },
  ]);
});

Deno.test("pure-core rule refuses time, chance and the outside in core/", async (t) => {
  const both = ["pure-core", "use-ports"];
  await run(t, [
    { path: "mdm/core/a.ts", source: 'import { openSync } from "node:fs";', expected: ["pure-core"] },
    { path: "mdm/core/a.ts", source: 'import { systemClock } from "@/shared/clock.ts";', expected: ["pure-core"] },
    { path: "mdm/core/a.ts", source: 'import { randomBytes } from "node:crypto";', expected: ["pure-core"] },
    { path: "sds/core/a.ts", source: 'Deno.readTextFileSync("x");', expected: ["pure-core"] },
    { path: "sds/replica/core/a.ts", source: 'await fetch("http://x");', expected: ["pure-core"] },
    { path: "sds/core/a.ts", source: "const a = Date.now();", expected: both },
    { path: "sds/core/a.ts", source: "const a = new Date();", expected: both },
    { path: "sds/core/a.ts", source: "const a = Math.random();", expected: both },
    { path: "sds/core/a.ts", source: "setTimeout(() => {}, 1);", expected: both },
    { path: "sds/core/a.ts", source: "crypto.getRandomValues(new Uint8Array(1));", expected: both },
    { path: "sds/core/a.ts", source: 'import { createHash } from "node:crypto";', expected: [] },
    { path: "sds/core/a.ts", source: 'import type { DatabaseSync } from "node:sqlite";', expected: [] },
    { path: "sds/core/a.ts", source: "const a = new Date(5);", expected: [] },
    { path: "sds/core/a_test.ts", source: 'Deno.test("a() does b", () => {});', expected: [] },
  ]);
});

Deno.test("use-ports rule leaves time and chance to the ports", async (t) => {
  await run(t, [
    { path: "sdc/a.ts", source: "const a = performance.now();", expected: ["use-ports"] },
    { path: "sdc/a.ts", source: "setInterval(() => {}, 1);", expected: ["use-ports"] },
    { path: "shared/a.ts", source: "const a = Date.now();", expected: ["use-ports"] },
    { path: "shared/clock.ts", source: "const a = Date.now();", expected: [] },
    { path: "shared/random.ts", source: "const a = Math.random();", expected: [] },
    { path: "scripts/a.ts", source: "const a = Date.now();", expected: [] },
    { path: "tests/a.ts", source: "setTimeout(() => {}, 1);", expected: [] },
    { path: "mgmt/islands/a.ts", source: "setTimeout(() => {}, 1);", expected: [] },
  ]);
});

Deno.test("file-length rule reports a file over the limit, not one at it", () => {
  assertEquals(broken("shared/a.ts", "//\n".repeat(FILE_LINES_MAX)), []);
  assertEquals(broken("shared/a.ts", "//\n".repeat(FILE_LINES_MAX + 1)), ["file-length"]);
});

Deno.test("todo-names-issue rule wants the number of an issue", async (t) => {
  const note = "TO" + "DO";
  await run(t, [
    { path: "shared/a.ts", source: `// ${note}: later`, expected: ["todo-names-issue"] },
    { path: "shared/a.ts", source: `/** ${note}(someone): later */`, expected: ["todo-names-issue"] },
    { path: "shared/a.ts", source: `// ${note}(#42): later`, expected: [] },
  ]);
});

Deno.test("test-name rule wants a sentence that begins with the symbol", async (t) => {
  const named = (name: string) => `Deno.test(${JSON.stringify(name)}, () => {});`;
  await run(t, [
    { path: "shared/a_test.ts", source: named("parse"), expected: ["test-name"] },
    { path: "shared/a_test.ts", source: named("should parse the header"), expected: ["test-name"] },
    { path: "shared/a_test.ts", source: named("parse() reads the header."), expected: ["test-name"] },
    { path: "shared/a_test.ts", source: named("parse() reads the header"), expected: [] },
    { path: "shared/a_test.ts", source: named("scenario: a primary dies under load"), expected: [] },
  ]);
});
