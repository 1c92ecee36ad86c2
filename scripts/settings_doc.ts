/**
 * Renders `docs/configuration.md` from the declarations in `shared/settings/`. Run `deno task docs` after changing a setting;
 * a test compares the page with what this would write.
 *
 * @module
 */
import type { Setting } from "@/shared/settings/declare.ts";
import { TABLES } from "@/shared/settings/tables.ts";

/** Where the page is kept. */
export const CONFIGURATION_PAGE = new URL("../docs/configuration.md", import.meta.url);

const HEADINGS: Readonly<Record<keyof typeof TABLES, string>> = {
  common: "Every role",
  mdm: "MDM",
  sds: "SDS",
  sdc: "SDC",
  mgmt: "MGMT",
  times: "Times",
};

const INTRODUCTION = `# Settings

Every process takes its settings from environment variables. It checks them all before it opens anything, and refuses to start with
one line per mistake, which names the variables, their values and what to change. A variable that begins with \`POWERFLEX_\` and is
not in these tables is a mistake too. Names of all roles are accepted by each of them, so one environment file can serve a host.

Two listeners never share a port: the MDM's API, the SDSs' data base, the SDS's data path, the SDC's device port and MGMT's pages are
compared with each other, and the listeners of one process among themselves. \`POWERFLEX_AUTH=open\` is refused unless every
listener is on a loopback address.

This page is made by \`deno task docs\`; change \`shared/settings/\` instead.
`;

const TIMES_NOTE =
  `Give every process of a cluster the same times. They accept milliseconds or a unit: \`1500\`, \`1500ms\`, \`15s\`, ` +
  `\`15min\`, \`2h\`. Relations between them (a lease, for example, lasts at least three heartbeats) are checked at the start.\n`;

/** The whole page. */
export function configurationPage(): string {
  const sections = Object.entries(TABLES).map(([key, table]) => {
    const heading = HEADINGS[key as keyof typeof TABLES];
    const note = key === "times" ? `${TIMES_NOTE}\n` : "";
    return `## ${heading}\n\n${note}${tableOf(Object.values<Setting<unknown>>(table))}`;
  });
  return `${INTRODUCTION}\n${sections.join("\n")}`;
}

function tableOf(settings: readonly Setting<unknown>[]): string {
  const rows = settings.map((setting) => {
    const names = [setting.name, ...setting.aliases].map((name) => `\`${name}\``).join(" or ");
    const secret = setting.secret ? " Never logged." : "";
    return `| ${names} | ${cell(setting.about + secret)} | ${cell(setting.accepts)} | ${
      cell(setting.fallbackText)
    } |\n`;
  });
  return `| variable | meaning | accepts | default |\n| --- | --- | --- | --- |\n${rows.join("")}`;
}

function cell(text: string): string {
  return text.replaceAll("|", "\\|");
}

if (import.meta.main) await Deno.writeTextFile(CONFIGURATION_PAGE, configurationPage());
