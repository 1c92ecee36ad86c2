/**
 * Runs the command blocks of one page as a reader would: in a copy of the repository, in order, with programs that keep running beside
 * the commands that use them. Only the ports differ, so that the reader's own cluster is left alone.
 *
 * @module
 */
import { dirname } from "node:path";
import { parseDemoOptions } from "@/scripts/demo/options.ts";
import { type DemoPlan, planOf } from "@/scripts/demo/plan.ts";
import { ROOT } from "@/scripts/roles.ts";
import type { CommandBlock } from "@/tests/docs/blocks.ts";
import { freeOffset } from "@/tests/support/demo_process.ts";
import { result } from "@/tests/support/programs.ts";

/** What a clone has and commands need. */
const COPIED = ["deno.json", "deno.lock", "mdm", "mgmt", "scripts", "sdc", "sds", "shared"];
/** The runtime itself: a wrapper that a package manager puts on the path does not hand signals on. */
const ENVIRONMENT = { PATH: `${dirname(Deno.execPath())}:${Deno.env.get("PATH") ?? ""}` };
/** Longest time that one block may take. */
const BLOCK_MS_MAX = 90_000;
/** The ports of this many processes are looked for, and moved in the text. */
const DEMO_FLAGS = ["--sds", "4", "--sdc", "2"];

/** See the module comment. */
export class PageSession implements AsyncDisposable {
  readonly #dir = Deno.makeTempDirSync();
  readonly #portOffset = freeOffset(DEMO_FLAGS);
  #running: Service[] = [];

  /** Copies what the commands need. */
  static async open(): Promise<PageSession> {
    const session = new PageSession();
    const sources = COPIED.map((name) => `${ROOT}/${name}`);
    await result("cp", ["-r", ...sources, session.#dir]);
    return session;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stopAll();
    await Deno.remove(this.#dir, { recursive: true });
  }

  /** Runs one block. @throws {Error} with the block and what it printed when it does not do what the page says. */
  async run(block: CommandBlock): Promise<void> {
    const { treatment } = block;
    if (treatment.kind === "not_run") return;
    const text = this.#moved(block.text);
    if (treatment.kind === "keeps_running") {
      await this.#stopAll();
      for (const line of text.split("\n").filter((candidate) => /^\s*[^#\s]/.test(candidate))) {
        this.#running.push(await Service.start(line, { cwd: this.#dir, readyText: treatment.readyText }));
      }
      return;
    }
    const [program, ...args] = block.language === "python"
      ? ["python3", "-c", text]
      : ["bash", "-euo", "pipefail", "-c", text];
    const { code, stdout, stderr } = await result(program!, args, {
      cwd: this.#dir,
      env: ENVIRONMENT,
      limitMs: BLOCK_MS_MAX,
    });
    const printed = `${stdout}${stderr}`;
    if (code !== 0) throw new Error(`Line ${block.line} ended with ${code}:\n${text}\n${printed}`);
    if (treatment.prints !== undefined && !printed.includes(treatment.prints)) {
      throw new Error(`Line ${block.line} does not print "${treatment.prints}":\n${text}\n${printed}`);
    }
  }

  /** The text with its ports moved. */
  #moved(text: string): string {
    const offset = this.#portOffset;
    return text
      .replaceAll(/(?<=127\.0\.0\.1[: ])\d+\b/g, (port) => String(Number(port) + offset))
      .replaceAll(/deno task demo\b(?!:)/g, `deno task demo --port-offset ${offset}`)
      .replaceAll(/deno task start:/g, `${settingsOf(offset)} deno task start:`);
  }

  async #stopAll(): Promise<void> {
    for (const service of this.#running.toReversed()) await service.stop();
    this.#running = [];
  }
}

/** A program that keeps running. */
class Service {
  readonly #process: Deno.ChildProcess;
  readonly #output: ReadableStreamDefaultReader<string>;
  readonly #errors: Promise<string>;

  private constructor(process: Deno.ChildProcess) {
    this.#process = process;
    this.#output = process.stdout.pipeThrough(new TextDecoderStream()).getReader();
    this.#errors = new Response(process.stderr).text();
  }

  /** Resolves when it printed `readyText`. @throws {Error} with what it printed when it ends before. */
  static async start(line: string, options: { readonly cwd: string; readonly readyText: string }): Promise<Service> {
    const process = new Deno.Command("bash", {
      // A setting may stand before the command, so no plain exec.
      args: ["-c", `exec env ${line}`],
      cwd: options.cwd,
      env: ENVIRONMENT,
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    const service = new Service(process);
    let printed = "";
    while (!printed.includes(options.readyText)) {
      const { value, done } = await service.#output.read();
      if (done) {
        throw new Error(`${line}\nended before it printed "${options.readyText}":\n${printed}${await service.#errors}`);
      }
      printed += value;
    }
    return service;
  }

  /** Stops it as Ctrl-C would and waits for its end. */
  async stop(): Promise<void> {
    this.#process.kill("SIGTERM");
    while (!(await this.#output.read()).done);
    await this.#errors;
    await this.#process.status;
  }
}

/** Settings that move the ports of roles which are started one by one. */
function settingsOf(offset: number): string {
  const { environment } = planFor(offset).mdm;
  return Object.entries(environment)
    .filter(([name]) => /_PORT$|_MDM_BASE_URL$/.test(name))
    .map(([name, value]) => `${name}=${value}`).join(" ");
}

function planFor(offset: number): DemoPlan {
  const parsed = parseDemoOptions([...DEMO_FLAGS, "--port-offset", String(offset)]);
  if (parsed.kind !== "options") throw new Error(parsed.text);
  return planOf(parsed.options, { dir: "/", temporaryDir: "/", hostIdentity: {} });
}
