/**
 * Other people's programs in tests: NBD clients, fio, file system tools.
 *
 * @module
 */

/** What a program printed, and how it ended. */
export interface ProgramResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface ProgramOptions {
  /** After this the program is ended and the result is an error. */
  readonly limitMs?: number;
  readonly cwd?: string;
  /** Variables besides those of this process. */
  readonly env?: Readonly<Record<string, string>>;
}

/** Longest time that a program of a test may take, unless it says otherwise. */
const PROGRAM_MS_MAX = 120_000;

/** Runs a program to its end, whatever that is. @throws {Error} when it takes longer than it may. */
export async function result(
  program: string,
  args: readonly string[],
  options: ProgramOptions = {},
): Promise<ProgramResult> {
  const { limitMs = PROGRAM_MS_MAX, cwd, env } = options;
  const child = new Deno.Command(program, {
    args: [...args],
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
    ...(cwd !== undefined && { cwd }),
    ...(env !== undefined && { env: { ...env } }),
  }).spawn();
  let late = false;
  const limit = setTimeout(() => {
    late = true;
    child.kill("SIGKILL");
  }, limitMs);
  const { code, stdout, stderr } = await child.output();
  clearTimeout(limit);
  const decoder = new TextDecoder();
  const ended = { code, stdout: decoder.decode(stdout), stderr: decoder.decode(stderr) };
  if (late) {
    throw new Error(`${program} ${args.join(" ")} took more than ${limitMs} ms:\n${ended.stdout}${ended.stderr}`);
  }
  return ended;
}

/** Runs a program and gives what it printed. @throws {Error} with its words when it fails. */
export async function run(program: string, args: readonly string[], options: ProgramOptions = {}): Promise<string> {
  const { code, stdout, stderr } = await result(program, args, options);
  if (code !== 0) throw new Error(`${program} ${args.join(" ")} ended with ${code}:\n${stdout}${stderr}`);
  return stdout;
}

/** kill -9, also of a process that has ended already; resolves when it has. */
export async function killed(process: Deno.ChildProcess): Promise<void> {
  try {
    process.kill("SIGKILL");
  } catch (error) {
    if (!(error instanceof TypeError)) throw error; // it has ended
  }
  await process.status;
}

/** The programs that are not on the path. */
export function missing(programs: readonly string[]): string[] {
  return programs.filter((program) => !isInstalled(program));
}

/** Declares a test that needs `programs`; it is ignored without them, but where they are required, as in CI. */
export function programTest(name: string, programs: readonly string[], body: () => Promise<void>): void {
  const required = Deno.env.get("POWERFLEX_TEST_PEERS") === "required";
  Deno.test({
    name: `${name} (${programs.join(", ")})`,
    ignore: !required && missing(programs).length > 0,
    fn: body,
  });
}

function isInstalled(program: string): boolean {
  return (Deno.env.get("PATH") ?? "").split(":").some((directory) => {
    try {
      return Deno.statSync(`${directory}/${program}`).isFile;
    } catch {
      return false;
    }
  });
}
