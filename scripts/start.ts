/**
 * `deno task start:ROLE`: starts one role alone, with the permission flags of `scripts/roles.ts`. It brings what the role may not
 * read itself: the identity of the host and, when none is set, the join token of an MDM in the same directory of data.
 *
 * @module
 */
import { hostIdentity, roleCommand } from "@/scripts/roles.ts";
import { type Role, ROLES, SettingsError } from "@/shared/settings.ts";
import { SETTINGS_EXIT_CODE } from "@/shared/settings/environment.ts";

/** Where an MDM that was started here without settings keeps the token. */
const LOCAL_JOIN_TOKEN_FILE = ".powerflex/mdm/join.token";

async function main(): Promise<number> {
  const role = ROLES.find((candidate) => candidate === Deno.args[0]);
  if (role === undefined) {
    console.error(`Name a role to start: ${ROLES.join(", ")}`);
    return SETTINGS_EXIT_CODE;
  }
  const environment = { ...hostIdentity(), ...joinTokenFor(role), ...Deno.env.toObject() };
  try {
    return await run(role, environment);
  } catch (error) {
    if (!(error instanceof SettingsError)) throw error;
    console.error(error.message);
    return SETTINGS_EXIT_CODE;
  }
}

async function run(role: Role, environment: Record<string, string>): Promise<number> {
  const { executable, args, cwd } = roleCommand(role, environment);
  const process = new Deno.Command(executable, { args: [...args], cwd, env: environment }).spawn();
  // A Ctrl-C reaches the role itself; this process stays to hand on its exit code.
  Deno.addSignalListener("SIGINT", () => {});
  Deno.addSignalListener("SIGTERM", () => process.kill("SIGTERM"));
  return (await process.status).code;
}

function joinTokenFor(role: Role): Record<string, string> {
  const isSet = ["POWERFLEX_JOIN_TOKEN", "POWERFLEX_JOIN_TOKEN_FILE"].some((name) => Deno.env.get(name));
  if (isSet || role === "mdm") return {};
  try {
    return { POWERFLEX_JOIN_TOKEN: Deno.readTextFileSync(LOCAL_JOIN_TOKEN_FILE).trim() };
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return {};
    throw error;
  }
}

if (import.meta.main) Deno.exit(await main());
