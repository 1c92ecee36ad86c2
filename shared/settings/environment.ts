/**
 * The environment of this process, for `main.ts` files. A role may read `POWERFLEX_*` only (`--allow-env=POWERFLEX_*`), so it
 * asks by name; whoever starts it with more rights (`scripts/`) sees unknown names too.
 *
 * @module
 */
import { type Environment, settingNames, SettingsError } from "@/shared/settings.ts";

/** Exit code of a process that cannot start with its settings. */
export const SETTINGS_EXIT_CODE = 2;

/** All variables, or the known settings where only those may be read. */
export function processEnvironment(): Environment {
  try {
    return Deno.env.toObject();
  } catch (error) {
    if (!(error instanceof Deno.errors.NotCapable)) throw error;
    return Object.fromEntries(settingNames().map((name) => [name, Deno.env.get(name)]));
  }
}

/** What `read` makes of this process's environment; ends the process with one line per mistake when there are any. */
export function settingsOrExit<Settings>(read: (environment: Environment) => Settings): Settings {
  try {
    return read(processEnvironment());
  } catch (error) {
    if (!(error instanceof SettingsError)) throw error;
    console.error(error.message);
    Deno.exit(SETTINGS_EXIT_CODE);
  }
}

/** The join token, from the setting or its file; undefined when neither is given. @throws {SettingsError} for no such file. */
export function readJoinToken(
  settings: { readonly joinToken: string | undefined; readonly joinTokenFile: string | undefined },
): string | undefined {
  if (settings.joinToken !== undefined || settings.joinTokenFile === undefined) return settings.joinToken;
  try {
    return Deno.readTextFileSync(settings.joinTokenFile).trim();
  } catch (error) {
    throw new SettingsError([
      `POWERFLEX_JOIN_TOKEN_FILE is "${settings.joinTokenFile}", which cannot be read: ` +
      (error instanceof Error ? error.message : String(error)),
    ]);
  }
}
