/**
 * Makes a directory a device, and looks at one without opening it.
 *
 * @module
 */
import { migrateCatalogue } from "@/sds/device/catalogue_schema.ts";
import {
  CATALOGUE_FILE,
  CATALOGUE_LOG_FILE,
  CHECKSUMS_FILE,
  DATA_FILE,
  INTENTS_FILE,
  SLOT_BYTES,
  SUPERBLOCK_FILE,
} from "@/sds/device/layout.ts";
import { type DeviceIdentity, readSuperblock, type Superblock, writeSuperblock } from "@/sds/device/superblock.ts";
import type { Disk } from "@/shared/disk.ts";
import { StorageError } from "@/shared/errors.ts";

/** Share of a device's capacity that holds chunks; the rest stays for the catalogue and for zeroing. */
export const DATA_SHARE = 0.97;

/** No process has used the device since it was formatted. */
const NOT_STARTED = { counter: 0, random: "0".repeat(16) };

/**
 * Makes `disk` an empty device. The superblock comes last, so a format that broke off is begun again.
 *
 * @param options.capacityBytes of which {@linkcode DATA_SHARE} become slots; 2 MiB or more.
 * @throws {StorageError} `conflict` if it is a device already, `invalid` if the capacity is too small
 */
export async function formatDevice(
  options: DeviceIdentity & { readonly disk: Disk; readonly capacityBytes: number },
): Promise<void> {
  const { disk, clusterId, sdsId, deviceId } = options;
  const slotCount = Math.floor(options.capacityBytes * DATA_SHARE / SLOT_BYTES);
  if (slotCount < 1 || slotCount >= 2 ** 32) {
    throw new StorageError(
      "invalid",
      `Cannot format ${disk.path}: ${options.capacityBytes} bytes make ${slotCount} slots`,
    );
  }
  const found = inspectDevice(disk);
  if (found !== undefined) {
    const whose = "problem" in found ? `with a broken superblock (${found.problem})` : `${found.deviceId}`;
    throw new StorageError("conflict", `Cannot format ${disk.path}: it is device ${whose}`);
  }
  for (const name of [DATA_FILE, CHECKSUMS_FILE, INTENTS_FILE, CATALOGUE_LOG_FILE, CATALOGUE_FILE]) {
    if (disk.exists(name)) disk.remove(name);
  }
  for (const name of [DATA_FILE, CHECKSUMS_FILE, INTENTS_FILE]) {
    const file = disk.open(name);
    await file.syncData().finally(() => file.close());
  }
  await createCatalogue(disk);
  await disk.syncDirectory();
  const file = disk.open(SUPERBLOCK_FILE);
  try {
    await writeSuperblock(file, {
      clusterId,
      sdsId,
      deviceId,
      slotCount,
      generation: 1,
      incarnation: NOT_STARTED,
      cleanFor: NOT_STARTED,
      failed: false,
    });
  } finally {
    file.close();
  }
  await disk.syncDirectory();
}

/**
 * What the superblock of a directory says, without a lock: for finding devices. `undefined`: it is none, or its format broke off;
 * `problem`: it is one, and both copies are unreadable.
 */
export function inspectDevice(disk: Disk): Superblock | { readonly problem: string } | undefined {
  if (!disk.exists(SUPERBLOCK_FILE)) return undefined;
  const file = disk.open(SUPERBLOCK_FILE);
  try {
    const superblock = readSuperblock(file);
    return "problem" in superblock && superblock.blank ? undefined : superblock;
  } finally {
    file.close();
  }
}

/** Closing the only connection copies the log into the file and syncs it. */
async function createCatalogue(disk: Disk): Promise<void> {
  const database = disk.openDatabase(CATALOGUE_FILE);
  try {
    migrateCatalogue(database);
    await disk.checkpointDatabase(CATALOGUE_FILE);
  } finally {
    database.close();
  }
}
