/**
 * The log: one line per message on standard error, pretty or JSON. Before `startLogging` nothing is written, so tests are quiet.
 *
 * ```ts
 * const log = logger("sds");
 * log.warning("Cannot open a link to SDS {sdsId}: {reason}", { sdsId, reason });
 * ```
 *
 * @module
 */
import {
  configureSync,
  getAnsiColorFormatter,
  getJsonLinesFormatter,
  getLogger,
  getTextFormatter,
  type Logger,
  type LogRecord,
  resetSync,
} from "@logtape/logtape";
import { StorageError } from "@/shared/errors.ts";
import type { CommonSettings } from "@/shared/settings.ts";

export type { Logger };

const ROOT = "powerflex";

/** The log of one component, or of a part of it: `logger("sds", "links")`. */
export function logger(...category: readonly [string, ...string[]]): Logger {
  return getLogger([ROOT, ...category]);
}

/** How to write, and where to. */
export interface LoggingOptions extends Pick<CommonSettings, "logLevel" | "logFormat"> {
  /** Takes one line with its line end; by default standard error, written at once so that a crash loses nothing. */
  readonly write?: (line: string) => void;
  /** Colours for pretty lines. By default when standard error is a terminal. */
  readonly colours?: boolean;
}

/** Starts writing; a second call replaces the first. Messages below `logLevel` cost next to nothing. */
export function startLogging(options: LoggingOptions): void {
  const { logLevel, logFormat, write = writeToStandardError, colours = Deno.stderr.isTerminal() } = options;
  const format = logFormat === "json" ? getJsonLinesFormatter({ properties: "flatten" }) : prettyFormat(colours);
  configureSync({
    reset: true,
    sinks: { line: (record: LogRecord) => write(format(record)) },
    loggers: [
      { category: [ROOT], lowestLevel: logLevel, sinks: ["line"] },
      { category: ["logtape", "meta"], lowestLevel: "error", sinks: ["line"] },
    ],
  });
}

/** Stops writing, for tests. */
export function stopLogging(): void {
  resetSync();
}

function prettyFormat(colours: boolean): (record: LogRecord) => string {
  const options = {
    timestamp: "time",
    level: "ABBR",
    category: (names: readonly string[]) => names.slice(1).join("."),
    // A failure that somebody handles is a sentence; where in the code it arose is of no use to who reads the log.
    value: (value: unknown, inspect: (value: unknown) => string) =>
      value instanceof StorageError ? value.message : inspect(value),
  } as const;
  const format = colours ? getAnsiColorFormatter(options) : getTextFormatter(options);
  return (record) => `${format(record).trimEnd()}${restText(record)}\n`;
}

/** The values that the message does not mention, as ` name=value`: in JSON they are fields, here they would be lost. */
function restText(record: LogRecord): string {
  const template = typeof record.rawMessage === "string" ? record.rawMessage : record.rawMessage.join("");
  return Object.entries(record.properties)
    .filter(([name]) => !template.includes(`{${name}}`))
    .map(([name, value]) => ` ${name}=${typeof value === "string" ? JSON.stringify(value) : Deno.inspect(value)}`)
    .join("");
}

const encoder = new TextEncoder();

function writeToStandardError(line: string): void {
  const bytes = encoder.encode(line);
  try {
    for (let written = 0; written < bytes.length;) written += Deno.stderr.writeSync(bytes.subarray(written));
  } catch (error) {
    // Whoever read the log is gone; the process still has data to sync.
    if (!(error instanceof Deno.errors.BrokenPipe)) throw error;
  }
}
