/**
 * `deno task demo`: a whole cluster on this machine until Ctrl-C.
 *
 * @module
 */
import { resolve } from "node:path";
import { runDemo } from "@/scripts/demo/demo.ts";
import { parseDemoOptions } from "@/scripts/demo/options.ts";
import { planOf } from "@/scripts/demo/plan.ts";
import { styleFor } from "@/scripts/demo/screen.ts";
import { hostIdentity } from "@/scripts/roles.ts";
import { settingNames } from "@/shared/settings.ts";
import { unknownNames } from "@/shared/settings/read.ts";

async function main(): Promise<number> {
  const parsed = parseDemoOptions(Deno.args);
  if (parsed.kind === "text") {
    console.log(parsed.text);
    return parsed.exitCode;
  }
  const environment = Deno.env.toObject();
  const unknown = unknownNames(environment, settingNames());
  if (unknown.length > 0) {
    console.log(unknown.join("\n"));
    return 2;
  }
  const { options } = parsed;
  const stopping = new AbortController();
  const impatient = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    Deno.addSignalListener(signal, () => {
      if (stopping.signal.aborted) impatient.abort();
      stopping.abort();
    });
  }
  return await runDemo({
    plan: planOf(options, {
      dir: resolve(options.dataDir),
      temporaryDir: environment["TMPDIR"] ?? "/tmp",
      hostIdentity: hostIdentity(),
      times: ownTimes(),
    }),
    dataDir: options.dataDir,
    environment,
    style: styleFor({ isTerminal: Deno.stdout.isTerminal(), noColor: Deno.noColor }),
    print: (text) => console.log(text),
    stopping: stopping.signal,
    impatient: impatient.signal,
  });
}

/** Times of the demo that its environment sets otherwise. */
function ownTimes(): Record<string, string> {
  const outAfter = Deno.env.get("POWERFLEX_OUT_AFTER_MS");
  return outAfter === undefined ? {} : { POWERFLEX_OUT_AFTER_MS: outAfter };
}

if (import.meta.main) Deno.exit(await main());
