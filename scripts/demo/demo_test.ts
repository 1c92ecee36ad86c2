import { assertEquals, assertMatch, assertNotEquals, assertStringIncludes } from "@std/assert";
import { runDemo } from "@/scripts/demo/demo.ts";
import { parseDemoOptions } from "@/scripts/demo/options.ts";
import { type DemoPlan, membersOf, planOf } from "@/scripts/demo/plan.ts";
import { styleFor } from "@/scripts/demo/screen.ts";
import { ROOT } from "@/scripts/roles.ts";

/** A demo of fake roles in a directory of its own. */
interface FakeDemo extends AsyncDisposable {
  readonly plan: DemoPlan;
  readonly printed: string[];
  readonly done: Promise<number>;
  stop(): void;
  /** `demo.json`, once `accept` likes it. */
  state(accept: (state: State) => boolean): Promise<State>;
  events(): Promise<string[]>;
}

interface State {
  readonly ready: boolean;
  readonly mdm: { readonly pid: number };
  readonly sds: readonly { readonly name: string; readonly pid: number; readonly dataPort: number }[];
  readonly volume: unknown;
}

async function planInTemporaryDir(...flags: string[]): Promise<DemoPlan> {
  const dir = await Deno.makeTempDir();
  for (let offset = 21_000;; offset += 137) {
    const parsed = parseDemoOptions(["--bare", "--port-offset", String(offset), ...flags]);
    if (parsed.kind !== "options") throw new Error(parsed.text);
    const plan = planOf(parsed.options, { dir, temporaryDir: dir, hostIdentity: {} });
    if (membersOf(plan).flatMap(({ ports }) => ports).every(({ port }) => isFree(port))) return plan;
  }
}

function isFree(port: number): boolean {
  try {
    Deno.listen({ hostname: "127.0.0.1", port }).close();
    return true;
  } catch {
    return false;
  }
}

function startDemo(plan: DemoPlan, options: { readonly refusing?: string } = {}): FakeDemo {
  const stopping = new AbortController();
  const printed: string[] = [];
  const eventsFile = `${plan.dir}/events`;
  const names = membersOf(plan).map(({ name }) => name).join(",");
  const done = runDemo({
    plan,
    dataDir: "DIR",
    environment: Deno.env.toObject(),
    style: styleFor({ isTerminal: false, noColor: true }),
    print: (text) => printed.push(text),
    stopping: stopping.signal,
    impatient: new AbortController().signal,
    commandOf: ({ name, role }) => ({
      executable: Deno.execPath(),
      args: ["run", "--quiet", "--allow-all", `${ROOT}/tests/support/fake_role.ts`, role, eventsFile, names]
        .concat(name === options.refusing ? ["refuse"] : []),
      cwd: ROOT,
    }),
  });
  return {
    plan,
    printed,
    done,
    stop: () => stopping.abort(),
    state: (accept) => stateOf(plan, accept),
    events: async () => (await Deno.readTextFile(eventsFile)).trim().split("\n"),
    async [Symbol.asyncDispose]() {
      stopping.abort();
      await done;
      await Deno.remove(plan.dir, { recursive: true });
    },
  };
}

/** Reads `demo.json` each time the directory changes until `accept` likes it. */
async function stateOf(plan: DemoPlan, accept: (state: State) => boolean): Promise<State> {
  const watcher = Deno.watchFs(plan.dir, { recursive: false });
  try {
    const read = async () => {
      const text = await Deno.readTextFile(`${plan.dir}/demo.json`).catch(() => "null");
      const state: State | null = JSON.parse(text);
      return state !== null && accept(state) ? state : undefined;
    };
    const now = await read();
    if (now) return now;
    for await (const _change of watcher) {
      const state = await read();
      if (state) return state;
    }
    throw new Error("the watcher ended");
  } finally {
    watcher.close();
  }
}

Deno.test("runDemo() starts again what was killed, keeps demo.json current and stops in order", async () => {
  await using demo = startDemo(await planInTemporaryDir());
  const first = await demo.state(({ ready }) => ready);
  assertEquals([first.sds.length, first.volume], [3, null]);
  const killed = first.sds[1]!;
  Deno.kill(killed.pid, "SIGKILL");
  const second = await demo.state(({ sds }) => sds[1]!.pid !== 0 && sds[1]!.pid !== killed.pid);
  assertNotEquals(second.sds[1]!.pid, killed.pid);
  assertEquals(second.mdm.pid, first.mdm.pid);
  assertMatch(demo.printed.join("\n"), /sds-2 was ended by SIGKILL; starting it again in 1 s/);
  demo.stop();
  assertEquals(await demo.done, 0);
  const stopped = (await demo.events()).filter((event) => event.startsWith("stopped")).map((event) =>
    event.split(" ")[1]
  );
  assertEquals(stopped.slice(0, 2).sort(), ["mgmt", "sdc-1"]);
  assertEquals(stopped.at(-1), "mdm");
  assertEquals(await Deno.stat(`${demo.plan.dir}/demo.json`).then(() => "there", () => "gone"), "gone");
});

Deno.test("runDemo() leaves a killed process down with --no-restart", async () => {
  await using demo = startDemo(await planInTemporaryDir("--no-restart"));
  const { sds } = await demo.state(({ ready }) => ready);
  Deno.kill(sds[0]!.pid, "SIGKILL");
  await demo.state(({ sds }) => sds[0]!.pid === 0);
  assertStringIncludes(demo.printed.join("\n"), "sds-1 was ended by SIGKILL; it stays down");
});

Deno.test("runDemo() shows the end of the log of a process that cannot start, and stops the others", async () => {
  await using demo = startDemo(await planInTemporaryDir(), { refusing: "sdc-1" });
  assertEquals(await demo.done, 1);
  const text = demo.printed.join("\n");
  assertMatch(text, /sdc-1 ended with exit code 2 before it was ready\. The end of .*sdc-1\.log:/);
  assertStringIncludes(text, "  The fake role refuses to start");
  assertStringIncludes((await demo.events()).join("\n"), "stopped mdm");
});

Deno.test("runDemo() names a busy port in one line and starts nothing", async () => {
  const plan = await planInTemporaryDir();
  using _listener = Deno.listen({ hostname: "127.0.0.1", port: plan.sds[1]!.dataPort });
  await using demo = startDemo(plan);
  assertEquals(await demo.done, 1);
  assertEquals(demo.printed, [
    `Port ${plan.sds[1]!.dataPort} (sds-2 data) is in use: stop what uses it, or start the demo with --port-offset ${
      plan.options.portOffset + 100
    }`,
  ]);
});

Deno.test("runDemo() refuses a directory that another demo uses", async () => {
  await using demo = startDemo(await planInTemporaryDir());
  await demo.state(({ ready }) => ready);
  assertEquals(await refusalOf(demo.plan.dir), [
    "Another demo uses DIR: stop it, or start with another --data-dir and --port-offset",
  ]);
});

Deno.test("runDemo() says in one line when it cannot keep data in the directory", async () => {
  const file = await Deno.makeTempFile();
  try {
    const [line, ...more] = await refusalOf(file);
    assertMatch(line!, /^Cannot keep data in DIR: .*; name another --data-dir$/);
    assertEquals(more, []);
  } finally {
    await Deno.remove(file);
  }
});

/** What the demo prints when it does not start with the data in `dir`. */
async function refusalOf(dir: string): Promise<string[]> {
  const second = await planInTemporaryDir();
  await Deno.remove(second.dir);
  const printed: string[] = [];
  const exitCode = await runDemo({
    plan: { ...second, dir },
    dataDir: "DIR",
    environment: {},
    style: styleFor({ isTerminal: false, noColor: true }),
    print: (text) => printed.push(text),
    stopping: new AbortController().signal,
    impatient: new AbortController().signal,
  });
  assertEquals(exitCode, 1);
  return printed;
}
