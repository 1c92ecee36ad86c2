/**
 * Writes a sample of the totals each minute (`performance_metrics`), so that what happened can be seen when nobody polled.
 *
 * @module
 */
import type { MappedVolumes } from "@/sdc/mapped_volumes.ts";
import type { SdcStore } from "@/sdc/store/store.ts";
import { type Clock, every, type Timer } from "@/shared/clock.ts";
import type { Logger } from "@/shared/log.ts";

/** Time between two samples, in ms. */
export const SAMPLE_MS = 60_000;

interface SamplerParts {
  readonly volumes: MappedVolumes;
  readonly store: SdcStore;
  readonly clock: Clock;
  readonly log: Logger;
  connectionCount(): number;
}

/** Begins to sample; a sample that cannot be written is missing, and the log says so. */
export function startSampler(parts: SamplerParts): Timer {
  const { volumes, store, clock, log } = parts;
  return every(clock, SAMPLE_MS, () => {
    const { reads, writes, readBytes, writtenBytes, errors } = volumes.totals();
    const pendingCount = volumes.all().reduce((sum, { remote }) => sum + remote.pendingCount, 0);
    const connectionCount = parts.connectionCount();
    try {
      const totals = { reads, writes, readBytes, writtenBytes, errors };
      store.addSample({ atMs: clock.wallMs(), ...totals, pendingCount, connectionCount });
    } catch (error) {
      log.warning("Cannot write a sample: {error}", { error });
    }
  });
}
