/**
 * What Prometheus reads of the MDM, computed when it asks.
 *
 * @module
 */
import { Gauge, Registry } from "prom-client";
import type { MdmContext } from "@/mdm/context.ts";
import { gibOfBytes } from "@/mdm/core/capacity.ts";
import { overviewOf } from "@/mdm/operations/overview.ts";

const HEALTH_VALUES = { ok: 2, degraded: 1, failed: 0 } as const;

/** A registry with the gauges of one MDM. */
export function mdmMetrics(context: MdmContext): Registry {
  const registry = new Registry();
  const gauge = (name: string, help: string, labelNames: string[]) =>
    new Gauge({ name, help, labelNames, registers: [registry] });
  // Registered first, it is asked first: it fills in the others before they are.
  new Gauge({
    name: "powerflex_mdm_term",
    help: "Number of this start of the MDM.",
    registers: [registry],
    collect() {
      this.set(context.mdmTerm);
      const overview = overviewOf(context);
      for (const labelled of [poolTotal, poolUsed, poolHealth, groups, sdsState, sdsUsed, volumeSize]) labelled.reset();
      for (const pool of overview.pools) {
        poolTotal.set({ pool: pool.name }, gibOfBytes(pool.logicalLimitBytes));
        poolUsed.set({ pool: pool.name }, gibOfBytes(pool.rawUsedBytes / pool.copies));
        poolHealth.set({ pool: pool.name }, HEALTH_VALUES[pool.health]);
        for (const state of ["full", "degraded", "joining", "unavailable"] as const) {
          groups.set({ pool: pool.name, state }, pool.pgs[state]);
        }
      }
      for (const sds of overview.sdss) {
        sdsState.set({ sds: sds.name }, sds.state === "up" ? 1 : 0);
        sdsUsed.set({ sds: sds.name }, gibOfBytes(sds.devices.reduce((sum, device) => sum + device.usedBytes, 0)));
      }
      for (const volume of overview.volumes) volumeSize.set({ volume: volume.name }, gibOfBytes(volume.sizeBytes));
    },
  });
  const poolTotal = gauge("powerflex_pool_total_capacity_gb", "Limit of logical bytes, in GiB.", ["pool"]);
  const poolUsed = gauge("powerflex_pool_used_capacity_gb", "Logical bytes used, in GiB.", ["pool"]);
  const poolHealth = gauge("powerflex_pool_health", "2 = all copies there, 1 = some missing, 0 = some not served.", [
    "pool",
  ]);
  const groups = gauge("powerflex_pool_placement_groups", "Placement groups by state.", ["pool", "state"]);
  const sdsState = gauge("powerflex_sds_state", "1 = heard lately.", ["sds"]);
  const sdsUsed = gauge("powerflex_sds_used_capacity_gb", "Bytes used on its devices, in GiB.", ["sds"]);
  const volumeSize = gauge("powerflex_volume_size_gb", "Size, in GiB.", ["volume"]);
  return registry;
}
