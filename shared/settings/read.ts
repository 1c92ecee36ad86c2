/**
 * Reads tables of settings from an environment and finds every mistake in it, not only the first.
 *
 * @module
 */
import type { Setting, SettingTable, ValuesOf } from "@/shared/settings/declare.ts";

/** Environment variables by name. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** A start is refused: each problem says which setting, its value, and what should be changed. */
export class SettingsError extends Error {
  override readonly name = "SettingsError";
  constructor(readonly problems: readonly string[]) {
    super(`Cannot start with these settings:\n${problems.map((problem) => `  - ${problem}`).join("\n")}`);
  }
}

/** The values of `table`, with fallbacks for what is not set; each mistake is added to `problems` and reads as the fallback. */
export function readTable<Table extends SettingTable>(
  table: Table,
  source: { readonly environment: Environment; readonly problems: string[] },
): ValuesOf<Table> {
  const entries = Object.entries(table).map(([key, setting]) => [key, readSetting(setting, source)]);
  return Object.fromEntries(entries) as ValuesOf<Table>; // one entry per key of the table, each read by its own setting
}

function readSetting(
  setting: Setting<unknown>,
  source: { readonly environment: Environment; readonly problems: string[] },
): unknown {
  const given = [setting.name, ...setting.aliases]
    .map((name) => ({ name, text: source.environment[name]?.trim() ?? "" }))
    .filter(({ text }) => text !== "");
  const [first, ...others] = given;
  if (!first) return setting.fallback;
  const differing = others.find(({ text }) => text !== first.text);
  if (differing) {
    source.problems.push(
      `${first.name} is ${shown(setting, first.text)} and ${differing.name} is ${shown(setting, differing.text)}, ` +
        `but they are one setting: unset ${differing.name}`,
    );
  }
  const parsed = setting.parse(first.text);
  if (parsed.ok) return parsed.value;
  source.problems.push(`${first.name} is ${shown(setting, first.text)}: ${parsed.problem}`);
  return setting.fallback;
}

function shown(setting: Setting<unknown>, text: string): string {
  return setting.secret ? "(secret)" : JSON.stringify(text);
}

const PREFIX = "POWERFLEX_";
/** Variables of the test suite, which the processes that it starts inherit. */
const TEST_PREFIX = "POWERFLEX_TEST_";

/** One sentence per variable that begins with `POWERFLEX_` and is not in `known`, naming the nearest one that is. */
export function unknownNames(environment: Environment, known: readonly string[]): string[] {
  const names = new Set(known);
  return Object.keys(environment)
    .filter((name) => name.startsWith(PREFIX) && !name.startsWith(TEST_PREFIX) && !names.has(name))
    .map((name) => `${name} is not a setting: the nearest is ${nearestName(name, known)}`);
}

function nearestName(name: string, known: readonly string[]): string {
  const ranked = known.map((candidate) => ({ candidate, distance: editDistance(name, candidate) }));
  return ranked.reduce((best, next) => next.distance < best.distance ? next : best).candidate;
}

/** Letters to insert, remove or replace to get from `from` to `to` (Levenshtein 1966). */
function editDistance(from: string, to: string): number {
  let previous = Array.from({ length: to.length + 1 }, (_, index) => index);
  for (let row = 1; row <= from.length; row++) {
    const current = [row];
    for (let column = 1; column <= to.length; column++) {
      const replaced = previous[column - 1]! + (from[row - 1] === to[column - 1] ? 0 : 1);
      current.push(Math.min(replaced, previous[column]! + 1, current[column - 1]! + 1));
    }
    previous = current;
  }
  return previous[to.length]!;
}
