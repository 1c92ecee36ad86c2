/**
 * Each role under the very flags that the demo and the tasks start it with, asked to do what it has no business doing: the
 * runtime refuses, whatever the code asks for.
 *
 * @module
 */
import { assertEquals } from "@std/assert";
import { roleCommand, ROOT } from "@/scripts/roles.ts";
import { type Role, ROLES } from "@/shared/settings.ts";

/** Runs in place of `main.ts`: tries each line of `attempts.json` in its directory and prints what came of it. */
const PROBE = `
const attempts = JSON.parse(Deno.readTextFileSync(new URL("attempts.json", import.meta.url)));
const acts = {
  read: (path) => Deno.readTextFileSync(path),
  list: (path) => [...Deno.readDirSync(path)],
  stat: (path) => Deno.statSync(path),
  write: (path) => Deno.writeTextFileSync(path, "written by the probe"),
  remove: (path) => Deno.removeSync(path),
  link: (path) => Deno.symlinkSync(path, new URL("link", import.meta.url)),
  database: async (path) => new (await import("node:sqlite")).DatabaseSync(path).close(),
  run: (path) => new Deno.Command(path).outputSync(),
  spawn: async (path) => (await import("node:child_process")).execFileSync(path),
  library: (path) => Deno.dlopen(path, {}),
  env: (name) => Deno.env.get(name),
  system: () => Deno.hostname(),
  signal: (pid) => Deno.kill(Number(pid), "SIGCONT"),
  connect: async (address) => {
    const [hostname, port] = address.split(":");
    (await Deno.connect({ hostname, port: Number(port) })).close();
  },
};
for (const [act, subject] of attempts) {
  let outcome = "allowed";
  try { await acts[act](subject); } catch (error) { outcome = error.code === "ERR_ACCESS_DENIED" ? "NotCapable" : error.name; }
  console.log(act + " " + subject + ": " + outcome);
}
`;

const DIRECTORIES: Readonly<Record<Role, string>> = { mdm: "mdm", sds: "sds-1", sdc: "sdc-1", mgmt: "mgmt" };

/** What nobody may do, in the directory of a demo. */
function forbidden(role: Role, root: string): [string, string][] {
  const neighbours = [...Object.values(DIRECTORIES), "sds-2"].filter((name) => name !== DIRECTORIES[role]);
  const otherRole = role === "mdm" ? "sds" : "mdm";
  return [
    ...neighbours.flatMap((name): [string, string][] => [
      ["read", `${root}/${name}/secret`],
      ["list", `${root}/${name}`],
      ["stat", `${root}/${name}/secret`],
      ["write", `${root}/${name}/secret`],
      ["write", `${root}/${name}/new`],
      ["remove", `${root}/${name}/secret`],
      ["database", `${root}/${name}/powerflex.db`],
      ["read", `${root}/${DIRECTORIES[role]}/../${name}/secret`],
      ["link", `${root}/${name}/secret`],
    ]),
    ["list", root],
    ["write", `${root}/${DIRECTORIES[role]}-2`],
    ["read", "/etc/passwd"],
    ["read", "/proc/self/environ"],
    ["write", `${ROOT}/${role}/main.ts`],
    ["read", `${ROOT}/${otherRole}/main.ts`],
    ["run", "/bin/true"],
    ["run", Deno.execPath()],
    ["spawn", "/bin/true"],
    ["library", "/lib/x86_64-linux-gnu/libc.so.6"],
    ["env", "HOME"],
    ["env", "PATH"],
    ["system", ""],
    ["signal", "1"],
    ["connect", "192.0.2.1:80"],
    ["connect", "localhost.example:443"],
  ];
}

for (const role of ROLES) {
  Deno.test(`roleCommand() makes the runtime refuse ${role} its neighbours, programs, libraries and the rest of the host`, async () => {
    const root = await Deno.makeTempDir();
    try {
      for (const name of [...Object.values(DIRECTORIES), "sds-2"]) {
        await Deno.mkdir(`${root}/${name}`);
        await Deno.writeTextFile(`${root}/${name}/secret`, name);
      }
      const own = `${root}/${DIRECTORIES[role]}`;
      const attempts = forbidden(role, root);
      const allowed = [["read", `${own}/secret`], ["write", `${own}/new`], ["list", own], ["env", "POWERFLEX_X"]];
      await Deno.writeTextFile(`${own}/attempts.json`, JSON.stringify([...attempts, ...allowed]));
      await Deno.writeTextFile(`${own}/probe.ts`, PROBE);
      const { executable, args, cwd } = roleCommand(role, { POWERFLEX_DATA_DIR: own });
      const command = new Deno.Command(executable, {
        args: [...args.slice(0, -1), `${own}/probe.ts`],
        cwd,
        stdin: "null",
      });
      const { stdout, stderr, code } = await command.output();
      assertEquals(code, 0, new TextDecoder().decode(stderr));
      const expected = [
        ...attempts.map(([act, subject]) => `${act} ${subject}: NotCapable`),
        ...allowed.map(([act, subject]) => `${act} ${subject}: allowed`),
      ];
      assertEquals(new TextDecoder().decode(stdout).trimEnd().split("\n"), expected);
      for (const name of [...Object.values(DIRECTORIES), "sds-2"]) {
        assertEquals(await Deno.readTextFile(`${root}/${name}/secret`), name);
      }
    } finally {
      await Deno.remove(root, { recursive: true });
    }
  });
}
