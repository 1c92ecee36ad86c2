/**
 * Our rules for `deno lint`, wired in `deno.json`. Each has an example that it refuses and one that it lets pass in
 * `plugin_test.ts`.
 *
 * @module
 */
import { boundaries } from "@/scripts/lint/boundaries.ts";
import { pureCore, usePorts } from "@/scripts/lint/capabilities.ts";
import { fileLength, testName, todoNamesIssue } from "@/scripts/lint/text.ts";

const plugin: Deno.lint.Plugin = {
  name: "powerflex",
  rules: {
    "boundaries": boundaries,
    "pure-core": pureCore,
    "use-ports": usePorts,
    "file-length": fileLength,
    "todo-names-issue": todoNamesIssue,
    "test-name": testName,
  },
};

export default plugin;
