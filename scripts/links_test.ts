import { assertEquals } from "@std/assert";
import { dirname, resolve } from "node:path";
import { ROOT } from "@/scripts/roles.ts";

/** The pages that people read, by their names in the repository. */
async function pages(): Promise<string[]> {
  const found = ["README.md", "CHANGELOG.md"];
  for (const folder of ["docs", "docs/adr"]) {
    for await (const { name } of Deno.readDir(`${ROOT}/${folder}`)) {
      if (name.endsWith(".md")) found.push(`${folder}/${name}`);
    }
  }
  return found.sort();
}

/** Targets of links to files of the repository, without their anchors. */
function fileLinks(text: string): string[] {
  return [...text.matchAll(/\]\(([^)#\s]+)(?:#[^)]*)?\)/g)].map(([, target]) => target!)
    .filter((target) => !/^[a-z]+:/.test(target));
}

Deno.test("documentation pages link only to files that exist", async () => {
  const dead: string[] = [];
  for (const page of await pages()) {
    for (const target of fileLinks(await Deno.readTextFile(`${ROOT}/${page}`))) {
      const path = resolve(ROOT, dirname(page), target);
      const exists = await Deno.stat(path).then(() => true, () => false);
      if (!exists) dead.push(`${page} links to ${target}`);
    }
  }
  assertEquals(dead, []);
});
