import { assertEquals, assertStringIncludes } from "@std/assert";

const FAKE_ROLE = new URL("../tests/support/fake_role.ts", import.meta.url).pathname;

interface Fake extends AsyncDisposable {
  readonly process: Deno.ChildProcess;
  /** The next text on standard output. */
  nextOutput(): Promise<string>;
  events(): Promise<string>;
}

async function startFake(environment: Record<string, string>): Promise<Fake> {
  const eventsFile = await Deno.makeTempFile();
  const process = new Deno.Command(Deno.execPath(), {
    args: ["run", "--quiet", "--allow-all", FAKE_ROLE, "mdm", eventsFile, ""],
    env: { POWERFLEX_MDM_API_PORT: String(freePort()), ...environment },
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const output = process.stdout.pipeThrough(new TextDecoderStream()).getReader();
  return {
    process,
    nextOutput: async () => (await output.read()).value ?? "",
    events: () => Deno.readTextFile(eventsFile),
    async [Symbol.asyncDispose]() {
      await output.cancel();
      await process.stdin.abort().catch(() => {});
      await process.stderr.cancel().catch(() => {}); // a test may have read it
      await Deno.remove(eventsFile);
    },
  };
}

function freePort(): number {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return listener.addr.port;
}

Deno.test("runRole() says READY, stops cleanly at SIGTERM and exits with 0", async () => {
  await using fake = await startFake({});
  assertEquals(await fake.nextOutput(), "READY\n");
  fake.process.kill("SIGTERM");
  assertEquals((await fake.process.status).code, 0);
  assertEquals(await fake.events(), "started mdm\nstopped mdm\n");
});

Deno.test("runRole() stops when standard input ends, and leaves SIGINT to the supervisor, when told so", async () => {
  await using fake = await startFake({ POWERFLEX_STOP_WITH_STDIN: "on" });
  assertEquals(await fake.nextOutput(), "READY\n");
  fake.process.kill("SIGINT");
  await fake.process.stdin.close();
  assertEquals((await fake.process.status).code, 0);
  assertEquals(await fake.events(), "started mdm\nstopped mdm\n");
});

Deno.test("runRole() refuses settings with exit code 2 and one line per mistake", async () => {
  await using fake = await startFake({ POWERFLEX_AUTH: "open", POWERFLEX_BIND_HOST: "0.0.0.0" });
  const { code } = await fake.process.status;
  const errors = await new Response(fake.process.stderr).text();
  assertEquals(code, 2);
  assertStringIncludes(errors, 'Cannot start with these settings:\n  - POWERFLEX_AUTH is "open"');
  assertStringIncludes(errors, "\n  - POWERFLEX_BIND_HOST is");
});
