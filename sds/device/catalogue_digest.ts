/**
 * A digest of the rows of the catalogue. SQLite keeps no checksums of its pages: a bit that flips in a row while the device rests
 * would have another slot's data read as the chunk's, each block with a good checksum. The superblock of a clean stop keeps the
 * digest, and the next start compares. Rows are read as the device reads them, through every index that it uses.
 *
 * @module
 */
import { createHash } from "node:crypto";
import type { DatabaseSync } from "node:sqlite";

/** Rows between two breaks: about 10 ms of work. */
const ROWS_PER_TURN = 5_000;

const QUERIES: readonly string[] = [
  "SELECT pg_id, epoch, complete, intent_slot FROM pg ORDER BY pg_id",
  "SELECT pg_id, node_id, chunk_index, vtree_id, region, slot, unverified FROM chunk ORDER BY pg_id, node_id, chunk_index",
  "SELECT pg_id, region, node_id, chunk_index FROM chunk INDEXED BY chunk_by_region" +
  " ORDER BY pg_id, region, node_id, chunk_index",
  "SELECT slot FROM chunk ORDER BY slot",
  "SELECT slot, state FROM reserved_slot ORDER BY slot",
  "SELECT pg_id, node_id, chunk_index, hex(blocks) AS blocks FROM damaged ORDER BY pg_id, node_id, chunk_index",
];

/** SHA-256 of the rows, with a `pause` now and then. Nothing changes them meanwhile. @throws {Error} from SQLite. */
export async function catalogueDigest(database: DatabaseSync, pause: () => Promise<void>): Promise<Uint8Array> {
  const hash = createHash("sha256");
  let count = 0;
  for (const [index, query] of QUERIES.entries()) {
    hash.update(`query ${index}\n`);
    for (const row of database.prepare(query).iterate()) {
      hash.update(Object.values(row).join(",") + "\n");
      if (++count % ROWS_PER_TURN === 0) await pause();
    }
  }
  return new Uint8Array(hash.digest());
}
