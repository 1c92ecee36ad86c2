/**
 * What Prometheus reads of an SDS, computed when it asks.
 *
 * @module
 */
import { Counter, Gauge, Registry } from "prom-client";
import { repairCountsOf } from "@/sds/replication/block_repair.ts";
import { type ManagementFacts, statsOf } from "@/sds/routes/management.ts";

const TOTALS = [
  ["powerflex_sds_io_operations_total", "Reads and writes.", "total_io_operations"],
  ["powerflex_sds_read_bytes_total", "Bytes read.", "total_bytes_read"],
  ["powerflex_sds_written_bytes_total", "Bytes written.", "total_bytes_written"],
  ["powerflex_sds_errors_total", "Requests that were refused or failed for good.", "total_errors"],
  ["powerflex_sds_tokens_consumed_total", "Uses of single-use tokens.", "tokens_consumed"],
] as const satisfies readonly (readonly [string, string, keyof ReturnType<typeof statsOf>])[];

/** A registry of one SDS. */
export function sdsMetrics(facts: () => ManagementFacts): Registry {
  const registry = new Registry();
  const registers = [registry];
  for (const [name, help, field] of TOTALS) {
    new Counter({
      name,
      help,
      registers,
      collect() {
        this.reset();
        this.inc(statsOf(facts())[field]);
      },
    });
  }
  for (
    const [name, help, of] of [
      ["powerflex_sds_repaired_blocks_total", "Bad blocks written anew from another copy.", "repairedBlocks"],
      ["powerflex_sds_differing_blocks_total", "Good blocks in which copies differed.", "differingBlocks"],
    ] as const
  ) {
    new Counter({
      name,
      help,
      registers,
      labelNames: ["device"],
      collect() {
        this.reset();
        for (const { device, name } of facts().devices) this.inc({ device: name }, repairCountsOf(device)[of]);
      },
    });
  }
  new Counter({
    name: "powerflex_sds_scrubbed_chunks_total",
    help: "Chunks of which all copies were read and compared.",
    registers,
    labelNames: ["device"],
    collect() {
      this.reset();
      for (const { device, name } of facts().devices) this.inc({ device: name }, device.scrub.counts.chunks);
    },
  });
  new Gauge({
    name: "powerflex_sds_damaged_blocks",
    help: "Blocks of which no copy is good: they fail until they are written.",
    registers,
    labelNames: ["device"],
    collect() {
      this.reset();
      for (const { device, name } of facts().devices) this.set({ device: name }, repairCountsOf(device).damagedBlocks);
    },
  });
  for (
    const [name, help, field] of [
      ["powerflex_sds_device_capacity_bytes", "Room of a device.", "capacityBytes"],
      ["powerflex_sds_device_used_bytes", "Bytes of a device that hold chunks.", "usedBytes"],
    ] as const
  ) {
    new Gauge({
      name,
      help,
      labelNames: ["device"],
      registers,
      collect() {
        this.reset();
        for (const { device, name } of facts().devices) this.set({ device: name }, device.store.totals()[field]);
      },
    });
  }
  new Gauge({
    name: "powerflex_sds_serving_groups",
    help: "Placement groups served as primary.",
    registers,
    collect() {
      this.set(facts().devices.reduce((sum, { device }) => sum + device.servingCount, 0));
    },
  });
  new Gauge({
    name: "powerflex_sds_pending_acks",
    help: "Uses of tokens that the MDM has not been told of.",
    registers,
    collect() {
      this.set(facts().pendingAcks);
    },
  });
  return registry;
}
