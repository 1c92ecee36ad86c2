/**
 * The tools that people bring to an NBD export, on a whole cluster: libnbd's, QEMU's, and a file system through FUSE and loop.
 *
 * @module
 */
import { assert, assertEquals } from "@std/assert";
import { systemClock } from "@/shared/clock.ts";
import { ROOT } from "@/scripts/roles.ts";
import { FaultCluster } from "@/tests/support/fault_cluster.ts";
import { MountedVolume, whyNoMount } from "@/tests/support/mounted_volume.ts";
import { programTest, result, run } from "@/tests/support/programs.ts";

const MIB = 1 << 20;
const IMAGE_BYTES = 512 * MIB;

/** Runs commands of qemu-io and gives the lines that tell of a failure. */
async function qemuIo(uri: string, commands: readonly string[]): Promise<string[]> {
  const { code, stdout, stderr } = await result("qemu-io", ["-f", "raw", ...commands.flatMap((c) => ["-c", c]), uri]);
  const bad = `${stdout}${stderr}`.split("\n").filter((line) => /fail|error|invalid|not supported/i.test(line));
  return code === 0 ? bad : [`qemu-io ended with ${code}`, ...bad];
}

/** Random data in some places, holes elsewhere, borders off every grid. */
async function writeImage(path: string): Promise<void> {
  using file = await Deno.open(path, { create: true, write: true });
  await file.truncate(IMAGE_BYTES);
  for (
    const [offsetBytes, lengthBytes] of [
      [0, 5 * MIB],
      [33 * MIB + 512, 70_001],
      [64 * MIB - 4096, 8192],
      [128 * MIB, 100 * MIB],
      [400 * MIB + 1, 3 * MIB],
      [IMAGE_BYTES - 513, 513],
    ] as const
  ) {
    await file.seek(offsetBytes, Deno.SeekMode.Start);
    for (let left = lengthBytes; left > 0;) {
      const piece = crypto.getRandomValues(new Uint8Array(Math.min(65_536, left)));
      left -= await file.write(piece);
    }
  }
}

const COPY_TOOLS = ["nbdinfo", "nbdcopy", "qemu-img"];
programTest("scenario: an image of 512 MiB with holes goes in and comes back the same", COPY_TOOLS, async () => {
  await using cluster = new FaultCluster("--volume-size", "512MiB");
  await cluster.start();
  const before = `${cluster.dir}/before.img`;
  await writeImage(before);
  const [described] = JSON.parse(await run("nbdinfo", ["--json", cluster.uri])).exports;
  for (const flag of ["cache", "df", "fast_zero", "flush", "fua", "multi_conn", "trim", "zero"]) {
    assertEquals(described[`can_${flag}`], true, flag);
  }
  assertEquals(described["export-size"], IMAGE_BYTES);
  for (const uri of [cluster.uri, cluster.unixUri]) {
    const after = `${cluster.dir}/after.img`;
    const startedMs = systemClock.monotonicMs();
    await run("nbdcopy", ["--flush", before, uri]);
    const inMs = systemClock.monotonicMs();
    await run("nbdcopy", [uri, after]);
    const outMs = systemClock.monotonicMs();
    console.log(`${uri.split(":")[0]}: in ${Math.round(inMs - startedMs)} ms, out ${Math.round(outMs - inMs)} ms`);
    await run("cmp", [before, after]);
    await run("qemu-img", ["compare", "-f", "raw", "-F", "raw", before, uri]);
    const map: { length: number; type: number }[] = JSON.parse(await run("nbdinfo", ["--json", "--map", uri]));
    const dataBytes = map.filter(({ type }) => type === 0).reduce((sum, { length }) => sum + length, 0);
    console.log(`map: ${map.length} extents, ${dataBytes / MIB} MiB data`);
    assertEquals(map.reduce((sum, { length }) => sum + length, 0), IMAGE_BYTES);
    assert(dataBytes >= 108 * MIB && dataBytes <= 125 * MIB, `${dataBytes} bytes of data`);
    await Deno.remove(after);
  }
});

programTest("scenario: QEMU writes, zeroes, discards, flushes and reads back", ["qemu-io"], async () => {
  await using cluster = new FaultCluster();
  await cluster.start();
  const commands = [
    "write -P 0xab 0 4M",
    "write -z 64k 128k",
    "write -z -u 1M 64k",
    "write -z 2000001 70001",
    "write -z 3000000 1",
    "discard 3M 512k",
    "flush",
    "read -P 0xab 0 64k",
    "read -P 0 64k 128k",
    "read -P 0 1M 64k",
    "read -P 0xab 1999873 128",
    "read -P 0 2000001 70001",
    "read -P 0xab 2070002 128",
    "read -P 0 3000000 1",
    "read -P 0 3M 512k",
    "write -f -P 1 3 4097",
    "read -P 1 3 4097",
    "read -P 0xab 0 3",
    "write -P 7 10M 40M",
    "read -P 7 10M 40M",
    "write -P 9 1073741312 512",
    "read -P 9 1073741312 512",
    "flush",
  ];
  for (const uri of [cluster.uri, cluster.unixUri]) assertEquals(await qemuIo(uri, commands), []);
  // Patterns that are not there are told: the checks above can fail.
  assert((await qemuIo(cluster.uri, ["read -P 2 0 3"])).length > 0);
});

const withoutFileSystem = whyNoMount();
if (withoutFileSystem !== undefined) console.log(`Without a file system on the volume: ${withoutFileSystem}`);

/** Hashes of all files below `directory`, in one order. */
function hashes(directory: string): Promise<string> {
  return run("sh", ["-c", "find . -type f -print0 | sort -z | xargs -0 sha256sum"], { cwd: directory });
}

Deno.test({
  name: "scenario: ext4 on the volume keeps a source tree over an unmount and stays clean",
  ignore: withoutFileSystem !== undefined,
  async fn() {
    await using cluster = new FaultCluster();
    await cluster.start();
    await run("sh", ["-c", `cp -r "$0" "$1" && rm -rf "$1/.git"`, ROOT, `${cluster.dir}/source`]);
    await using volume = new MountedVolume(cluster.dir);
    await volume.format(cluster.unixUri);
    await run("cp", ["-r", `${cluster.dir}/source`, `${volume.directory}/tree`]);
    const before = await hashes(`${cluster.dir}/source`);
    await volume.check();
    await cluster.kill("sds-3"); // what comes back does not hang on one copy
    await volume.drop();
    await volume.mount(cluster.unixUri);
    assertEquals(await hashes(`${volume.directory}/tree`), before);
    await volume.check();
  },
});
