import { assertEquals, assertStringIncludes } from "@std/assert";
import { type DemoOptions, parseDemoOptions } from "@/scripts/demo/options.ts";
import { planOf } from "@/scripts/demo/plan.ts";
import { type ReadyFacts, readyScreen, sizeText, styleFor } from "@/scripts/demo/screen.ts";

const PLAIN = styleFor({ isTerminal: false, noColor: false });

function facts(changes: Partial<ReadyFacts> = {}): ReadyFacts {
  const { options } = parseDemoOptions([]) as { options: DemoOptions }; // no flags: no mistake
  return {
    plan: planOf(options, { dir: "/data", temporaryDir: "/tmp", hostIdentity: {} }),
    dataDir: ".powerflex",
    volume: { id: 1, name: "demo", sizeBytes: 2 ** 30 },
    oneTimePassword: "abcde-fghij",
    victimPid: 4711,
    healthy: true,
    seconds: 2.345,
    ...changes,
  };
}

Deno.test("readyScreen() fits a screen and shows addresses, password and three commands", () => {
  assertEquals(readyScreen(facts(), PLAIN).split("\n"), [
    "",
    "● The cluster is healthy (ready after 2.3 s)",
    "",
    "  Dashboard  http://127.0.0.1:5000",
    "             sign in as admin with abcde-fghij (works once)",
    "  NBD        nbd://127.0.0.1:10809/demo 1 GiB, two copies",
    "             on this host faster: nbd+unix:///demo?socket=/data/sdc-1/nbd.sock",
    "",
    "  Try        nbdinfo nbd://127.0.0.1:10809/demo",
    "             nbdcopy disk.img nbd://127.0.0.1:10809/demo",
    "             kill -9 4711 # sds-1: IO goes on, the dashboard shows it heal",
    "",
    "Ctrl-C stops everything; the data stays in .powerflex. Logs: .powerflex/log",
    "",
  ]);
});

Deno.test("readyScreen() says what differs: an empty cluster, one that heals, a password that was replaced", () => {
  assertStringIncludes(readyScreen(facts({ volume: null }), PLAIN), "6 processes run and are registered");
  assertStringIncludes(readyScreen(facts({ healthy: false }), PLAIN), "still heals");
  assertStringIncludes(readyScreen(facts({ oneTimePassword: "" }), PLAIN), "with the password you chose");
});

Deno.test("styleFor() colours a terminal, unless NO_COLOR is set", () => {
  assertEquals(styleFor({ isTerminal: true, noColor: false }).bold("x"), "\u001b[1mx\u001b[0m");
  assertEquals(styleFor({ isTerminal: true, noColor: true }).bold("x"), "x");
});

Deno.test("sizeText() picks the unit that people use", () => {
  assertEquals([2 ** 30, 1.5 * 2 ** 30, 512 * 2 ** 20, 2 ** 41].map(sizeText), [
    "1 GiB",
    "1.5 GiB",
    "512 MiB",
    "2 TiB",
  ]);
});
