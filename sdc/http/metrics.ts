/**
 * What Prometheus reads of an SDC, computed when it asks.
 *
 * @module
 */
import { Counter, Gauge, Registry } from "prom-client";
import { connectionsOf, type ManagementRouteParts } from "@/sdc/http/management_routes.ts";
import type { VolumeTotals } from "@/sdc/remote/volume_events.ts";

const BY_VOLUME = [
  ["powerflex_sdc_reads_total", "Reads.", "reads"],
  ["powerflex_sdc_writes_total", "Writes, trims and write_zeroes.", "writes"],
  ["powerflex_sdc_read_bytes_total", "Bytes read.", "readBytes"],
  ["powerflex_sdc_written_bytes_total", "Bytes written.", "writtenBytes"],
  ["powerflex_sdc_errors_total", "Requests that failed.", "errors"],
] as const satisfies readonly (readonly [string, string, keyof VolumeTotals])[];

/** A registry of one SDC; counters are per mapped volume and begin anew when it is mapped again. */
export function sdcMetrics(parts: ManagementRouteParts): Registry {
  const registry = new Registry();
  const registers = [registry];
  for (const [name, help, field] of BY_VOLUME) {
    new Counter({
      name,
      help,
      labelNames: ["volume"],
      registers,
      collect() {
        this.reset();
        for (const { guard, remote } of parts.volumes.all()) this.inc({ volume: guard.name }, remote.totals[field]);
      },
    });
  }
  new Gauge({
    name: "powerflex_sdc_pending_ios",
    help: "Requests that are not answered.",
    labelNames: ["volume"],
    registers,
    collect() {
      this.reset();
      for (const { guard, remote } of parts.volumes.all()) this.set({ volume: guard.name }, remote.pendingCount);
    },
  });
  new Gauge({
    name: "powerflex_sdc_connections",
    help: "Clients of NBD and device port.",
    registers,
    collect() {
      this.set(connectionsOf(parts.frontEnds()));
    },
  });
  new Gauge({
    name: "powerflex_sdc_mdm_answers",
    help: "1 = the last call at the MDM was answered.",
    registers,
    collect() {
      this.set(parts.agent().mdmAnswers ? 1 : 0);
    },
  });
  return registry;
}
