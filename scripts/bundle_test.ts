import { assert, assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { dirname } from "node:path";
import { bundleRole, FIRST_LINE_BYTES_MAX, firstLine, parseRoles } from "@/scripts/bundle.ts";
import { ROOT } from "@/scripts/roles.ts";
import { READY_LINE } from "@/shared/role_process.ts";
import { type Role, ROLES } from "@/shared/settings.ts";

/** Listeners on ports that were free; the last one answers the health call. */
const PORT_SETTINGS: Readonly<Record<Role, readonly string[]>> = {
  mdm: ["POWERFLEX_MDM_API_PORT"],
  sds: ["POWERFLEX_SDS_DATA_PORT", "POWERFLEX_SDS_CONTROL_PORT", "POWERFLEX_SDS_MGMT_PORT"],
  sdc: [
    "POWERFLEX_SDC_NBD_PORT",
    "POWERFLEX_SDC_DEVICE_PORT",
    "POWERFLEX_SDC_CONTROL_PORT",
    "POWERFLEX_SDC_MGMT_PORT",
  ],
  mgmt: ["POWERFLEX_MGMT_GUI_PORT"],
};

for (const role of ROLES) {
  Deno.test(`bundleRole() makes a file that starts ${role} with an empty cache and no network`, async () => {
    const dir = await Deno.makeTempDir();
    try {
      const ports = freePorts(PORT_SETTINGS[role].length);
      const settings = {
        POWERFLEX_DATA_DIR: `${dir}/data`,
        POWERFLEX_MDM_BASE_URL: "http://127.0.0.1:1",
        ...Object.fromEntries(PORT_SETTINGS[role].map((name, index) => [name, String(ports[index])])),
      };
      const path = await bundleRole(role, { outDir: `${dir}/out`, environment: settings });
      assertEquals(foreignImports(await Deno.readTextFile(path)), []);
      await answersHealth(path, { dir, settings, port: ports.at(-1)! });
      assertEquals(await downloaded(`${dir}/cache`), []);
    } finally {
      await Deno.remove(dir, { recursive: true });
    }
  });
}

interface StartOptions {
  readonly dir: string;
  readonly settings: Readonly<Record<string, string>>;
  readonly port: number;
}

/** Starts the file as a person does, far from the sources, and asks it how it is. */
async function answersHealth(path: string, { dir, settings, port }: StartOptions): Promise<void> {
  const proxy = "http://127.0.0.1:1"; // where nobody listens: whatever would be fetched fails
  await using bundle = new Deno.Command(path, {
    cwd: dir,
    clearEnv: true,
    env: {
      PATH: `${dirname(Deno.execPath())}:/usr/bin:/bin`,
      HOME: dir,
      DENO_DIR: `${dir}/cache`,
      HTTP_PROXY: proxy,
      HTTPS_PROXY: proxy,
      NO_PROXY: "127.0.0.1",
      POWERFLEX_JOIN_TOKEN: "0".repeat(64),
      ...settings,
    },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const errors = new Response(bundle.stderr).text();
  const output = bundle.stdout.pipeThrough(new TextDecoderStream()).getReader();
  const said = (await output.read()).value ?? "";
  if (!said.startsWith(READY_LINE)) throw new Error(`${path} did not start: ${said}${await errors}`);
  const answer = await fetch(`http://127.0.0.1:${port}/healthz`);
  assertEquals(answer.status, 200);
  await answer.body?.cancel();
  bundle.kill("SIGTERM");
  while (!(await output.read()).done);
  await errors;
  assertEquals((await bundle.status).code, 0);
}

/** Modules that the file would have to find elsewhere. */
function foreignImports(source: string): string[] {
  return [...source.matchAll(/^(?:import|export)\b[^;]*?\bfrom "([^"]+)"/gm)].map(([, name]) => name!)
    .filter((name) => !name.startsWith("node:"));
}

/** What a cache holds of packages and remote modules. */
async function downloaded(cache: string): Promise<string[]> {
  const found: string[] = [];
  for (const folder of ["npm", "remote", "dl"]) {
    try {
      for await (const { name } of Deno.readDir(`${cache}/${folder}`)) found.push(`${folder}/${name}`);
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
  }
  return found;
}

function freePorts(count: number): number[] {
  const listeners = Array.from({ length: count }, () => Deno.listen({ hostname: "127.0.0.1", port: 0 }));
  const ports = listeners.map(({ addr }) => (addr as Deno.NetAddr).port); // they listen on TCP
  for (const listener of listeners) listener.close();
  return ports;
}

Deno.test("firstLine() carries the role's permissions, relative paths as they are", () => {
  assertEquals(
    firstLine("sdc", { POWERFLEX_NET: "10.0.0.0/24" }),
    "#!/usr/bin/env -S deno run -q --no-prompt --no-config --cached-only --ext=mjs -E=POWERFLEX_* -R=.powerflex/sdc-1 " +
      "-W=.powerflex/sdc-1 -N=127.0.0.1,10.0.0.0/24,unix:${PWD}/.powerflex/sdc-1/nbd.sock",
  );
  assertStringIncludes(
    firstLine("sds", { POWERFLEX_DATA_DIR: "/srv/sds", POWERFLEX_JOIN_TOKEN_FILE: "/etc/token" }),
    " -R=/srv/sds,/etc/token -W=/srv/sds ",
  );
});

Deno.test("firstLine() refuses what the kernel would cut off or split", () => {
  const long = { POWERFLEX_DATA_DIR: `/${"d".repeat(80)}` };
  const error = assertThrows(() => firstLine("mdm", long), Error, `may have ${FIRST_LINE_BYTES_MAX}`);
  assert(error.message.includes("choose shorter paths"));
  assertThrows(() => firstLine("mdm", { POWERFLEX_DATA_DIR: "/my data" }), Error, "without blanks");
});

Deno.test("parseRoles() takes all roles or those named, and refuses others", () => {
  const defaults = { outDir: "dist" };
  assertEquals(parseRoles([], defaults), { roles: ROLES, outDir: "dist", help: false });
  assertEquals(parseRoles(["sds", "--out-dir", "/x"], defaults), { roles: ["sds"], outDir: "/x", help: false });
  assertThrows(() => parseRoles(["nas"], defaults), Error, "There is no role nas: name mdm, sds, sdc, mgmt");
});

Deno.test("bundle.ts says what is wrong with the settings and makes nothing", async () => {
  const { code, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "--quiet", "--allow-all", `${ROOT}/scripts/bundle.ts`, "mdm", "--out-dir", "/nowhere/at/all"],
    env: { POWERFLEX_MDM_API_PORT: "x" },
    stderr: "piped",
    stdout: "null",
  }).output();
  assertStringIncludes(new TextDecoder().decode(stderr), 'POWERFLEX_MDM_API_PORT is "x"');
  assertEquals(code, 2);
});
