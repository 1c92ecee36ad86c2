/**
 * The two servers that the benchmark compares: the demo in a directory and on ports of its own, and qemu-nbd over a raw file.
 *
 * @module
 */
import { ROOT } from "@/scripts/roles.ts";
import { sleep, systemClock } from "@/shared/clock.ts";

/** A running NBD server. */
export interface BenchServer extends AsyncDisposable {
  readonly uri: string;
}

const START_MS_MAX = 60_000;
const POLL_MS = 50;

/** Starts a demo with one volume. @throws {Error} with what it printed when it does not get ready. */
export async function startProduct(
  dir: string,
  options: { readonly portOffset: number; readonly volumeMib: number; readonly tcp: boolean },
): Promise<BenchServer> {
  const args = [
    "--data-dir",
    dir,
    "--port-offset",
    String(options.portOffset),
    "--volume-size",
    `${options.volumeMib}MiB`,
  ];
  const process = new Deno.Command(Deno.execPath(), {
    args: ["run", "--quiet", "--allow-all", `${ROOT}/scripts/demo/main.ts`, ...args],
    stdin: "null",
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  const printed = new Response(process.stdout).text();
  const state = await waitFor(process, async () => {
    const text = await Deno.readTextFile(`${dir}/demo.json`).catch(() => undefined);
    return text === undefined ? undefined : JSON.parse(text) as { sdc: { nbdPort: number; nbdSocket: string }[] };
  });
  if (state === undefined) throw new Error(`The demo did not start:\n${await printed}`);
  const sdc = state.sdc[0]!;
  return {
    uri: options.tcp ? `nbd://127.0.0.1:${sdc.nbdPort}/demo` : `nbd+unix:///demo?socket=${sdc.nbdSocket}`,
    [Symbol.asyncDispose]: async () => {
      await terminate(process);
      await printed;
    },
  };
}

/** Starts qemu-nbd over a sparse raw file. @throws {Error} when it does not listen. */
export async function startPeer(
  dir: string,
  options: { readonly port: number; readonly volumeMib: number; readonly tcp: boolean },
): Promise<BenchServer> {
  const file = `${dir}/peer.raw`;
  const socket = `${dir}/peer.sock`;
  await Deno.writeFile(file, new Uint8Array());
  await Deno.truncate(file, options.volumeMib * 2 ** 20);
  const place = options.tcp ? ["--bind=127.0.0.1", `--port=${options.port}`] : [`--socket=${socket}`];
  const process = new Deno.Command("qemu-nbd", {
    args: ["--persistent", "--shared=0", "--format=raw", "--cache=writeback", "--export-name=demo", ...place, file],
    stdin: "null",
    stdout: "null",
    stderr: "null",
  }).spawn();
  const connected = await waitFor(process, async () => {
    const connecting = options.tcp
      ? Deno.connect({ hostname: "127.0.0.1", port: options.port })
      : Deno.connect({ transport: "unix", path: socket });
    return await connecting.then((connection) => connection, () => undefined);
  });
  if (connected === undefined) {
    throw new Error(`qemu-nbd did not start on ${options.tcp ? `port ${options.port}` : socket}`);
  }
  connected.close();
  return {
    uri: options.tcp ? `nbd://127.0.0.1:${options.port}/demo` : `nbd+unix:///demo?socket=${socket}`,
    [Symbol.asyncDispose]: () => terminate(process),
  };
}

/** Asks again and again until there is an answer, the process ends, or the time is over. */
async function waitFor<Answer>(
  process: Deno.ChildProcess,
  ask: () => Promise<Answer | undefined>,
): Promise<Answer | undefined> {
  const ended = new AbortController();
  process.status.then(() => ended.abort());
  const deadlineMs = performance.now() + START_MS_MAX;
  while (!ended.signal.aborted && performance.now() < deadlineMs) {
    const answer = await ask();
    if (answer !== undefined) return answer;
    await sleep(systemClock, POLL_MS, ended.signal);
  }
  if (!ended.signal.aborted) await terminate(process);
  return undefined;
}

async function terminate(process: Deno.ChildProcess): Promise<void> {
  try {
    process.kill("SIGTERM");
  } catch (error) {
    if (!(error instanceof TypeError)) throw error; // it has ended
  }
  await process.status;
}
