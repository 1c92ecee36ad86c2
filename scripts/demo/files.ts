/**
 * What the demo keeps in its directory beside the data of its processes.
 *
 * | name | content |
 * | --- | --- |
 * | `demo.json` | addresses and pids, for scripts; there while the demo is ready |
 * | `demo.lock` | locked by the supervisor |
 * | `join.token` | with which the processes enrol; mode 0600 |
 * | `log/NAME.log` | what a process writes |
 * | `run/NAME` | starts that process alone, as the demo does |
 *
 * @module
 */
import type { Member } from "@/scripts/demo/plan.ts";
import { type DemoPlan, membersOf } from "@/scripts/demo/plan.ts";
import type { DemoVolume } from "@/scripts/demo/topology.ts";
import { roleCommand } from "@/scripts/roles.ts";
import { randomHex, systemRandom } from "@/shared/random.ts";

/** A log larger than this at the start is set aside as `.1`. */
const LOG_BYTES_MAX = 10 * 1024 * 1024;
const JOIN_TOKEN_BYTES = 32;

export function logFileOf(plan: DemoPlan, name: string): string {
  return `${plan.dir}/log/${name}.log`;
}

/** Makes the directories and, with `reset`, forgets what earlier starts left: only what a demo makes, nothing else. */
export async function prepareDirectory(plan: DemoPlan): Promise<void> {
  await Deno.mkdir(plan.dir, { recursive: true, mode: 0o700 });
  if (plan.options.reset) await removeOldData(plan.dir);
  await removeIfThere(stateFile(plan));
  for (const name of ["log", "run", ...membersOf(plan).map((member) => member.name)]) {
    await Deno.mkdir(`${plan.dir}/${name}`, { recursive: true, mode: 0o700 });
  }
  for (const { name } of membersOf(plan)) await setLogAside(logFileOf(plan, name));
}

async function removeOldData(dir: string): Promise<void> {
  for await (const { name } of Deno.readDir(dir)) {
    if (/^(?:mdm|mgmt|sds-\d+|sdc-\d+|log|run|join\.token)$/.test(name)) {
      await Deno.remove(`${dir}/${name}`, { recursive: true });
    }
  }
}

async function setLogAside(path: string): Promise<void> {
  const size = await Deno.stat(path).then((info) => info.size, () => 0);
  if (size > LOG_BYTES_MAX) await Deno.rename(path, `${path}.1`);
}

/**
 * Makes the directory and locks it for as long as the result is open. A text says why it cannot be used; `name` is what the user
 * calls it.
 */
export async function lockDirectory(dir: string, name: string): Promise<Disposable | string> {
  let file: Deno.FsFile;
  try {
    await Deno.mkdir(dir, { recursive: true, mode: 0o700 });
    file = await Deno.open(`${dir}/demo.lock`, { create: true, write: true, mode: 0o600 });
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    return `Cannot keep data in ${name}: ${reason}; name another --data-dir`;
  }
  if (await file.tryLock(true)) return file;
  file.close();
  return `Another demo uses ${name}: stop it, or start with another --data-dir and --port-offset`;
}

/** The join token of this cluster, made at the first start. */
export async function ensureJoinToken(plan: DemoPlan): Promise<string> {
  const path = joinTokenFile(plan);
  try {
    return (await Deno.readTextFile(path)).trim();
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  const token = randomHex(systemRandom, JOIN_TOKEN_BYTES);
  await Deno.writeTextFile(path, `${token}\n`, { mode: 0o600 });
  return token;
}

function joinTokenFile(plan: DemoPlan): string {
  return `${plan.dir}/join.token`;
}

/** What `demo.json` tells beside the plan. */
export interface DemoState {
  readonly pidOf: (name: string) => number | undefined;
  /** Empty once the administrator has chosen a password. */
  readonly oneTimePassword: string;
  readonly volume: DemoVolume | null;
}

/** Replaces `demo.json` in one step, so that a reader never sees half of it. A process that is away has pid 0. */
export async function writeState(plan: DemoPlan, state: DemoState): Promise<void> {
  const pid = ({ name }: Member) => state.pidOf(name) ?? 0;
  const document = {
    ready: true,
    mdm: { url: plan.mdmUrl, pid: pid(plan.mdm) },
    mgmt: { url: plan.mgmtUrl, pid: pid(plan.mgmt), user: "admin", oneTimePassword: state.oneTimePassword },
    sds: plan.sds.map((sds) => ({
      name: sds.name,
      pid: pid(sds),
      controlUrl: `http://127.0.0.1:${sds.controlPort}`,
      mgmtUrl: `http://127.0.0.1:${sds.mgmtPort}`,
      dataPort: sds.dataPort,
      dir: sds.dir,
    })),
    sdc: plan.sdc.map((sdc) => ({
      name: sdc.name,
      pid: pid(sdc),
      controlUrl: `http://127.0.0.1:${sdc.controlPort}`,
      mgmtUrl: `http://127.0.0.1:${sdc.mgmtPort}`,
      devicePort: sdc.devicePort,
      nbdPort: sdc.nbdPort,
      nbdSocket: sdc.nbdSocket,
    })),
    volume: state.volume && { id: state.volume.id, name: state.volume.name },
  };
  const path = stateFile(plan);
  await Deno.writeTextFile(`${path}.new`, `${JSON.stringify(document, null, 2)}\n`, { mode: 0o600 });
  await Deno.rename(`${path}.new`, path);
}

/** Says that the demo is not ready any more. */
export function removeState(plan: DemoPlan): Promise<void> {
  return removeIfThere(stateFile(plan));
}

function stateFile(plan: DemoPlan): string {
  return `${plan.dir}/demo.json`;
}

async function removeIfThere(path: string): Promise<void> {
  try {
    await Deno.remove(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}

/** One executable per process that starts it alone, with the demo's flags and settings. */
export async function writeRunFiles(plan: DemoPlan): Promise<void> {
  for (const member of membersOf(plan)) {
    const path = `${plan.dir}/run/${member.name}`;
    await Deno.writeTextFile(path, runFile(plan, member), { mode: 0o700 });
    await Deno.chmod(path, 0o700);
  }
}

function runFile(plan: DemoPlan, member: Member): string {
  const command = roleCommand(member.role, member.environment);
  const settings = Object.entries(member.environment)
    .filter(([name]) => name !== "POWERFLEX_BOOT_ID")
    .map(([name, value]) => `export ${name}=${quoted(value)}`);
  return `#!/bin/sh
# Starts ${member.name} alone, with the flags and settings that the demo gives it. Stop that of the demo first.
set -e
${settings.join("\n")}
if [ -r /proc/sys/kernel/random/boot_id ]; then
  POWERFLEX_BOOT_ID=$(cat /proc/sys/kernel/random/boot_id)
  export POWERFLEX_BOOT_ID
fi
POWERFLEX_JOIN_TOKEN=$(cat ${quoted(joinTokenFile(plan))})
export POWERFLEX_JOIN_TOKEN
exec ${[command.executable, ...command.args].map(quoted).join(" ")} "$@"
`;
}

/** `text` as one word of a shell. */
export function quoted(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}

/** The last lines of a log, for the message that says why a process did not start. */
export async function lastLines(path: string, count: number): Promise<string[]> {
  const text = await Deno.readTextFile(path).catch(() => "");
  return text.trimEnd().split("\n").filter((line) => line !== "").slice(-count);
}

/** The password of the first sign-in, while it has not been replaced. */
export async function readOneTimePassword(plan: DemoPlan): Promise<string> {
  try {
    return (await Deno.readTextFile(`${plan.mgmt.dir}/one_time_password`)).trim();
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return "";
    throw error;
  }
}
