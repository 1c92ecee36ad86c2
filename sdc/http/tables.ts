/**
 * The tables of an SDC for `/tables`: those of its two databases, and what it holds in memory. Tokens themselves are never shown.
 *
 * @module
 */
import type { MappedVolume, MappedVolumes } from "@/sdc/mapped_volumes.ts";
import { type SdcStore, STORED_TABLE_NAMES } from "@/sdc/store/store.ts";
import { computedTable, type NodeTable, type TableRow } from "@/shared/http/table_routes.ts";

/** See the module comment. */
export function sdcTables(volumes: MappedVolumes, store: SdcStore): Record<string, NodeTable> {
  const ofEach = (rows: (volume: MappedVolume) => readonly TableRow[]) => () => volumes.all().flatMap(rows);
  const tokens = ofEach((volume) => {
    const tokenId = volumes.tokenIdOf(volume.guard.mapping.volumeId);
    if (tokenId === undefined) return [];
    const { volumeId, accessMode, mappingGeneration } = volume.guard.mapping;
    return [{
      volume_id: volumeId,
      token_id: tokenId,
      access_mode: accessMode,
      mapping_generation: mappingGeneration,
      size_bytes: volume.link.sizeBytes,
    }];
  });
  const pending = ofEach(({ guard, remote }) =>
    remote.pending().map((request) => ({ volume_id: guard.mapping.volumeId, ...request }))
  );
  const stored = STORED_TABLE_NAMES.map((name): [string, NodeTable] => [name, {
    database: store.databaseOf(name),
    kind: "stored",
    rows: (page) => store.rowsOf(name, page),
  }]);
  return {
    ...Object.fromEntries(stored),
    chunk_locations: computedTable("sdc_chunks", ofEach(locationsOf)),
    token_cache: computedTable("sdc_chunks", tokens),
    pending_ios: computedTable("sdc_chunks", pending),
    io_stats_local: computedTable(
      "sdc_chunks",
      ofEach(({ guard, remote: { totals, retryCount } }) => [{
        volume_id: guard.mapping.volumeId,
        total_reads: totals.reads,
        total_writes: totals.writes,
        total_bytes_read: totals.readBytes,
        total_bytes_written: totals.writtenBytes,
        total_errors: totals.errors,
        retries: retryCount,
      }]),
    ),
    active_tokens: computedTable("sdc_local", tokens),
    pending_io_operations: computedTable("sdc_local", pending),
  };
}

/** One row per placement group: chunk `c` of the volume is in the group at index `(base + c) % group_count`. */
function locationsOf({ guard, link }: MappedVolume): TableRow[] {
  const { table } = link.routes;
  if (table === undefined) return [];
  const endpoints = new Map(link.peers().map((peer) => [Number(peer.sdsId), peer.endpoint]));
  return Array.from(table.pgIds, (pgId, index) => {
    const sdsId = table.sdsIds[index]!;
    const endpoint = endpoints.get(sdsId);
    return {
      volume_id: guard.mapping.volumeId,
      pg_index: index,
      pg_id: pgId,
      first_chunk_index: (index - table.pgIndexOfChunk(0) + table.pgCount) % table.pgCount,
      group_count: table.pgCount,
      generation: table.epochs[index],
      sds_id: sdsId === 0 ? null : sdsId,
      sds_address: endpoint?.host ?? null,
      sds_data_port: endpoint?.dataPort ?? null,
      copies: table.memberCounts[index] === 0 ? null : table.memberCounts[index],
    };
  });
}
