/**
 * The tables of an SDS for `/mgmt/tables`: those of `sds_local.db`, and what it holds in memory. What travels with a disk is in
 * that disk's `catalogue.db`; `chunk_metadata` of older texts is `/mgmt/replicas`.
 *
 * @module
 */
import { groupRows } from "@/sds/routes/replicas.ts";
import type { ManagementFacts } from "@/sds/routes/management.ts";
import type { TokenUses } from "@/sds/data/token_uses.ts";
import type { PeerDirectory } from "@/sds/context.ts";
import { LOCAL_TABLES, type LocalStore } from "@/sds/store/local_store.ts";
import type { IoCounts } from "@/shared/api/sds.ts";
import { computedTable, type NodeTable } from "@/shared/http/table_routes.ts";

const DATABASE = "sds_local";

/** What the tables are made from. */
export interface TableParts {
  readonly local: LocalStore;
  readonly tokenUses: TokenUses;
  readonly peers: PeerDirectory;
  facts(): ManagementFacts;
  ioCounts(): IoCounts[];
}

/** See the module comment. */
export function sdsTables({ local, tokenUses, peers, facts, ioCounts }: TableParts): Record<string, NodeTable> {
  const groups = () => facts().devices.flatMap(({ device }) => [...device.groups.values()]);
  const stored = LOCAL_TABLES.map((name): [string, NodeTable] => [name, {
    database: DATABASE,
    kind: "stored",
    rows: (page) => local.rowsOf(name, page),
  }]);
  return {
    ...Object.fromEntries(stored),
    sds_metadata: {
      database: DATABASE,
      kind: "stored",
      rows: ({ limit, offset }) => local.metadata().slice(offset, offset + limit),
    },
    local_replicas: computedTable(DATABASE, () => groupRows(facts())),
    pending_replications: computedTable(
      DATABASE,
      () => facts().devices.flatMap(({ device }) => device.joins.reports()),
    ),
    write_journal: computedTable(
      DATABASE,
      () =>
        groups().flatMap(({ pgId, device, storage }) =>
          storage === undefined ? [] : [{
            pg_id: pgId,
            device_id: device.deviceId,
            record_generation: storage.intents.generation,
            dirty_regions: bitCount(storage.intents.dirty),
            resync_regions: bitCount(storage.intents.resync),
          }]
        ),
    ),
    scrub: computedTable(
      DATABASE,
      () =>
        facts().devices.flatMap(({ device }) =>
          device.scrub.rows().map(({ pgId, run, afterKey, endedMs }) => ({
            pg_id: pgId,
            device_id: device.deviceId,
            runs: run,
            under_way: afterKey >= 0,
            ended_at: new Date(endedMs).toISOString(),
          }))
        ),
    ),
    ack_queue: computedTable(DATABASE, () => tokenUses.untold()),
    io_stats_local: computedTable(DATABASE, () => ioCounts()),
    peer_health: computedTable(DATABASE, () =>
      peers.all().map(({ sdsId, host, dataPort, deviceIds }) => ({
        sds_id: sdsId,
        host,
        data_port: dataPort,
        device_ids: deviceIds,
        open_links: facts().devices.filter(({ device }) => deviceIds.some((id) => device.hasLinkTo(id))).length,
      }))),
  };
}

function bitCount(bitmap: Uint8Array): number {
  let count = 0;
  for (let byte of bitmap) for (; byte > 0; byte &= byte - 1) count++;
  return count;
}
