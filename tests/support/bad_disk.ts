/**
 * A disk for one SDS that a test can fill or break: an ext4 on a loop device, whose blocks come from an nbdkit that fails on
 * demand, through nbdfuse. Mounted where the SDS keeps its devices, before it starts.
 *
 *   SDS ─► ext4 ─► loop ─► nbdfuse ─► nbdkit (error filter: fails while a trigger file exists) ─► memory
 *
 * @module
 */
import { sleep, systemClock } from "@/shared/clock.ts";
import { result, run } from "@/tests/support/programs.ts";

/** Programs without which there is no such disk. */
export const BAD_DISK_PROGRAMS = ["nbdkit", "nbdfuse", "losetup", "mkfs.ext4", "mount", "umount"] as const;

const READY_MS_MAX = 10_000;
const POLL_MS = 50;

/** See the module comment. */
export class BadDisk implements AsyncDisposable {
  readonly #dir: string;
  readonly #target: string;
  #nbdkit: Deno.ChildProcess | undefined;
  #nbdfuse: Deno.ChildProcess | undefined;
  #loop = "";
  #isMounted = false;

  private constructor(target: string) {
    this.#dir = Deno.makeTempDirSync();
    this.#target = target;
  }

  /** A sound disk of `sizeMib` MiB, mounted at `target`, which is made. */
  static async mounted(target: string, sizeMib: number): Promise<BadDisk> {
    const disk = new BadDisk(target);
    try {
      await disk.#mount(sizeMib);
      return disk;
    } catch (error) {
      await disk[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** From now on every write that reaches the disk fails with EIO, and so does the sync that waits for it. */
  break(): void {
    Deno.writeTextFileSync(`${this.#dir}/trigger`, "");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Deno.remove(`${this.#dir}/trigger`).catch(() => {});
    if (this.#isMounted) await result("umount", ["-l", this.#target]);
    if (this.#loop !== "") await result("losetup", ["-d", this.#loop]);
    if (this.#nbdfuse) {
      await result("umount", ["-l", `${this.#dir}/fuse`]);
      await ended(this.#nbdfuse);
    }
    if (this.#nbdkit) await ended(this.#nbdkit);
    await Deno.remove(this.#dir, { recursive: true });
  }

  async #mount(sizeMib: number): Promise<void> {
    const socket = `${this.#dir}/nbd.sock`;
    const failing = [`error-file=${this.#dir}/trigger`, "error-pwrite-rate=100%", "error-zero-rate=100%"];
    this.#nbdkit = new Deno.Command("nbdkit", {
      args: ["-f", "-U", socket, "--filter=error", "memory", `${sizeMib}M`, "error=EIO", ...failing],
      stdin: "null",
      stdout: "null",
      stderr: "null",
    }).spawn();
    await there(socket);
    await Deno.mkdir(`${this.#dir}/fuse`);
    this.#nbdfuse = new Deno.Command("nbdfuse", {
      args: [`${this.#dir}/fuse/disk`, `nbd+unix:///?socket=${socket}`],
      stdin: "null",
    }).spawn();
    await there(`${this.#dir}/fuse/disk`);
    this.#loop = (await run("losetup", ["--find", "--show", `${this.#dir}/fuse/disk`])).trim();
    await run("mkfs.ext4", ["-q", "-F", "-m", "0", this.#loop]);
    await Deno.mkdir(this.#target, { recursive: true });
    await run("mount", [this.#loop, this.#target]);
    this.#isMounted = true;
    await Deno.remove(`${this.#target}/lost+found`, { recursive: true });
  }
}

async function there(path: string): Promise<void> {
  const startedMs = systemClock.monotonicMs();
  while (!await Deno.stat(path).then(() => true, () => false)) {
    if (systemClock.monotonicMs() - startedMs > READY_MS_MAX) throw new Error(`${path} did not appear`);
    await sleep(systemClock, POLL_MS);
  }
}

async function ended(process: Deno.ChildProcess): Promise<void> {
  try {
    process.kill("SIGTERM");
  } catch (error) {
    if (!(error instanceof TypeError)) throw error; // it has ended
  }
  await process.status;
}
