import { assert, assertEquals, assertRejects } from "@std/assert";
import { formatDevice, inspectDevice } from "@/sds/device/format_device.ts";
import { openDevice } from "@/sds/device/open_device.ts";
import { systemClock } from "@/shared/clock.ts";
import { openDirectory } from "@/shared/disk_deno.ts";
import { StorageError } from "@/shared/errors.ts";
import { asId, type DeviceId } from "@/shared/ids.ts";
import { systemRandom } from "@/shared/random.ts";
import {
  DeviceFixture,
  groupOf,
  IDENTITY,
  readBlocksOf,
  stampedBlocks,
  writeStamp,
} from "@/tests/support/device_fixture.ts";

async function codeOf(promise: Promise<unknown>): Promise<string> {
  const error = await assertRejects(() => promise, StorageError);
  return error.code;
}

Deno.test("openDevice() refuses a foreign device, one in use, none at all, and one without its catalogue", async (t) => {
  const fixture = await DeviceFixture.format();
  const { clock, disk, random } = fixture;
  await t.step("in use", async () => {
    const device = await fixture.open();
    assertEquals(await codeOf(fixture.open()), "unavailable");
    await device.close({ clean: true });
  });
  await t.step("another cluster, SDS or device", async () => {
    for (const field of ["clusterId", "sdsId", "deviceId"] as const) {
      const identity = { ...IDENTITY, [field]: field === "clusterId" ? "cluster-b" : asId<DeviceId>(77) };
      assertEquals(await codeOf(openDevice({ disk, identity, clock, random })), "conflict");
    }
    const device = await fixture.open();
    assertEquals(device.wasClean, true, "refusals change nothing");
    await device.close({ clean: true });
  });
  await t.step("formatted again", async () => {
    const format = () => formatDevice({ disk, ...IDENTITY, capacityBytes: 2 ** 24 });
    assertEquals(await codeOf(format()), "conflict");
  });
  await t.step("both superblocks rotten: failed, not empty", async () => {
    fixture.disk.flipBit("superblock", { positionBytes: 30 });
    const device = await fixture.open();
    await device.close({ clean: true });
    fixture.disk.flipBit("superblock", { positionBytes: 30 });
    fixture.disk.flipBit("superblock", { positionBytes: 4096 + 30 });
    assertEquals(await codeOf(fixture.open()), "device_failed");
    assert("problem" in inspectDevice(disk)!);
    assertEquals(await codeOf(formatDevice({ disk, ...IDENTITY, capacityBytes: 2 ** 24 })), "conflict");
  });
  await t.step("a passing reason: opened at a later try", async () => {
    const other = await DeviceFixture.format();
    const device = await other.open();
    await groupOf(device);
    await device.close({ clean: true });
    other.disk.inject({ operations: ["read"], file: "intents", skip: 0, times: 1, effect: "EIO" });
    assertEquals(await codeOf(other.open()), "unavailable");
    await (await other.open()).close({ clean: true });
  });
  await t.step("catalogue gone: failed, not empty", async () => {
    const other = await DeviceFixture.format();
    other.disk.remove("catalogue.db");
    assertEquals(await codeOf(other.open()), "device_failed");
  });
  await t.step("not formatted", async () => {
    const other = await DeviceFixture.format();
    other.disk.remove("superblock");
    assertEquals(await codeOf(other.open()), "not_found");
    assertEquals(inspectDevice(other.disk), undefined);
  });
});

Deno.test("Device on a directory of the host keeps what was written, and one process has it", async () => {
  const path = await Deno.makeTempDir();
  try {
    const disk = openDirectory(path);
    const open = () => openDevice({ disk, identity: IDENTITY, clock: systemClock, random: systemRandom });
    await formatDevice({ disk, ...IDENTITY, capacityBytes: 2 ** 24 });
    const first = await open();
    const pg = await groupOf(first);
    await writeStamp(first, { pg, chunkIndex: 2, blockIndex: 255, stamp: 77 });
    await first.sync();
    assertEquals(await codeOf(open()), "unavailable");
    assertEquals(first.inode(), (await Deno.stat(`${path}/superblock`)).ino);
    await first.close({ clean: true });
    const device = await open();
    assertEquals([device.wasClean, device.incarnation.counter], [true, 2]);
    const place = { pg: await groupOf(device), chunkIndex: 2, blockIndex: 255 };
    assertEquals(await readBlocksOf(device, place), stampedBlocks(1, 77));
    await device.close({ clean: true });
  } finally {
    await Deno.remove(path, { recursive: true });
  }
});

Deno.test("openDevice() tells a catalogue that is no database as failed, not as empty", async () => {
  const path = await Deno.makeTempDir();
  try {
    const disk = openDirectory(path);
    await formatDevice({ disk, ...IDENTITY, capacityBytes: 2 ** 24 });
    await Deno.writeFile(`${path}/catalogue.db`, new Uint8Array(8192).fill(7));
    const opened = openDevice({ disk, identity: IDENTITY, clock: systemClock, random: systemRandom });
    assertEquals(await codeOf(opened), "device_failed");
  } finally {
    await Deno.remove(path, { recursive: true });
  }
});
