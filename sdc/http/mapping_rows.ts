/**
 * The mappings of this SDC as its control and management APIs list them.
 *
 * @module
 */
import { z } from "zod";
import type { MappedVolumes } from "@/sdc/mapped_volumes.ts";
import { accessModeSchema } from "@/shared/api/sdc.ts";
import type { Clock } from "@/shared/clock.ts";

export const mappingShape = z.object({
  volume_id: z.int(),
  volume_name: z.string(),
  size_bytes: z.int(),
  access_mode: accessModeSchema,
  /** `serving`, or the code of why it stopped. */
  state: z.string(),
  /** Where clients of the device find it: `naa.6` and 31 hexadecimal digits. */
  device_path: z.string(),
  mapped_at: z.string(),
  last_io_at: z.string().nullable(),
  io_count: z.int(),
  pending_ios: z.int(),
  retries: z.int(),
  errors: z.int(),
}).meta({ id: "Mapping" });

/** One row per mapped volume. */
export function mappingRows(volumes: MappedVolumes, clock: Clock): z.output<typeof mappingShape>[] {
  const startedAtMs = clock.wallMs() - clock.monotonicMs();
  return volumes.all().map(({ guard, remote, mappedAtMs, devicePath }) => {
    const { mapping } = guard;
    const { totals } = remote;
    return {
      volume_id: mapping.volumeId,
      volume_name: mapping.volumeName,
      size_bytes: guard.sizeBytes,
      access_mode: mapping.accessMode,
      state: remote.stopped ?? "serving",
      device_path: devicePath,
      mapped_at: new Date(mappedAtMs).toISOString(),
      last_io_at: totals.lastIoAtMs < 0 ? null : new Date(startedAtMs + totals.lastIoAtMs).toISOString(),
      io_count: totals.reads + totals.writes,
      pending_ios: remote.pendingCount,
      retries: remote.retryCount,
      errors: totals.errors,
    };
  });
}
