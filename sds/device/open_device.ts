/**
 * Start of a device (replication design, section 5.5, steps 1 to 3; the superblock is written once the catalogue is known to be good).
 *
 *   1 lock the superblock, check whose device it is
 *   2 open the catalogue: unreadable means failed, never empty; after a clean stop its rows must be those of that stop
 *   3 raise the incarnation, clear `cleanFor` and the digest, sync: a start that ended before this has changed nothing
 *   4 after an unclean stop: check the catalogue, zero the slots that were in the reserve, sync all files; whatever the stop was,
 *     the chunks of `dirty` regions become unverified
 *
 * Slots of deleted chunks stay marked and are zeroed in the background.
 *
 * @module
 */
import { setBitsOf } from "@/sds/device/bitmap.ts";
import { Catalogue } from "@/sds/device/catalogue.ts";
import { migrateCatalogue, SLOT_IN_RESERVE } from "@/sds/device/catalogue_schema.ts";
import { Device } from "@/sds/device/device.ts";
import type { DeviceParts } from "@/sds/device/device_parts.ts";
import { DevicePg } from "@/sds/device/device_pg.ts";
import { DeviceHealth } from "@/sds/device/health.ts";
import { IntentLog } from "@/sds/device/intent_log.ts";
import {
  CATALOGUE_FILE,
  CATALOGUE_LOG_FILE,
  CHECKSUMS_FILE,
  DATA_FILE,
  INTENTS_FILE,
  SPARE_FILE,
  SUPERBLOCK_FILE,
} from "@/sds/device/layout.ts";
import { DEVICE_LIMITS, type DeviceLimits } from "@/sds/device/limits.ts";
import { SpareFile } from "@/sds/device/spare_file.ts";
import { SlotFiles } from "@/sds/device/slot_files.ts";
import {
  type DeviceIdentity,
  markFailed,
  readSuperblock,
  type Superblock,
  writeSuperblock,
} from "@/sds/device/superblock.ts";
import { SyncedFile } from "@/sds/device/synced_file.ts";
import type { Clock } from "@/shared/clock.ts";
import type { Disk, DiskFile } from "@/shared/disk.ts";
import { StorageError } from "@/shared/errors.ts";
import { ALL_GUARDS, type Guards } from "@/shared/guards.ts";
import { sameIncarnation } from "@/shared/ids.ts";
import { type Random, randomHex } from "@/shared/random.ts";

/** What a device is opened with. */
export interface OpenDeviceOptions {
  readonly disk: Disk;
  /** Whose device it must be. */
  readonly identity: DeviceIdentity;
  readonly clock: Clock;
  readonly random: Random;
  /** Where they differ from {@linkcode DEVICE_LIMITS}. */
  readonly limits?: Partial<DeviceLimits>;
  /** Only simulations switch any off. */
  readonly guards?: Guards;
}

/** Marked slots that are zeroed between two commits. */
const ZEROED_PER_COMMIT = 64;

/**
 * Opens a formatted device under a new incarnation. The caller closes it.
 *
 * @throws {StorageError} `not_found`: not formatted; `unavailable`: another process has it, or a passing reason; `conflict`: another
 *   device, SDS or cluster; `device_failed`: it failed before or now, its data is lost
 */
export async function openDevice(options: OpenDeviceOptions): Promise<Device> {
  const { disk } = options;
  if (!disk.exists(SUPERBLOCK_FILE)) {
    throw new StorageError("not_found", `Cannot open ${disk.path}: it is not a device`);
  }
  const superblockFile = disk.open(SUPERBLOCK_FILE);
  try {
    if (!superblockFile.tryLock()) {
      throw new StorageError("unavailable", `Cannot open ${disk.path}: another process uses it`);
    }
    const found = requireOurs(superblockFile, options);
    const incarnation = { counter: found.incarnation.counter + 1, random: randomHex(options.random, 8) };
    const generation = found.generation + 1;
    const superblock = { ...found, generation, incarnation, cleanFor: undefined, catalogueDigest: undefined };
    const wasClean = found.cleanFor !== undefined && sameIncarnation(found.cleanFor, found.incarnation);
    const { cleanFor, catalogueDigest: digest } = found;
    return await openParts(options, { start: { superblockFile, superblock, cleanFor, wasClean }, digest });
  } catch (error) {
    superblockFile.close();
    throw error;
  }
}

/** What the superblock gave; `superblock` is what it will say. */
type Start = Pick<DeviceParts, "superblockFile" | "superblock" | "cleanFor" | "wasClean">;

function requireOurs(file: DiskFile, { disk, identity }: OpenDeviceOptions): Superblock {
  const found = readSuperblock(file);
  if ("problem" in found) {
    const code = found.blank ? "not_found" : "device_failed";
    throw new StorageError(code, `Cannot open ${disk.path}: its superblock is not readable: ${found.problem}`);
  }
  for (const field of ["clusterId", "sdsId", "deviceId"] as const) {
    if (found[field] === identity[field]) continue;
    const difference = `its ${field} is ${found[field]} instead of ${identity[field]}`;
    throw new StorageError("conflict", `Cannot open ${disk.path}: ${difference}`);
  }
  if (found.failed) {
    throw new StorageError("device_failed", `Cannot open ${disk.path}: the device failed before and is out of use`);
  }
  return found;
}

/** Opens the other files and hands everything to a `Device`; closes what it opened if that fails. */
async function openParts(
  options: OpenDeviceOptions,
  found: { readonly start: Start; readonly digest: Uint8Array | undefined },
): Promise<Device> {
  const { start, digest } = found;
  const { clock, disk } = options;
  const health = new DeviceHealth();
  const guards = options.guards ?? ALL_GUARDS;
  const limits = { ...DEVICE_LIMITS, ...options.limits };
  const open = new AsyncDisposableStack();
  try {
    requireFiles(disk);
    const openFile = (name: string) => {
      const file = disk.open(name);
      open.defer(() => file.close());
      return new SyncedFile(file, { name, health });
    };
    const database = disk.openDatabase(CATALOGUE_FILE);
    open.defer(() => database.isOpen ? database.close() : undefined);
    migrateCatalogue(database);
    const data = openFile(DATA_FILE);
    const checksums = openFile(CHECKSUMS_FILE);
    const intentsFile = openFile(INTENTS_FILE);
    // The log exists from the first read of the database on, and as long as a connection is open.
    const log = openFile(CATALOGUE_LOG_FILE);
    const catalogue = new Catalogue(database, { disk, log, health });
    const intents = new IntentLog({ file: intentsFile, health, clearMs: limits.intentClearMs, guards });
    const files = new SlotFiles({ data, checksums, health });
    const spare = new SpareFile(disk.open(SPARE_FILE), { wholeBytes: limits.spareBytes });
    open.defer(() => spare.close());
    const parts = { ...start, disk, clock, limits, guards, health, files, spare, intentsFile, intents, catalogue };
    if (parts.wasClean && digest !== undefined) await requireDigest(parts, digest);
    await writeSuperblock(start.superblockFile, start.superblock);
    const pgs = await recover(parts);
    const device = new Device(parts);
    await device.begin(pgs);
    open.move();
    return device;
  } catch (cause) {
    await open.disposeAsync();
    if (health.failed !== undefined) await markFailed(start.superblockFile, start.superblock);
    throw startError(options, { cause, health });
  }
}

/** A file that is gone is a failed device, not an empty one. */
function requireFiles(disk: Disk): void {
  for (const name of [DATA_FILE, CHECKSUMS_FILE, INTENTS_FILE, CATALOGUE_FILE]) {
    if (!disk.exists(name)) throw new StorageError("device_failed", `${name} is missing`);
  }
}

/** The rows must be those that the clean stop left. @throws {StorageError} device_failed */
async function requireDigest({ catalogue, clock, health }: DeviceParts, expected: Uint8Array): Promise<void> {
  const digest = await catalogue.digest(() => new Promise((resolve) => void clock.setTimer(0, resolve)));
  if (digest.every((byte, index) => byte === expected[index])) return;
  throw health.fail("Cannot use the catalogue", new Error("its rows are not those that the last stop left"));
}

/** Step 4; gives the groups of which the device has a copy. */
async function recover(parts: DeviceParts): Promise<DevicePg[]> {
  const { catalogue, disk, files, guards, health, intents, intentsFile, superblock, wasClean } = parts;
  if (!wasClean) {
    const problem = catalogue.problem(superblock.slotCount);
    if (problem !== undefined) throw health.fail("Cannot use the catalogue", new Error(problem));
  }
  const pgs = catalogue.listPgs().map((row) => new DevicePg(row.pgId, row));
  for (const pg of pgs) {
    intents.load(pg, { wasClean });
    if (!guards.unverifiedChunks) continue;
    for (const region of setBitsOf(pg.intents.dirty)) catalogue.setRegionUnverified(pg.pgId, region);
  }
  const highestSlot = catalogue.highestChunkSlot();
  if (highestSlot !== undefined) files.extendTo(highestSlot + 1);
  const slots = zeroReserve(parts);
  catalogue.commit();
  await disk.syncDirectory();
  const all = [files.data, files.checksums, intentsFile, catalogue.log];
  await Promise.all(wasClean ? all.map((file) => file.sync()) : all.map((file) => file.syncAnyway()));
  catalogue.unmarkSlots(slots);
  await catalogue.commitFull();
  return pgs;
}

/** Zeroes the slots that were taken into the reserve and not used, and gives them. */
function zeroReserve({ catalogue, files }: DeviceParts): number[] {
  const zeroed: number[] = [];
  for (let from = 0;;) {
    const slots = catalogue.listMarkedSlots({ state: SLOT_IN_RESERVE, from, limit: ZEROED_PER_COMMIT });
    for (const slot of slots) files.ensureZero(slot);
    zeroed.push(...slots);
    const last = slots.at(-1);
    if (last === undefined) return zeroed;
    from = last + 1;
  }
}

/** `device_failed` only for what no later try mends: the caller gives the data up then. */
function startError(
  { disk, identity }: OpenDeviceOptions,
  { cause, health }: { readonly cause: unknown; readonly health: DeviceHealth },
): StorageError {
  const reason = cause instanceof Error ? cause.message : String(cause);
  const message = `Cannot start device ${identity.deviceId} in ${disk.path}: ${reason}`;
  const isLost = health.failed !== undefined || isCorrupt(cause) ||
    (cause instanceof StorageError && cause.code === "device_failed");
  return new StorageError(isLost ? "device_failed" : "unavailable", message, { cause });
}

/** What SQLite says when it is not the file's content that stops it; Deno passes the text only, no result code. */
const PASSING_MESSAGES = [
  "attempt to write a readonly database",
  "database is locked",
  "database or disk is full",
  "disk I/O error",
  "interrupted",
  "out of memory",
  "unable to open database file",
];

/** True if SQLite could read the catalogue and found no sound database in it. */
function isCorrupt(cause: unknown): boolean {
  if (!(cause instanceof Error) || !("code" in cause) || cause.code !== "ERR_SQLITE_ERROR") return false;
  return !PASSING_MESSAGES.some((message) => cause.message.includes(message));
}
