/**
 * Sums of the IO that SDSs counted, by volume, SDC and SDS. Each operation is counted once, at the primary that served it.
 *
 * @module
 */
import type { MdmContext } from "@/mdm/context.ts";
import type { IoCounters } from "@/shared/api/overview.ts";
import type { SdcId, SdsId, VolumeId } from "@/shared/ids.ts";

export const NO_IO: IoCounters = {
  reads: 0,
  writes: 0,
  readBytes: 0,
  writtenBytes: 0,
  errors: 0,
  timedOperations: 0,
  timedMs: 0,
};

export function sumOf(a: IoCounters, b: IoCounters): IoCounters {
  return {
    reads: a.reads + b.reads,
    writes: a.writes + b.writes,
    readBytes: a.readBytes + b.readBytes,
    writtenBytes: a.writtenBytes + b.writtenBytes,
    errors: a.errors + b.errors,
    timedOperations: a.timedOperations + b.timedOperations,
    timedMs: a.timedMs + b.timedMs,
  };
}

/** Sums of one instant. */
export interface IoTotals {
  ofVolume(volumeId: VolumeId): IoCounters;
  ofSdc(sdcId: SdcId): IoCounters;
  ofSds(sdsId: SdsId): IoCounters;
}

/** All sums, made in one pass; errors and times of volumes and SDCs are what the SDCs report. */
export function ioTotals(context: MdmContext, options: { sdcIds: readonly SdcId[] }): IoTotals {
  const byVolume = new Map<number, IoCounters>();
  const bySdc = new Map<number, IoCounters>();
  const add = (map: Map<number, IoCounters>, id: number, counts: IoCounters) =>
    map.set(id, sumOf(map.get(id) ?? NO_IO, counts));
  for (const life of context.live.allSds()) {
    for (const counts of life.io.values()) {
      add(byVolume, counts.volumeId, counts);
      add(bySdc, counts.sdcId, counts);
    }
  }
  for (const sdcId of options.sdcIds) {
    for (const [volumeId, counts] of context.live.sdc(sdcId).io) {
      add(byVolume, volumeId, { ...NO_IO, ...counts });
      add(bySdc, sdcId, { ...NO_IO, ...counts });
    }
  }
  return {
    ofVolume: (volumeId) => byVolume.get(volumeId) ?? NO_IO,
    ofSdc: (sdcId) => bySdc.get(sdcId) ?? NO_IO,
    ofSds: (sdsId) => {
      const { io, served } = context.live.sds(sdsId);
      const timed = { ...NO_IO, timedOperations: served.operations, timedMs: served.timeMs };
      return [...io.values()].reduce<IoCounters>(sumOf, timed);
    },
  };
}
