import { assertEquals, assertThrows } from "@std/assert";
import { commandBlocks } from "@/tests/docs/blocks.ts";

const FENCE = "```";

Deno.test("commandBlocks() finds blocks of commands and what is said of them", () => {
  const page = [
    "# Page",
    `${FENCE}sh`,
    "echo one",
    FENCE,
    `${FENCE}text`,
    `<!-- not run: part of the text -->`,
    FENCE,
    "<!-- prints: two words -->",
    `${FENCE}python`,
    "print('two words')",
    FENCE,
    "  <!-- keeps running: READY -->",
    `  ${FENCE}sh`,
    "  serve",
    `  ${FENCE}`,
    "<!-- not run: needs a disk -->",
    `${FENCE}sh`,
    FENCE,
  ].join("\n");
  assertEquals(commandBlocks(page), [
    { line: 2, language: "sh", text: "echo one", treatment: { kind: "run", prints: undefined } },
    { line: 9, language: "python", text: "print('two words')", treatment: { kind: "run", prints: "two words" } },
    { line: 13, language: "sh", text: "serve", treatment: { kind: "keeps_running", readyText: "READY" } },
    { line: 17, language: "sh", text: "", treatment: { kind: "not_run", reason: "needs a disk" } },
  ]);
});

Deno.test("commandBlocks() refuses what would hide commands from the tests", () => {
  for (const language of ["bash", "console", "shell", ""]) {
    assertThrows(() => commandBlocks(`${FENCE}${language}\nrm\n${FENCE}`), Error, "no language of a block");
  }
  for (const comment of ["<!-- not run: -->", "<!-- not run -->", "<!-- not run:  -->", "<!-- later -->"]) {
    assertThrows(() => commandBlocks(`${comment}\n${FENCE}sh\nrm\n${FENCE}`), Error, "says not what to do");
  }
  assertThrows(() => commandBlocks(`${FENCE}sh\nrm`), Error, "does not end");
});
