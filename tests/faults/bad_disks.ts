/**
 * Disks that fill up or break under one storage server: nothing acknowledged is lost, and IO goes on from the other copies.
 *
 * @module
 */
import { assert, assertEquals } from "@std/assert";
import { BAD_DISK_PROGRAMS, BadDisk } from "@/tests/support/bad_disk.ts";
import { FaultCluster } from "@/tests/support/fault_cluster.ts";
import { until } from "@/tests/support/group_view.ts";
import { NBD, NbdPipe } from "@/tests/support/nbd_pipe.ts";
import { programTest } from "@/tests/support/programs.ts";
import { VerifiedLoad } from "@/tests/support/verified_load.ts";

const STALL_MS_MAX = 8000;
const MIB = 1 << 20;
/** Error number of a full disk. */
const ENOSPC = 28;
/** More than the volume's share of the small disk. */
const FILL_MIB = 600;

programTest(
  "scenario: a disk breaks under load, its device fails at once, and no byte is lost",
  BAD_DISK_PROGRAMS,
  async () => {
    await using cluster = new FaultCluster();
    await using disk = await BadDisk.mounted(`${cluster.dir}/sds-1/devices`, 1024);
    await cluster.start();
    const load = new VerifiedLoad({ open: cluster.open, sizeBytes: 128 * MIB, seed: 31 });
    load.start();
    await load.runFor(3000);
    disk.break();
    await load.runFor(3000);
    await load.flush();
    const problem = () => "The copies of sds-1 were not given up";
    const givenUpMs = await until(
      { limitMs: 30_000, problem },
      async () =>
        (await cluster.groups()).every(({ members, state }) =>
          state !== "down" && members.every(({ sds_name }) => sds_name !== "sds-1")
        ),
    );
    await load.runFor(2000);
    await load.finish();
    await load.flush();
    await load.verify();
    console.log("a disk broke:", load.figures, `given up after ${givenUpMs + 3000} ms`);
    assert(load.longestMs < STALL_MS_MAX, `longest stall ${load.longestMs} ms`);
  },
);

programTest(
  "scenario: a disk fills up: new chunks are refused, old ones are written, nothing fails",
  BAD_DISK_PROGRAMS,
  async () => {
    await using cluster = new FaultCluster();
    await using _disk = await BadDisk.mounted(`${cluster.dir}/sds-1/devices`, 320);
    await cluster.start();
    const pipe = new NbdPipe(await cluster.open());
    const kept = new Map<number, number>();
    const refused = new Map<number, number>();
    for (let chunk = 0; chunk < FILL_MIB; chunk++) {
      const fill = 1 + chunk % 255;
      const fields = { type: NBD.write, offsetBytes: chunk * MIB, lengthBytes: MIB };
      const { errno } = await pipe.request(fields, new Uint8Array(MIB).fill(fill));
      if (errno === 0) kept.set(chunk, fill);
      else refused.set(errno, (refused.get(errno) ?? 0) + 1);
    }
    console.log(`a disk filled up: ${kept.size} chunks kept, refused by error number:`, refused);
    assertEquals([...refused.keys()], [ENOSPC]);
    for (const chunk of [...kept.keys()].filter((_, index) => index % 10 === 0)) {
      const fields = { type: NBD.write, offsetBytes: chunk * MIB, lengthBytes: MIB };
      assertEquals((await pipe.request(fields, new Uint8Array(MIB).fill(7))).errno, 0);
      kept.set(chunk, 7);
    }
    assertEquals((await pipe.request({ type: NBD.flush })).errno, 0);
    for (const [chunk, fill] of kept) {
      const { data } = await pipe.request({ type: NBD.read, offsetBytes: chunk * MIB, lengthBytes: MIB });
      assert(data.every((byte) => byte === fill), `chunk ${chunk} is not all ${fill}`);
    }
    await pipe.close();
    const groups = await cluster.groups();
    assertEquals(groups.filter(({ state }) => state !== "full").length, 0);
  },
);
