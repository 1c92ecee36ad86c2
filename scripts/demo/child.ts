/**
 * One process of the demo: started with a pipe as its standard input, so that it stops when the supervisor is gone, its
 * output appended to a log file.
 *
 * @module
 */
import { READY_LINE } from "@/shared/role_process.ts";

/** What to start. */
export interface ChildCommand {
  readonly name: string;
  readonly executable: string;
  readonly args: readonly string[];
  readonly cwd: string;
  /** All variables that the process sees. */
  readonly environment: Readonly<Record<string, string>>;
  /** Errors and further output are appended here. */
  readonly logFile: string;
}

/** How a process ended. */
export interface ChildEnd {
  readonly code: number;
  readonly signal: Deno.Signal | null;
}

/** A started process. */
export interface Child {
  readonly name: string;
  readonly pid: number;
  /** True once the process said `READY` at the beginning of a line; false when it ended before. */
  readonly ready: Promise<boolean>;
  /** Resolves when it is gone and its output is written. */
  readonly ended: Promise<ChildEnd>;
  /** Asks it to stop; does nothing once it ended. */
  terminate(): void;
  /** Ends it at once; does nothing once it ended. */
  kill(): void;
}

/** Starts `command`. @throws {Error} when there is no such executable or directory. */
export function startChild(command: ChildCommand): Child {
  const process = new Deno.Command(command.executable, {
    args: [...command.args],
    cwd: command.cwd,
    clearEnv: true,
    env: { ...command.environment },
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const ready = Promise.withResolvers<boolean>();
  const output = readOutput(process.stdout, { logFile: command.logFile, onReady: () => ready.resolve(true) });
  const errors = appendTo(command.logFile, process.stderr);
  const ended = Promise.all([process.status, output, errors]).then(async ([status]) => {
    ready.resolve(false);
    await process.stdin.abort().catch(() => {}); // the other end is gone
    return { code: status.code, signal: status.signal };
  });
  return {
    name: command.name,
    pid: process.pid,
    ready: ready.promise,
    ended,
    terminate: () => signalQuietly(process, "SIGTERM"),
    kill: () => signalQuietly(process, "SIGKILL"),
  };
}

async function readOutput(
  output: ReadableStream<Uint8Array<ArrayBuffer>>,
  options: { readonly logFile: string; readonly onReady: () => void },
): Promise<void> {
  const lines = output.pipeThrough(new TextDecoderStream()).pipeThrough(lineStream());
  for await (const line of lines) {
    if (line.startsWith(READY_LINE)) options.onReady();
    else await Deno.writeTextFile(options.logFile, `${line}\n`, { append: true });
  }
}

function lineStream(): TransformStream<string, string> {
  let rest = "";
  return new TransformStream({
    transform(text, controller) {
      const lines = (rest + text).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) controller.enqueue(line);
    },
    flush(controller) {
      if (rest !== "") controller.enqueue(rest);
    },
  });
}

/** Not `pipeTo`: between a pipe and a file it holds the text back until 64 KiB have come or the process ends. */
async function appendTo(path: string, stream: ReadableStream<Uint8Array<ArrayBuffer>>): Promise<void> {
  using file = await Deno.open(path, { append: true, create: true, mode: 0o600 });
  for await (const bytes of stream) {
    for (let written = 0; written < bytes.length;) written += await file.write(bytes.subarray(written));
  }
}

function signalQuietly(process: Deno.ChildProcess, signal: Deno.Signal): void {
  try {
    process.kill(signal);
  } catch (error) {
    // Deno says TypeError for a process that has been waited for.
    if (!(error instanceof TypeError || error instanceof Deno.errors.NotFound)) throw error;
  }
}

/** How a process ended, in words. */
export function endText(end: ChildEnd): string {
  return end.signal !== null ? `was ended by ${end.signal}` : `ended with exit code ${end.code}`;
}
