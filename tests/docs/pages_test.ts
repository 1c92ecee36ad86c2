/** Every command that the documentation shows works as printed, or says why no test runs it. */
import { assert } from "@std/assert";
import { ROOT } from "@/scripts/roles.ts";
import { commandBlocks } from "@/tests/docs/blocks.ts";
import { PageSession } from "@/tests/docs/page_session.ts";
import { programTest } from "@/tests/support/programs.ts";

const PROGRAMS = ["bash", "cp", "curl", "nbdcopy", "nbdinfo", "python3"];

/** Pages, by their names in the repository. */
function pageNames(): string[] {
  const found = ["README.md", "CHANGELOG.md"];
  for (const folder of ["docs", "docs/adr"]) {
    for (const { name } of Deno.readDirSync(`${ROOT}/${folder}`)) {
      if (name.endsWith(".md")) found.push(`${folder}/${name}`);
    }
  }
  return found.sort();
}

const pages = pageNames().map((name) => ({ name, blocks: commandBlocks(Deno.readTextFileSync(`${ROOT}/${name}`)) }));

Deno.test("commandBlocks() of the documentation are there to be run", () => {
  const count = pages.flatMap(({ blocks }) => blocks).filter(({ treatment }) => treatment.kind !== "not_run").length;
  assert(count >= 12, `${count} blocks are run`);
});

for (const { name, blocks } of pages) {
  if (blocks.every(({ treatment }) => treatment.kind === "not_run")) continue;
  programTest(`${name}: its commands work as printed`, PROGRAMS, async () => {
    await using session = await PageSession.open();
    for (const block of blocks) await session.run(block);
  });
}
