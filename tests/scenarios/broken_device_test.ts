import { assert, assertEquals, assertMatch } from "@std/assert";
import { listDevices } from "@/mdm/store/devices.ts";
import type { MemoryDisk } from "@/tests/support/memory_disk.ts";
import { type SdsFixture, withSds } from "@/tests/support/sds_fixture.ts";

/** Stops the SDS that keeps the second copy of the first chunk, changes its disk, and starts it again. */
function restartedOver(fixture: SdsFixture, change: (disk: MemoryDisk) => void) {
  const { secondary } = fixture.sdc.sdssOf(0);
  const { deviceId } = fixture.deviceOf(secondary);
  secondary.crash({ hostDown: false });
  change(secondary.disk);
  secondary.start();
  const stateOf = () => listDevices(fixture.mdm.context.db).find((device) => device.deviceId === deviceId)?.state;
  const events = async () => (await fixture.events()).filter(({ subject }) => subject === `device-${deviceId}`);
  return { secondary, stateOf, events };
}

Deno.test("scenario: a device whose files rotted is failed at its start, and its copies are made elsewhere at once", async () => {
  await withSds({ sdsCount: 3, outAfterMs: 100_000_000 }, async (fixture) => {
    await fixture.sdc.write({ chunkIndex: 0, offsetBytes: 0 }, new Uint8Array(4096).fill(7));
    const { secondary, stateOf, events } = restartedOver(fixture, (disk) => {
      for (const positionBytes of [30, 4096 + 30]) disk.flipBit("superblock", { positionBytes });
    });
    await fixture.until("the MDM has failed the device", () => stateOf() === "failed");
    await fixture.untilFull();
    assertEquals(secondary.devices.length, 0);
    const [event] = await events();
    assertEquals(event?.type, "device_failed");
    assertMatch(event!.message, /Device blk0 of sds-\d failed \(Cannot open .*superblock/);
    await fixture.sdc.refresh();
    const { data } = await fixture.sdc.read({ chunkIndex: 0, offsetBytes: 0 }, 4096);
    assertEquals(data, new Uint8Array(4096).fill(7));
  });
});

Deno.test("scenario: a device whose folder is empty is not failed: a file system that was not mounted looks so", async () => {
  await withSds({ outAfterMs: 100_000_000 }, async (fixture) => {
    await fixture.sdc.write({ chunkIndex: 0, offsetBytes: 0 }, new Uint8Array(4096).fill(7));
    let kept: Uint8Array<ArrayBuffer> | undefined;
    const { secondary, stateOf, events } = restartedOver(fixture, (disk) => {
      kept = disk.peek("superblock", { positionBytes: 0, lengthBytes: disk.sizeOf("superblock") });
      disk.remove("superblock");
    });
    await fixture.until("the MDM was told", async () => (await events()).length > 0);
    await fixture.sleep(30_000);
    assertEquals(stateOf(), "active");
    const told = await events();
    assertEquals(told.map(({ type }) => type), ["device_unavailable"], "once");
    assertMatch(told[0]!.message, /holds none, and it was one before; put its files back/);
    assert(kept !== undefined);
    const file = secondary.disk.open("superblock");
    file.writeSync(kept, 0);
    file.close();
    await fixture.untilFull();
    assertEquals(secondary.devices.length, 1);
  });
});
