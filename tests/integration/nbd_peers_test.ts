/**
 * The NBD server against the clients that people use: libnbd (`nbdinfo`, `nbdcopy`), QEMU (`qemu-io`, `qemu-img`) and fio.
 * A test whose program is not installed is reported as ignored; with `POWERFLEX_TEST_PEERS=required`, as in CI, it fails.
 */
import { assert, assertEquals } from "@std/assert";
import { type NbdServer, serveNbd } from "@/sdc/nbd/server.ts";
import { BufferPool } from "@/shared/buffers.ts";
import { systemClock } from "@/shared/clock.ts";
import { systemRandom } from "@/shared/random.ts";
import { denoTransport } from "@/shared/transport_deno.ts";
import { MemoryBlockDevice, shuffledSchedule } from "@/tests/support/memory_block_device.ts";

const MIB = 1024 * 1024;

/** A server on a loopback port and a unix socket, in a directory of its own. */
class Rig implements AsyncDisposable {
  readonly directory = Deno.makeTempDirSync();
  readonly tcpUri: string;
  readonly unixUri: string;
  readonly server: NbdServer;

  constructor(devices: readonly MemoryBlockDevice[]) {
    const tcp = denoTransport.listen({ hostname: "127.0.0.1", port: 0 });
    const unix = denoTransport.listen({ path: `${this.directory}/nbd.sock` });
    this.tcpUri = `nbd://127.0.0.1:${tcp.port}/`;
    this.unixUri = `nbd+unix:///?socket=${this.directory}/nbd.sock`;
    this.server = serveNbd({
      listeners: [tcp, unix],
      exports: {
        list: () => devices.map((device) => device.name),
        open: (name) => devices.find((device) => device.name === name),
      },
      clock: systemClock,
      buffers: new BufferPool(),
    });
  }

  /** URI of an export over the unix socket. */
  unixExport(name: string): string {
    return this.unixUri.replace("///", `///${name}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.server.close();
    Deno.removeSync(this.directory, { recursive: true });
  }
}

/** Runs a program to its end and gives what it printed. */
async function run(program: string, parameters: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await new Deno.Command(program, { args: [...parameters] }).output();
  const text = new TextDecoder().decode(stdout);
  assertEquals(code, 0, `${program} ${parameters.join(" ")}\n${text}${new TextDecoder().decode(stderr)}`);
  return text;
}

/** Declares a test that needs `programs`. */
function peerTest(name: string, programs: readonly string[], body: () => Promise<void>): void {
  const required = Deno.env.get("POWERFLEX_TEST_PEERS") === "required";
  const missing = programs.filter((program) => !isInstalled(program));
  Deno.test({ name: `${name} (${programs.join(", ")})`, ignore: missing.length > 0 && !required, fn: body });
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

/** Image with data and holes. */
function writeImage(path: string, sizeBytes: number): void {
  using file = Deno.openSync(path, { create: true, write: true });
  file.truncateSync(sizeBytes);
  for (const [offsetBytes, lengthBytes] of [[0, 3 * MIB], [10 * MIB + 512, 5000], [20 * MIB, MIB]] as const) {
    const data = new Uint8Array(lengthBytes);
    for (let start = 0; start < lengthBytes; start += 65_536) {
      crypto.getRandomValues(data.subarray(start, Math.min(start + 65_536, lengthBytes)));
    }
    file.seekSync(offsetBytes, Deno.SeekMode.Start);
    file.writeSync(data);
  }
}

peerTest("serveNbd() is described by libnbd as it is", ["nbdinfo"], async () => {
  const demo = new MemoryBlockDevice({ name: "demo", sizeBytes: 16 * MIB, tellsFastZeroes: true });
  const archive = new MemoryBlockDevice({ name: "archive", sizeBytes: MIB + 1, readOnly: true });
  await using rig = new Rig([demo, archive]);
  const described = JSON.parse(await run("nbdinfo", ["--json", "--list", rig.tcpUri]));
  assertEquals(described.protocol, "newstyle-fixed");
  const [first, second] = described.exports;
  assertEquals([first["export-name"], first["export-size"]], ["demo", 16 * MIB]);
  for (const flag of ["cache", "df", "fast_zero", "flush", "fua", "multi_conn", "trim", "zero"]) {
    assertEquals(first[`can_${flag}`], true, flag);
  }
  assertEquals([first.block_size_minimum, first.block_size_preferred, first.block_size_maximum], [1, 4096, 32 * MIB]);
  assertEquals(first.contexts, ["base:allocation"]);
  assertEquals([second["export-name"], second["export-size"], second.is_read_only], ["archive", MIB + 1, true]);
  assertEquals([second.can_trim, second.can_zero, second.can_fast_zero], [false, false, false]);

  await run("nbdinfo", ["--size", rig.unixExport("demo")]);
  const map = JSON.parse(await run("nbdinfo", ["--json", "--map", rig.unixExport("demo")]));
  assertEquals(map, [{ offset: 0, length: 16 * MIB, type: 3, description: "hole,zero" }]);
});

peerTest("serveNbd() gives back the image that went in", ["nbdcopy", "nbdinfo", "qemu-img"], async () => {
  const device = new MemoryBlockDevice({
    name: "demo",
    sizeBytes: 32 * MIB,
    schedule: shuffledSchedule(systemRandom),
    tellsFastZeroes: true,
  });
  await using rig = new Rig([device]);
  const [before, after] = [`${rig.directory}/before.img`, `${rig.directory}/after.img`];
  writeImage(before, 32 * MIB);
  await run("nbdcopy", [before, rig.tcpUri]);
  const map: { length: number; type: number }[] = JSON.parse(await run("nbdinfo", ["--json", "--map", rig.unixUri]));
  const holeBytes = map.filter((extent) => extent.type === 3).reduce((sum, extent) => sum + extent.length, 0);
  assert(holeBytes >= 27 * MIB, `holes of the image stay holes, they are ${holeBytes} bytes`);
  await run("nbdcopy", [rig.unixUri, after]);
  assert(bytesEqual(Deno.readFileSync(before), Deno.readFileSync(after)));
  await run("qemu-img", ["compare", "-f", "raw", "-F", "raw", before, rig.unixUri]);
});

peerTest("serveNbd() carries out what QEMU asks for", ["qemu-io"], async () => {
  const device = new MemoryBlockDevice({ name: "demo", sizeBytes: 64 * MIB });
  await using rig = new Rig([device]);
  const commands = [
    "write -P 0xab 0 1M",
    "write -z 64k 128k",
    "write -z -u 256k 64k",
    "discard 512k 256k",
    "read -P 0xab 0 64k",
    "read -P 0 64k 128k",
    "read -P 0 256k 64k",
    "read -P 0 512k 256k",
    "write -f -P 1 3 4097",
    "flush",
    "read -P 1 3 4097",
    "write -P 7 1M 40M",
    "read -P 7 1M 40M",
  ];
  for (const uri of [rig.tcpUri, rig.unixUri]) {
    const printed = await run("qemu-io", ["-f", "raw", ...commands.flatMap((command) => ["-c", command]), uri]);
    assert(!/fail|error/i.test(printed), printed);
  }
  assert(device.counts.fua > 0 && device.counts.flush > 0 && device.counts.trim > 0 && device.counts.write_zeroes > 0);
});

peerTest("serveNbd() keeps what two connections write at depth 32", ["fio"], async () => {
  const device = new MemoryBlockDevice({
    name: "demo",
    sizeBytes: 32 * MIB,
    schedule: shuffledSchedule(systemRandom),
  });
  await using rig = new Rig([device]);
  const job = `${rig.directory}/verify.fio`;
  // One connection writes aligned blocks, the other any sizes at any byte; both read back and compare.
  Deno.writeTextFileSync(
    job,
    [
      "[global]",
      "ioengine=nbd",
      "iodepth=32",
      "rw=randrw",
      "verify=crc32c",
      "verify_fatal=1",
      "verify_state_save=0",
      "size=16M",
      "[aligned]",
      `uri=${rig.tcpUri}`,
      "bs=4k",
      "number_ios=3000",
      "[unaligned]",
      `uri=${rig.unixUri}`,
      "offset=16M",
      "bsrange=512-1M",
      "bs_unaligned=1",
      "number_ios=300",
    ].join("\n"),
  );
  const printed = await run("fio", ["--output-format=json", job]);
  const jobs: { error: number }[] = JSON.parse(printed.slice(printed.indexOf("{"))).jobs;
  assertEquals(jobs.map((one) => one.error), [0, 0]);
});

function bytesEqual(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, index) => byte === b[index]);
}
