/**
 * The life of a role's process, for `main.ts` files: settings, log, start, the line `READY`, signals, clean stop, exit code.
 *
 * | exit code | meaning |
 * | ---: | --- |
 * | 0 | stopped cleanly |
 * | 1 | could not start, or its stop failed |
 * | 2 | refused its settings |
 * | 130 | a second signal cut the stop short |
 *
 * SIGTERM and SIGINT stop it. Under `POWERFLEX_STOP_WITH_STDIN=on` the end of standard input does, and SIGINT is left to the
 * supervisor: a Ctrl-C in its terminal reaches every process at once, which would break the order of the stop.
 *
 * @module
 */
import type { Logger } from "@/shared/log.ts";
import { logger, startLogging } from "@/shared/log.ts";
import type { CommonSettings, Environment, Role } from "@/shared/settings.ts";
import { SettingsError } from "@/shared/settings/read.ts";
import { SETTINGS_EXIT_CODE, settingsOrExit } from "@/shared/settings/environment.ts";

/** The line on standard output that says that all listeners answer. */
export const READY_LINE = "READY";

/** A role that serves. */
export interface RunningRole {
  /** Stops cleanly; the process exits when it resolves. */
  stop(): Promise<void>;
  /** Resolves with the reason when the role itself asks to be stopped; absent: it never does. */
  readonly stopWanted?: Promise<string>;
}

/** How to run one role. */
export interface RoleOptions<Settings> {
  readonly role: Role;
  readonly read: (environment: Environment) => Settings;
  /** Builds the parts and resolves when all listeners answer. `stopping` is aborted when a stop is asked for meanwhile. */
  readonly start: (context: {
    readonly settings: Settings;
    readonly log: Logger;
    readonly stopping: AbortSignal;
  }) => Promise<RunningRole>;
}

/** Runs the role until it is told to stop, then exits the process. */
export async function runRole<Settings extends CommonSettings>(options: RoleOptions<Settings>): Promise<never> {
  const settings = settingsOrExit(options.read);
  startLogging(settings);
  const log = logger(options.role);
  const stopAsked = listenForStop(settings);
  try {
    const running = await options.start({ settings, log, stopping: stopAsked.signal });
    if (!stopAsked.signal.aborted) {
      console.log(READY_LINE);
      const wanted = await Promise.race([aborted(stopAsked.signal), running.stopWanted ?? aborted(stopAsked.signal)]);
      if (wanted !== undefined) stopAsked.abort(wanted);
    }
    log.info("Stopping: {reason}", { reason: String(stopAsked.signal.reason) });
    await running.stop();
    log.info("Stopped");
  } catch (error) {
    if (error instanceof SettingsError) {
      console.error(error.message);
      Deno.exit(SETTINGS_EXIT_CODE);
    }
    log.fatal("Ended by an error: {error}", { error: error instanceof Error ? error.stack ?? error.message : error });
    Deno.exit(1);
  }
  Deno.exit(0);
}

const CUT_SHORT_EXIT_CODE = 130;

/** A controller that is aborted by the first request to stop; the second one ends the process at once. */
function listenForStop(settings: Pick<CommonSettings, "stopWithStdin">): AbortController {
  const asked = new AbortController();
  const onSignal = (name: Deno.Signal) => () => {
    if (asked.signal.aborted) Deno.exit(CUT_SHORT_EXIT_CODE);
    asked.abort(name);
  };
  Deno.addSignalListener("SIGTERM", onSignal("SIGTERM"));
  Deno.addSignalListener("SIGINT", settings.stopWithStdin ? () => {} : onSignal("SIGINT"));
  if (settings.stopWithStdin) {
    standardInputEnd().then(() => {
      if (!asked.signal.aborted) asked.abort("the supervisor is gone");
    });
  }
  return asked;
}

async function standardInputEnd(): Promise<void> {
  const scratch = new Uint8Array(64);
  try {
    while (await Deno.stdin.read(scratch) !== null);
  } catch {
    // A broken input has ended too.
  }
}

function aborted(signal: AbortSignal): Promise<undefined> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve(undefined);
    else signal.addEventListener("abort", () => resolve(undefined), { once: true });
  });
}
