/**
 * The flags of `deno task demo`.
 *
 * @module
 */
import { parseArgs } from "node:util";
import { SDS_PER_HOST_MAX } from "@/shared/port_numbers.ts";

/** What the user asked for. */
export interface DemoOptions {
  /** As given; relative paths count from the working directory. */
  readonly dataDir: string;
  /** Added to every port. */
  readonly portOffset: number;
  readonly sdsCount: number;
  readonly sdcCount: number;
  readonly volumeBytes: number;
  /** Start and register the processes, create nothing. */
  readonly bare: boolean;
  /** Forget the data of earlier starts. */
  readonly reset: boolean;
  /** Start again what ends by itself. */
  readonly restart: boolean;
}

/** Options, or a text to print and the exit code to end with. */
export type ParsedOptions =
  | { readonly kind: "options"; readonly options: DemoOptions }
  | { readonly kind: "text"; readonly text: string; readonly exitCode: 0 | 2 };

/** SDCs whose ports stay apart: each adds ten. */
export const SDC_COUNT_MAX = 9;

export const DEMO_HELP =
  `Starts a whole cluster on this machine: MDM, three SDSs, an SDC and MGMT on loopback, with a volume of 1 GiB.

Usage: deno task demo [options]

  --data-dir DIR       where everything is kept (default .powerflex)
  --port-offset N      added to every port (default 0)
  --sds N              storage servers, 2 to ${SDS_PER_HOST_MAX} (default 3)
  --sdc N              clients, 1 to ${SDC_COUNT_MAX} (default 1)
  --volume-size SIZE   of the volume "demo" when it is made, such as 512MiB or 4GiB (default 1GiB)
  --bare               start and register the processes, create nothing
  --reset              forget the data of earlier starts
  --no-restart         do not start again what ends by itself
  --help               this text

Ctrl-C stops everything; the next start finds the data again.
`;

/** Reads the command line. */
export function parseDemoOptions(args: readonly string[]): ParsedOptions {
  let values;
  try {
    ({ values } = parseArgs({
      args: [...args],
      options: {
        "data-dir": { type: "string", default: ".powerflex" },
        "port-offset": { type: "string", default: "0" },
        "sds": { type: "string", default: "3" },
        "sdc": { type: "string", default: "1" },
        "volume-size": { type: "string", default: "1GiB" },
        "bare": { type: "boolean", default: false },
        "reset": { type: "boolean", default: false },
        "no-restart": { type: "boolean", default: false },
        "help": { type: "boolean", default: false, short: "h" },
      },
    }));
  } catch (error) {
    return mistake(error instanceof Error ? error.message : String(error));
  }
  if (values.help) return { kind: "text", text: DEMO_HELP, exitCode: 0 };
  const problems: string[] = [];
  const whole = (flag: "port-offset" | "sds" | "sdc", min: number, max: number) => {
    const value = /^\d{1,6}$/.test(values[flag]) ? Number(values[flag]) : NaN;
    if (!(value >= min && value <= max)) {
      problems.push(`--${flag} is "${values[flag]}": it must be a whole number from ${min} to ${max}`);
    }
    return value;
  };
  const volumeBytes = sizeBytes(values["volume-size"]);
  if (volumeBytes === undefined) {
    problems.push(`--volume-size is "${values["volume-size"]}": it must be from 1MiB to 16TiB, such as 512MiB or 4GiB`);
  }
  if (values["data-dir"] === "") problems.push(`--data-dir is empty: name a directory`);
  const options: DemoOptions = {
    dataDir: values["data-dir"],
    portOffset: whole("port-offset", 0, 54_000),
    sdsCount: whole("sds", 2, SDS_PER_HOST_MAX),
    sdcCount: whole("sdc", 1, SDC_COUNT_MAX),
    volumeBytes: volumeBytes ?? 0,
    bare: values.bare,
    reset: values.reset,
    restart: !values["no-restart"],
  };
  return problems.length > 0 ? mistake(problems.join("\n")) : { kind: "options", options };
}

const UNITS: Readonly<Record<string, number>> = { MiB: 2 ** 20, GiB: 2 ** 30, TiB: 2 ** 40 };
const BLOCK_BYTES = 4096;

/** `512MiB`, `1.5GiB`, `1TiB` in bytes, up to the next block; undefined for anything else and for sizes that no volume has. */
export function sizeBytes(text: string): number | undefined {
  const [, amount, unit] = text.match(/^(\d{1,7}(?:\.\d{1,3})?) ?(MiB|GiB|TiB)$/) ?? [];
  const factor = UNITS[unit ?? ""];
  if (amount === undefined || factor === undefined) return undefined;
  const bytes = Math.ceil(Number(amount) * factor / BLOCK_BYTES) * BLOCK_BYTES;
  return bytes >= 2 ** 20 && bytes <= 16 * 2 ** 40 ? bytes : undefined;
}

function mistake(text: string): ParsedOptions {
  return { kind: "text", text: `${text}\nSee deno task demo --help`, exitCode: 2 };
}
