/**
 * What a device is made of, from its opening to its close.
 *
 * @module
 */
import type { Catalogue } from "@/sds/device/catalogue.ts";
import type { DeviceHealth } from "@/sds/device/health.ts";
import type { IntentLog } from "@/sds/device/intent_log.ts";
import type { DeviceLimits } from "@/sds/device/limits.ts";
import type { SlotFiles } from "@/sds/device/slot_files.ts";
import type { SpareFile } from "@/sds/device/spare_file.ts";
import type { Superblock } from "@/sds/device/superblock.ts";
import type { SyncedFile } from "@/sds/device/synced_file.ts";
import type { Clock } from "@/shared/clock.ts";
import type { Disk, DiskFile } from "@/shared/disk.ts";
import type { Guards } from "@/shared/guards.ts";
import type { Incarnation } from "@/shared/ids.ts";

/** What `open_device.ts` hands over: files that are checked, locked and of this incarnation. */
export interface DeviceParts {
  readonly disk: Disk;
  readonly clock: Clock;
  readonly limits: DeviceLimits;
  readonly guards: Guards;
  readonly health: DeviceHealth;
  readonly superblockFile: DiskFile;
  readonly superblock: Superblock;
  /** As the superblock said before this start. */
  readonly cleanFor: Incarnation | undefined;
  readonly wasClean: boolean;
  readonly files: SlotFiles;
  readonly spare: SpareFile;
  readonly intentsFile: SyncedFile;
  readonly intents: IntentLog;
  readonly catalogue: Catalogue;
}

/** Sizes for heartbeats and metrics. */
export interface DeviceTotals {
  readonly capacityBytes: number;
  /** Bytes of the slots that hold chunks. */
  readonly usedBytes: number;
  readonly freeSlotCount: number;
  /** Bytes of data written since the last sync began. */
  readonly dirtyBytes: number;
  readonly cachedChunkCount: number;
  /** Blocks that fail every read until they are written again. */
  readonly damagedBlockCount: number;
}
