/**
 * How a role's process is started: its permission flags and what it needs of its environment. The demo, the `start:*` tasks
 * and the tests all take them from here.
 *
 * A role may read and write its own directory, read its own source files (workers, assets), read `POWERFLEX_*` variables, and
 * use the network it needs. It may never run programs, load libraries, or ask the system about itself; what it must know of the
 * host comes in as settings.
 *
 * @module
 */
import { resolve } from "node:path";
import {
  type Environment,
  readMdmSettings,
  readMgmtSettings,
  readSdcSettings,
  readSdsSettings,
  type Role,
} from "@/shared/settings.ts";

/** Root of the repository, without a trailing slash. */
export const ROOT = decodeURIComponent(new URL("..", import.meta.url).pathname).replace(/\/$/, "");

/**
 * How V8 is to use memory: a young generation of 4 MiB halves that one thread collects. With V8's own choice a cluster under full
 * load holds about 100 MiB more and does no more IO.
 */
export const V8_FLAGS = "--max-semi-space-size=4,--single-threaded-gc";

/** A command line and its directory. */
export interface RoleCommand {
  readonly executable: string;
  readonly args: readonly string[];
  readonly cwd: string;
}

/** What a role's process may touch under one environment. Paths are as the settings have them, perhaps relative. */
export interface Reach {
  readonly dataDir: string;
  /** Directories and files of its own outside `dataDir`. */
  readonly ownPaths: readonly string[];
  /** Files outside `dataDir` that it may read only: the join token. */
  readonly readPaths: readonly string[];
  /** Addresses that it serves or calls. */
  readonly network: readonly string[];
  /** Unix sockets that it serves. */
  readonly sockets: readonly string[];
}

/**
 * The command that starts `role` under `environment`, which is checked first. Relative paths count from the working directory.
 *
 * @throws {SettingsError} naming every mistake.
 */
export function roleCommand(role: Role, environment: Environment): RoleCommand {
  const reach = reachOf(role, environment);
  const own = [reach.dataDir, ...reach.ownPaths].map((path) => resolve(path));
  const read = reach.readPaths.map((path) => resolve(path));
  const sources = [`${ROOT}/${role}`, `${ROOT}/shared`];
  const network = [...reach.network, ...reach.sockets.map((path) => `unix:${resolve(path)}`)];
  return {
    executable: Deno.execPath(),
    args: [
      "run",
      "--quiet",
      "--no-prompt",
      `--v8-flags=${V8_FLAGS}`,
      `--config=${ROOT}/deno.json`,
      "--allow-env=POWERFLEX_*",
      `--allow-read=${[...own, ...read, ...sources].join(",")}`,
      `--allow-write=${own.join(",")}`,
      `--allow-net=${[...new Set(network)].join(",")}`,
      `${ROOT}/${role}/main.ts`,
    ],
    cwd: Deno.cwd(),
  };
}

/** What `role` may touch under `environment`. @throws {SettingsError} naming every mistake. */
export function reachOf(role: Role, environment: Environment): Reach {
  const further = (environment["POWERFLEX_NET"] ?? "").split(",").filter((part) => part !== "");
  switch (role) {
    case "mdm": {
      const settings = readMdmSettings(environment);
      const own = listeners(settings.bindHost, [settings.apiPort]);
      return {
        dataDir: settings.dataDir,
        ownPaths: databaseFiles(settings),
        readPaths: tokenFile(settings),
        network: [...own, ...peers(own, further)],
        sockets: [],
      };
    }
    case "sds": {
      const settings = readSdsSettings(environment);
      const own = listeners(settings.bindHost, [settings.controlPort, settings.mgmtPort, settings.dataPort]);
      const network = [...own, ...peers([...own, hostOf(settings.mdmUrl)], further)];
      const ownPaths = outside(settings.dataDir, [settings.storageRoot]);
      return { dataDir: settings.dataDir, ownPaths, readPaths: tokenFile(settings), network, sockets: [] };
    }
    case "sdc": {
      const settings = readSdcSettings(environment);
      const { bindHost, controlPort, mgmtPort, devicePort, nbdPort, nbdSocket } = settings;
      const own = listeners(bindHost, [controlPort, mgmtPort, devicePort, nbdPort]);
      const network = [...own, ...peers([...own, hostOf(settings.mdmUrl)], further)];
      const ownPaths = outside(settings.dataDir, [nbdSocket]);
      return { dataDir: settings.dataDir, ownPaths, readPaths: tokenFile(settings), network, sockets: [nbdSocket] };
    }
    case "mgmt": {
      const settings = readMgmtSettings(environment);
      const own = listeners(settings.bindHost, [settings.guiPort]);
      return {
        dataDir: settings.dataDir,
        ownPaths: [],
        readPaths: tokenFile(settings),
        network: [...own, ...peers([...own, hostOf(settings.mdmUrl)], further)],
        sockets: [],
      };
    }
  }
}

function listeners(host: string, ports: readonly number[]): string[] {
  return ports.map((port) => `${bracketed(host)}:${port}`);
}

/** Whom a process may call: all of loopback when it listens there, the MDM, and what `POWERFLEX_NET` adds. */
function peers(known: readonly string[], further: readonly string[]): string[] {
  const loopback = known.some((host) => host.startsWith("127.")) ? ["127.0.0.1"] : [];
  return [...loopback, ...known, ...further];
}

function hostOf(url: string): string {
  const { hostname, port, protocol } = new URL(url);
  return `${hostname}:${port || (protocol === "https:" ? "443" : "80")}`;
}

function bracketed(host: string): string {
  return host.includes(":") ? `[${host}]` : host;
}

/** The database and the files that SQLite keeps beside it, when they lie outside the data directory. */
function databaseFiles(settings: { readonly dataDir: string; readonly dbPath: string }): string[] {
  const { dbPath } = settings;
  return outside(settings.dataDir, [dbPath, `${dbPath}-wal`, `${dbPath}-shm`, `${dbPath}-journal`]);
}

function tokenFile(settings: { readonly dataDir: string; readonly joinTokenFile: string | undefined }): string[] {
  return settings.joinTokenFile === undefined ? [] : outside(settings.dataDir, [settings.joinTokenFile]);
}

function outside(directory: string, paths: readonly string[]): string[] {
  return paths.filter((path) => !resolve(path).startsWith(`${resolve(directory)}/`));
}

/** What a process must know of its host and cannot read itself: Deno opens /proc to `--allow-all` only. */
export function hostIdentity(): Record<string, string> {
  const bootId = firstLine("/proc/sys/kernel/random/boot_id");
  const hostId = firstLine("/etc/machine-id");
  return {
    ...(bootId && { POWERFLEX_BOOT_ID: bootId }),
    ...(hostId && { POWERFLEX_HOST_ID: hostId }),
  };
}

function firstLine(path: string): string | undefined {
  try {
    return Deno.readTextFileSync(path).split("\n")[0]?.trim() || undefined;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.PermissionDenied) return undefined;
    throw error;
  }
}
