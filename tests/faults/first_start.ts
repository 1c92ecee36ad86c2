/**
 * The README's command as a newcomer runs it: a clean clone, an empty home, Node and nothing else.
 *
 * @module
 */
import { assert, assertEquals } from "@std/assert";
import { ROOT } from "@/scripts/roles.ts";
import { sleep, systemClock } from "@/shared/clock.ts";
import { DemoDirectory, type DemoState, gone, pidsOf } from "@/tests/support/demo_process.ts";
import { missing, run } from "@/tests/support/programs.ts";

const FIRST_START_MS_MAX = 30_000;
const SECOND_START_MS_MAX = 8000;
const absent = missing(["node", "npx", "git"]);
if (absent.length > 0) console.log(`Without a newcomer's start: ${absent.join(", ")} is not installed`);

Deno.test({
  name: "scenario: a newcomer with Node alone starts the demo from a clean clone, stops it and starts it again",
  ignore: absent.length > 0,
  async fn(t) {
    // The directory only lends its choice of free ports.
    await using place = new DemoDirectory();
    const clone = `${place.dir}/clone`;
    const home = `${place.dir}/home`;
    await run("git", ["clone", "--quiet", ROOT, clone]);
    await Deno.mkdir(home);
    for (const [name, limitMs] of [["first", FIRST_START_MS_MAX], ["second", SECOND_START_MS_MAX]] as const) {
      await t.step(`${name} start: healthy in time, stops cleanly`, async () => {
        const startedMs = systemClock.monotonicMs();
        const npx = startNpx({ clone, home, portOffset: place.portOffset });
        const output = new Response(npx.stdout).text();
        try {
          const state = await readyState(`${clone}/.powerflex/demo.json`, npx);
          const readyMs = Math.round(systemClock.monotonicMs() - startedMs);
          assert(readyMs < limitMs, `ready after ${readyMs} ms`);
          await answers(state);
          const overview = await (await fetch(`${state.mdm.url}/api/v1/overview`)).json();
          assertEquals(overview.health, "healthy");
          const rebuilds = overview.pools.map((pool: { rebuild: unknown }) => pool.rebuild);
          assertEquals(rebuilds, [null], "nothing is copied");
          const stopMs = systemClock.monotonicMs();
          stop(npx);
          await npx.status;
          await gone(pidsOf(state));
          console.log(
            `${name}: ready after ${readyMs} ms, stopped in ${Math.round(systemClock.monotonicMs() - stopMs)} ms`,
          );
        } finally {
          stop(npx);
          await npx.status;
          await output;
        }
      });
    }
  },
});

/** The command of the README in a process group of its own, with an environment in which nothing but Node is found. */
function startNpx(place: { clone: string; home: string; portOffset: number }): Deno.ChildProcess {
  const node = (Deno.env.get("PATH") ?? "").split(":").find((directory) => {
    try {
      return Deno.statSync(`${directory}/node`).isFile;
    } catch {
      return false;
    }
  });
  return new Deno.Command("setsid", {
    args: ["npx", "-y", "deno@2.9.5", "task", "demo", "--port-offset", String(place.portOffset)],
    cwd: place.clone,
    clearEnv: true,
    env: { HOME: place.home, PATH: `${node}:/usr/bin:/bin`, ...registrySettings() },
    stdin: "null",
    stdout: "piped",
  }).spawn();
}

/** Where this machine fetches packages from and whom it trusts, which an empty home would forget. */
function registrySettings(): Record<string, string> {
  const names = Object.keys(Deno.env.toObject()).filter((name) =>
    /^(?:npm_config_|NPM_CONFIG_|NODE_EXTRA_CA_CERTS$|DENO_CERT$|DENO_TLS_CA_STORE$|SSL_CERT_FILE$|https?_proxy$|HTTPS?_PROXY$|NO_PROXY$)/
      .test(name)
  );
  return Object.fromEntries(names.map((name) => [name, Deno.env.get(name)!]));
}

/** Ctrl-C reaches the process group; npx hands on no signal that it gets alone. Does nothing once all of it ended. */
function stop(npx: Deno.ChildProcess): void {
  try {
    Deno.kill(-npx.pid, "SIGINT");
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}

async function readyState(path: string, npx: Deno.ChildProcess): Promise<DemoState> {
  let ended = false;
  npx.status.then(() => ended = true);
  while (!ended) {
    const text = await Deno.readTextFile(path).catch(() => undefined);
    if (text !== undefined) return JSON.parse(text);
    await sleep(systemClock, 25);
  }
  throw new Error("The demo ended before it was ready");
}

/** The dashboard and the NBD server answer. */
async function answers(state: DemoState): Promise<void> {
  const page = await fetch(state.mgmt.url, { headers: { Accept: "text/html" } });
  await page.body?.cancel();
  assert(page.ok, `the dashboard answers ${page.status}`);
  using connection = await Deno.connect({ hostname: "127.0.0.1", port: state.sdc[0]!.nbdPort });
  const hello = new Uint8Array(18);
  await connection.read(hello);
  assertEquals(new TextDecoder().decode(hello.subarray(0, 8)), "NBDMAGIC");
}
