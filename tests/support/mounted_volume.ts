/**
 * An ext4 on the volume of a real cluster: NBD through nbdfuse to a file, the file through a loop device to a mount. It can be
 * dropped as a crash of the host drops it, without a last write, and attached again.
 *
 * @module
 */
import { sleep, systemClock } from "@/shared/clock.ts";
import { killed, missing, result, run } from "@/tests/support/programs.ts";

/** Programs without which there is no such mount. */
export const MOUNT_PROGRAMS = ["nbdfuse", "losetup", "mkfs.ext4", "e2fsck", "mount", "umount"] as const;

const POLL_MS = 50;
const READY_MS_MAX = 20_000;

/** Why nothing can be mounted here; undefined where it can. */
export function whyNoMount(): string | undefined {
  const absent = missing(MOUNT_PROGRAMS);
  if (absent.length > 0) return `${absent.join(", ")} is not installed`;
  if (Deno.uid() !== 0) return "mounting needs root";
  for (const device of ["/dev/fuse", "/dev/loop-control"]) {
    try {
      Deno.statSync(device);
    } catch {
      return `there is no ${device}`;
    }
  }
  return undefined;
}

/** See the module comment. Holds a directory below `dir`, a process, a loop device and a mount until it is disposed of. */
export class MountedVolume implements AsyncDisposable {
  readonly directory: string;
  readonly #fuse: string;
  #nbdfuse: Deno.ChildProcess | undefined;
  #loop = "";
  #isMounted = false;

  constructor(dir: string) {
    this.directory = `${dir}/mount`;
    this.#fuse = `${dir}/nbd`;
    Deno.mkdirSync(this.directory);
    Deno.mkdirSync(this.#fuse);
  }

  /** Makes a file system on the volume of `uri` and mounts it. */
  async format(uri: string): Promise<void> {
    await this.#attach(uri);
    await run("mkfs.ext4", ["-q", "-F", this.#loop]);
    await this.#mount();
  }

  /** Mounts what is on the volume of `uri`; the file system replays its journal. */
  async mount(uri: string): Promise<void> {
    await this.#attach(uri);
    await this.#mount();
  }

  /** Unmounts and checks the file system. @throws {Error} with the words of e2fsck unless it is clean. */
  async check(): Promise<void> {
    await run("umount", [this.directory]);
    this.#isMounted = false;
    await run("e2fsck", ["-fn", this.#loop]);
  }

  /** What was written and not flushed is lost on the way to the volume. */
  async drop(): Promise<void> {
    const nbdfuse = this.#nbdfuse;
    this.#nbdfuse = undefined;
    if (nbdfuse !== undefined) await killed(nbdfuse);
    await this.#detach();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#detach();
    await this.#nbdfuse?.status; // it ends with its mount
  }

  async #attach(uri: string): Promise<void> {
    const path = `${this.#fuse}/volume`;
    this.#nbdfuse = new Deno.Command("nbdfuse", { args: [path, uri], stdin: "null" }).spawn();
    const startedMs = systemClock.monotonicMs();
    while (!await Deno.stat(path).then(({ size }) => size > 0, () => false)) {
      if (systemClock.monotonicMs() - startedMs > READY_MS_MAX) throw new Error(`${path} did not appear`);
      await sleep(systemClock, POLL_MS);
    }
    this.#loop = (await run("losetup", ["--find", "--show", path])).trim();
  }

  async #mount(): Promise<void> {
    await run("mount", [this.#loop, this.directory]);
    this.#isMounted = true;
  }

  async #detach(): Promise<void> {
    if (this.#isMounted) await result("umount", ["-l", this.directory]);
    this.#isMounted = false;
    if (this.#loop !== "") await result("losetup", ["-d", this.#loop]);
    this.#loop = "";
    await result("umount", ["-l", this.#fuse]);
  }
}
