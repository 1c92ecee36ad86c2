/**
 * Command blocks of the documentation: fenced blocks of the languages `sh` and `python`. An HTML comment in the line above says
 * what differs from running a block to its end and expecting success:
 *
 * | comment | meaning |
 * | --- | --- |
 * | `<!-- keeps running: TEXT -->` | each line is a program of its own that serves until the page ends; it is up when it printed TEXT |
 * | `<!-- prints: TEXT -->` | its output must contain TEXT |
 * | `<!-- not run: REASON -->` | no test runs it |
 *
 * @module
 */

/** What a test does with a block. */
export type Treatment =
  | { readonly kind: "run"; readonly prints: string | undefined }
  | { readonly kind: "keeps_running"; readonly readyText: string }
  | { readonly kind: "not_run"; readonly reason: string };

/** A block of commands. */
export interface CommandBlock {
  /** Of the opening fence, from 1. */
  readonly line: number;
  readonly language: "sh" | "python";
  readonly text: string;
  readonly treatment: Treatment;
}

/** Languages of blocks that hold no commands. */
const OTHER_LANGUAGES: ReadonlySet<string> = new Set(["text", "json", "ts", "mermaid"]);

/** All command blocks of a page. @throws {Error} for a fence of another language, and for a comment that says nothing. */
export function commandBlocks(page: string): CommandBlock[] {
  const lines = page.split("\n");
  const blocks: CommandBlock[] = [];
  for (let index = 0; index < lines.length; index++) {
    const [, indent, fence, language] = lines[index]!.match(/^(\s*)(`{3,}|~{3,})(\S*)/) ?? [];
    if (fence === undefined) continue;
    const end = lines.findIndex((line, at) => at > index && line.trim() === fence);
    if (end < 0) throw new Error(`line ${index + 1}: the block does not end`);
    if (language === "sh" || language === "python") {
      const text = lines.slice(index + 1, end).map((line) => line.slice(indent!.length)).join("\n");
      blocks.push({ line: index + 1, language, text, treatment: treatmentOf(lines[index - 1] ?? "", index) });
    } else if (!OTHER_LANGUAGES.has(language!)) {
      const known = [...OTHER_LANGUAGES].join(", ");
      throw new Error(
        `line ${index + 1}: "${language}" is no language of a block; commands are sh or python, others ${known}`,
      );
    }
    index = end;
  }
  return blocks;
}

function treatmentOf(above: string, line: number): Treatment {
  const comment = above.match(/^\s*<!--(.*)-->\s*$/)?.[1];
  if (comment === undefined) return { kind: "run", prints: undefined };
  const [, word, text] = comment.match(/^ (keeps running|prints|not run): (.*\S) $/) ?? [];
  if (text === undefined) throw new Error(`line ${line}: "${above}" says not what to do with the block below it`);
  if (word === "prints") return { kind: "run", prints: text };
  return word === "not run" ? { kind: "not_run", reason: text } : { kind: "keeps_running", readyText: text };
}
