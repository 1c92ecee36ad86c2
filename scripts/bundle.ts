/**
 * `deno task bundle [ROLE…] [--out-dir DIR]`: one executable text file per role, which needs Deno on the path and nothing else:
 * no sources, no cache, no network.
 *
 * Its first line starts Deno with the role's permission flags (`scripts/roles.ts`) for the `POWERFLEX_*` environment in which it was
 * bundled; relative paths count from where it is started. Settings that move a listener or a directory must therefore be there
 * at bundling too. The kernel reads {@linkcode FIRST_LINE_BYTES_MAX} bytes of that line.
 *
 * @module
 */
import { isAbsolute } from "node:path";
import { parseArgs } from "node:util";
import { reachOf, ROOT } from "@/scripts/roles.ts";
import { type Environment, type Role, ROLES, SettingsError } from "@/shared/settings.ts";
import { SETTINGS_EXIT_CODE } from "@/shared/settings/environment.ts";

/** Linux reads 256 bytes of a script's first line, the line's end included (`BINPRM_BUF_SIZE`). */
export const FIRST_LINE_BYTES_MAX = 255;

const EXECUTABLE_MODE = 0o755;

/** Where to put the bundles, and what they may touch. */
export interface BundleOptions {
  readonly outDir: string;
  readonly environment: Environment;
}

/**
 * Bundles `role` into `outDir/powerflex-ROLE` and gives that path.
 *
 * @throws {SettingsError} when the settings are wrong.
 * @throws {Error} when they do not fit into a first line, or with what `deno bundle` said when it fails.
 */
export async function bundleRole(role: Role, options: BundleOptions): Promise<string> {
  const first = firstLine(role, options.environment);
  await Deno.mkdir(options.outDir, { recursive: true });
  const path = `${options.outDir}/powerflex-${role}`;
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["bundle", "--quiet", "--platform=deno", `--config=${ROOT}/deno.json`, `${ROOT}/${role}/main.ts`],
    stdout: "piped",
    stderr: "piped",
  }).output();
  if (code !== 0) throw new Error(`Cannot bundle ${role}: ${new TextDecoder().decode(stderr).trim()}`);
  const unfinished = `${path}.${Deno.pid}`;
  await Deno.writeTextFile(unfinished, `${first}\n${new TextDecoder().decode(stdout)}`, { mode: EXECUTABLE_MODE });
  await Deno.rename(unfinished, path);
  return path;
}

/**
 * The line that makes a bundle of `role` start under its flags.
 *
 * @throws {SettingsError} when the settings are wrong.
 * @throws {Error} when a path has blanks or quotes, or the line more than {@linkcode FIRST_LINE_BYTES_MAX} bytes.
 */
export function firstLine(role: Role, environment: Environment): string {
  const reach = reachOf(role, environment);
  const own = [reach.dataDir, ...reach.ownPaths];
  const flags = [
    "-q",
    "--no-prompt",
    "--no-config",
    "--cached-only",
    "--ext=mjs",
    "-E=POWERFLEX_*",
    `-R=${[...own, ...reach.readPaths].join(",")}`,
    `-W=${own.join(",")}`,
    `-N=${[...withoutCovered(reach.network), ...reach.sockets.map(socketFlag)].join(",")}`,
  ];
  const spaced = flags.find((flag) => /[\s"'\\#$]/.test(flag.replace("${PWD}", "")));
  if (spaced !== undefined) {
    throw new Error(`${spaced} cannot stand in the first line of a script: choose paths without blanks and quotes`);
  }
  const line = `#!/usr/bin/env -S deno run ${flags.join(" ")}`;
  const bytes = new TextEncoder().encode(line).length;
  if (bytes <= FIRST_LINE_BYTES_MAX) return line;
  throw new Error(
    `The first line of the ${role} bundle has ${bytes} bytes and may have ${FIRST_LINE_BYTES_MAX}: choose shorter paths, or ` +
      `fewer networks in POWERFLEX_NET\n${line}`,
  );
}

/** Deno takes only absolute paths of sockets; `env -S` puts the working directory in. */
function socketFlag(path: string): string {
  return isAbsolute(path) ? `unix:${path}` : `unix:\${PWD}/${path}`;
}

/** A host that is listed without a port covers its ports. */
function withoutCovered(network: readonly string[]): string[] {
  const all = [...new Set(network)];
  return all.filter((entry) => !all.some((host) => !host.includes(":") && entry.startsWith(`${host}:`)));
}

const HELP = `deno task bundle [ROLE…] [--out-dir DIR]

Writes one executable file per role (${
  ROLES.join(", ")
}; all of them without a name) to DIR, dist by default. It needs deno on
the path. Bundle under the POWERFLEX_* settings with which it will run: they decide what it may touch.`;

/** Roles and directory that a command line names. @throws {Error} for an unknown role or option. */
export function parseRoles(
  args: readonly string[],
  defaults: { readonly outDir: string },
): { readonly roles: readonly Role[]; readonly outDir: string; readonly help: boolean } {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      "out-dir": { type: "string", default: defaults.outDir },
      "help": { type: "boolean", short: "h", default: false },
    },
  });
  const unknown = positionals.filter((name) => !ROLES.some((role) => role === name));
  if (unknown.length > 0) throw new Error(`There is no role ${unknown.join(", ")}: name ${ROLES.join(", ")}`);
  const roles = ROLES.filter((role) => positionals.length === 0 || positionals.includes(role));
  return { roles, outDir: values["out-dir"], help: values.help };
}

async function main(args: readonly string[]): Promise<void> {
  const { roles, outDir, help } = parseRoles(args, { outDir: "dist" });
  if (help) {
    console.log(HELP);
    return;
  }
  for (const role of roles) console.log(await bundleRole(role, { outDir, environment: Deno.env.toObject() }));
}

if (import.meta.main) {
  try {
    await main(Deno.args);
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
    Deno.exit(error instanceof SettingsError ? SETTINGS_EXIT_CODE : 1);
  }
}
