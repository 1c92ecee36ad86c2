/**
 * `deno task compile [ROLE…] [--out-dir DIR]`: one binary per role with the runtime in it, for machines without Deno. The runtime's
 * base binary is fetched from dl.deno.land once, so this needs a machine that reaches it; `deno task bundle` does not.
 *
 * As with a bundle, the permissions are those of the `POWERFLEX_*` environment at this moment. Paths are made absolute, since
 * nothing fills in a working directory later.
 *
 * @module
 */
import { resolve } from "node:path";
import { parseRoles } from "@/scripts/bundle.ts";
import { reachOf, ROOT, V8_FLAGS } from "@/scripts/roles.ts";
import { type Environment, type Role, SettingsError } from "@/shared/settings.ts";
import { SETTINGS_EXIT_CODE } from "@/shared/settings/environment.ts";

/** The arguments of `deno` that compile `role` to `path`. @throws {SettingsError} when the settings are wrong. */
export function compileArgs(
  role: Role,
  options: { readonly path: string; readonly environment: Environment },
): string[] {
  const reach = reachOf(role, options.environment);
  const own = [reach.dataDir, ...reach.ownPaths].map((path) => resolve(path));
  const read = [...own, ...reach.readPaths.map((path) => resolve(path))];
  const network = [...new Set(reach.network), ...reach.sockets.map((path) => `unix:${resolve(path)}`)];
  return [
    "compile",
    "--quiet",
    "--no-prompt",
    `--v8-flags=${V8_FLAGS}`,
    `--config=${ROOT}/deno.json`,
    "--allow-env=POWERFLEX_*",
    `--allow-read=${read.join(",")}`,
    `--allow-write=${own.join(",")}`,
    `--allow-net=${network.join(",")}`,
    `--output=${options.path}`,
    `${ROOT}/${role}/main.ts`,
  ];
}

/** What to tell of a failed compilation of `role`, from what `deno compile` wrote: one line when the base binary is the reason. */
export function compileProblem(role: Role, stderr: string): string {
  if (!stderr.includes("Setting up base binary")) return `Cannot compile ${role}: ${stderr.trim()}`;
  const reason = stderr.match(/\d: (error .*|.*https?:.*)/)?.[1] ?? "it is not there";
  return `Cannot compile ${role}: Deno's base binary cannot be fetched (${reason}). Use deno task bundle, which needs none, or ` +
    `name a copy of denort in DENORT_BIN`;
}

const HELP = `deno task compile [ROLE…] [--out-dir DIR]

Writes one binary per role to DIR, dist/compiled by default. It fetches Deno's base binary from dl.deno.land unless it is in the cache
or named by DENORT_BIN. Compile under the POWERFLEX_* settings with which it will run: they decide what it may touch.`;

async function main(args: readonly string[]): Promise<void> {
  const parsed = parseRoles(args, { outDir: "dist/compiled" });
  if (parsed.help) {
    console.log(HELP);
    return;
  }
  await Deno.mkdir(parsed.outDir, { recursive: true });
  for (const role of parsed.roles) {
    const path = `${parsed.outDir}/powerflex-${role}`;
    const { code, stderr } = await new Deno.Command(Deno.execPath(), {
      args: compileArgs(role, { path, environment: Deno.env.toObject() }),
      env: { NO_COLOR: "1" },
      stdout: "inherit",
      stderr: "piped",
    }).output();
    if (code !== 0) throw new Error(compileProblem(role, new TextDecoder().decode(stderr)));
    console.log(path);
  }
}

if (import.meta.main) {
  try {
    await main(Deno.args);
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
    Deno.exit(error instanceof SettingsError ? SETTINGS_EXIT_CODE : 1);
  }
}
