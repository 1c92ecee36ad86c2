/**
 * `deno task model`: explores the replication protocol as a small model (`docs/replication.md`). `--help` lists the options.
 * Exit code 1 when a violation was found.
 *
 * @module
 */
import { parseArgs } from "node:util";
import { type Exploration, type Finding, search, walk } from "@/tests/model/explore.ts";
import { type Guard, GUARDS, isGuard } from "@/tests/model/guards.ts";

const HELP = `Explore the replication protocol: one group, three devices, one block, two writers, any reader.

  --crashes=2 --restarts=2     processes that stop, and start again
  --changes=3                  changes of the configuration
  --joins=1 --resends=1        joins begun; requests that each writer sends again
  --reopenings=0 --handovers=0 links opened anew under a write; planned changes of the primary
  --power-loss                 a crash may lose what was not synced
  --two-sdcs                   the writers do not wait for each other
  --without=GUARD,...          leave rules out (--guards lists them)
  --states=1000000             stop a search at so many states
  --walks=0 --depth=120 --seed=1   random walks instead of a search
`;

const { values } = parseArgs({
  options: {
    help: { type: "boolean", default: false },
    guards: { type: "boolean", default: false },
    crashes: { type: "string", default: "2" },
    restarts: { type: "string", default: "2" },
    changes: { type: "string", default: "3" },
    joins: { type: "string", default: "1" },
    resends: { type: "string", default: "1" },
    reopenings: { type: "string", default: "0" },
    handovers: { type: "string", default: "0" },
    "power-loss": { type: "boolean", default: false },
    "two-sdcs": { type: "boolean", default: false },
    without: { type: "string", default: "" },
    states: { type: "string", default: "1000000" },
    walks: { type: "string", default: "0" },
    depth: { type: "string", default: "120" },
    seed: { type: "string", default: "1" },
  },
});

if (values.help) console.log(HELP);
else if (values.guards) {
  for (const [guard, rule] of Object.entries(GUARDS)) {
    console.log(`${guard.padEnd(26)} ${rule}`);
  }
} else explore();

function explore(): void {
  const startedMs = performance.now();
  const walkCount = count("walks");
  const finding = walkCount > 0
    ? walk(exploration(), { walkCount, depthMax: count("depth"), seed: count("seed") })
    : search(exploration(), { statesMax: count("states") });
  tell(finding, (performance.now() - startedMs) / 1000);
  if (finding.trace !== undefined) Deno.exit(1);
}

function exploration(): Exploration {
  const resends = count("resends");
  return {
    without: new Set(guardsWanted()),
    epochMax: count("changes"),
    twoSdcs: values["two-sdcs"],
    powerLoss: values["power-loss"],
    budgets: {
      crashes: count("crashes"),
      restarts: count("restarts"),
      reopenings: count("reopenings"),
      joins: count("joins"),
      handOvers: count("handovers"),
      resends: [resends, resends],
    },
  };
}

function guardsWanted(): Guard[] {
  return values.without.split(",").filter((name) => name !== "").map((name) => {
    if (isGuard(name)) return name;
    throw new TypeError(`Cannot leave out ${name}: the guards are ${Object.keys(GUARDS).join(", ")}`);
  });
}

function count(
  option: Exclude<keyof typeof values, "help" | "guards" | "power-loss" | "two-sdcs" | "without">,
): number {
  const number = Number(values[option]);
  if (Number.isSafeInteger(number) && number >= 0) return number;
  throw new TypeError(`Cannot take --${option}=${values[option]}: it is a whole number from 0`);
}

function tell(finding: Finding, seconds: number): void {
  const { stateCount, stepCount, depth, isComplete, trace } = finding;
  for (const line of trace ?? []) console.log(`  ${line}`);
  const verdict = trace !== undefined
    ? "VIOLATION"
    : isComplete
    ? "complete, no violation"
    : "no violation within bounds";
  console.log(`${verdict}: ${stateCount} states, ${stepCount} steps, depth ${depth}, ${seconds.toFixed(1)} s`);
}
