/**
 * The device's catalogue: rows of `catalogue_schema.ts`, changed in one transaction per turn of the event loop. The first
 * change opens it, and it is committed in a microtask, or earlier by {@linkcode Catalogue.commit}; a commit is in the page cache
 * (`synchronous=NORMAL`, 30 us with one row). {@linkcode Catalogue.log} makes it durable. Any error fails the device.
 *
 * @module
 */
import type { DatabaseSync, StatementSync } from "node:sqlite";
import { catalogueDigest } from "@/sds/device/catalogue_digest.ts";
import { SLOT_FREED, SLOT_IN_RESERVE } from "@/sds/device/catalogue_schema.ts";
import type { DeviceHealth } from "@/sds/device/health.ts";
import { CATALOGUE_FILE } from "@/sds/device/layout.ts";
import type { SyncedFile } from "@/sds/device/synced_file.ts";
import type { Disk } from "@/shared/disk.ts";
import type { ErrorCode } from "@/shared/errors.ts";
import { asId, type NodeId, type PgId, type VtreeId } from "@/shared/ids.ts";

/** Changes of rows after which the log is copied into the main file. A change costs at most about four pages of log. */
export const CHECKPOINT_ROW_CHANGES = 1024;
/** Log at which a checkpoint that does not keep up is made on the event loop. */
export const LOG_BYTES_MAX = 64 * 1024 * 1024;
/** Free pages given back to the file system per checkpoint. */
const VACUUM_PAGES = 256;

/** What a `chunk` row says. */
export interface ChunkRow {
  readonly nodeId: NodeId;
  readonly chunkIndex: number;
  readonly vtreeId: VtreeId;
  readonly region: number;
  readonly slot: number;
  readonly unverified: boolean;
}

/** What a `pg` row says. */
export interface PgStorageRow {
  readonly pgId: PgId;
  readonly epoch: number;
  readonly complete: boolean;
  readonly intentSlot: number;
}

/** How far the scrub of a group is. */
export interface ScrubRow {
  readonly pgId: PgId;
  /** Runs that have ended. */
  readonly run: number;
  /** Chunks with keys up to this one were looked at by the run under way; -1: none is. */
  readonly afterKey: number;
  /** When the last run ended, wall clock; before the first, when the group was first seen here. */
  readonly endedMs: number;
}

/** What the scrub keeps. */
export interface ScrubRows {
  getScrub(pgId: PgId): ScrubRow | undefined;
  /** In the transaction of this turn. */
  putScrub(row: ScrubRow): void;
}

/** Called when a transaction ended: without an error if it was committed. */
export type CommitCallback = (error: ErrorCode | undefined) => void;

const CHUNK_COLUMNS = "node_id, chunk_index, vtree_id, region, slot, unverified";

/** Rows of one open device. */
export class Catalogue {
  /** SQLite's log: its sync makes all commits before it durable. */
  readonly log: SyncedFile;
  readonly #database: DatabaseSync;
  readonly #disk: Disk;
  readonly #health: DeviceHealth;
  readonly #statements: ReturnType<typeof prepareStatements>;
  readonly #callbacks: CommitCallback[] = [];
  #open = false;
  #rowChanges = 0;
  #checkpoint: Promise<void> | undefined;

  constructor(
    database: DatabaseSync,
    options: { readonly disk: Disk; readonly log: SyncedFile; readonly health: DeviceHealth },
  ) {
    this.#database = database;
    this.#disk = options.disk;
    this.log = options.log;
    this.#health = options.health;
    this.#statements = prepareStatements(database);
  }

  /** Calls `callback` after the running transaction was committed; at once if there is none. */
  afterCommit(callback: CommitCallback): void {
    if (this.#open) this.#callbacks.push(callback);
    else callback(this.#health.failed);
  }

  /** Commits the running transaction, if any. An error fails the device and is told to those who wait for the commit. */
  commit(): void {
    if (!this.#open) return;
    this.#open = false;
    if (this.#health.failed === undefined) {
      try {
        this.#database.exec("COMMIT");
        this.log.touch();
      } catch (cause) {
        this.#health.fail("Cannot commit to the catalogue", cause);
      }
    }
    const error = this.#health.failed;
    for (const callback of this.#callbacks.splice(0)) callback(error);
  }

  /** Commits what is pending and resolves when it is durable: FULL in the words of the replication design. */
  commitFull(): Promise<void> {
    this.commit();
    return this.log.sync();
  }

  getChunk(pgId: PgId, key: { readonly nodeId: number; readonly chunkIndex: number }): ChunkRow | undefined {
    const row = this.#read(() => this.#statements.getChunk.get(pgId, key.nodeId, key.chunkIndex));
    return row === undefined ? undefined : toChunkRow(row);
  }

  /** Rows of one region of a group, by key. */
  listRegion(pgId: PgId, region: number): ChunkRow[] {
    return this.#read(() => this.#statements.listRegion.all(pgId, region)).map(toChunkRow);
  }

  /** Up to `limit` rows of a group with keys above `after`, by key. */
  listPg(
    pgId: PgId,
    options: { readonly after: { readonly nodeId: number; readonly chunkIndex: number }; readonly limit: number },
  ): ChunkRow[] {
    const { after, limit } = options;
    return this.#read(() => this.#statements.listPg.all(pgId, after.nodeId, after.chunkIndex, limit)).map(toChunkRow);
  }

  /** Gives a slot of the reserve to a chunk. */
  insertChunk(pgId: PgId, row: ChunkRow): void {
    this.#change(() => {
      const { nodeId, chunkIndex, vtreeId, region, slot } = row;
      this.#statements.insertChunk.run(pgId, nodeId, chunkIndex, vtreeId, region, slot, row.unverified ? 1 : 0);
      this.#statements.unmarkSlot.run(slot);
    });
  }

  /** Takes a chunk's row away and marks its slot as freed. */
  deleteChunk(pgId: PgId, row: ChunkRow): void {
    this.#change(() => {
      this.#statements.deleteChunk.run(pgId, row.nodeId, row.chunkIndex);
      this.#statements.deleteDamaged.run(pgId, row.nodeId, row.chunkIndex);
      this.#statements.markSlot.run(row.slot, SLOT_FREED);
    });
  }

  setVerified(pgId: PgId, row: ChunkRow): void {
    this.#change(() => this.#statements.setVerified.run(pgId, row.nodeId, row.chunkIndex));
  }

  /** Marks the chunks of one region of a group as unverified. */
  setRegionUnverified(pgId: PgId, region: number): void {
    this.#change(() => this.#statements.setRegionUnverified.run(pgId, region));
  }

  listPgs(): PgStorageRow[] {
    return this.#read(() => this.#statements.listPgs.all()).map((row) => ({
      pgId: asId<PgId>(Number(row["pg_id"])),
      epoch: Number(row["epoch"]),
      complete: row["complete"] === 1,
      intentSlot: Number(row["intent_slot"]),
    }));
  }

  putPg(row: PgStorageRow): void {
    this.#change(() => this.#statements.putPg.run(row.pgId, row.epoch, row.complete ? 1 : 0, row.intentSlot));
  }

  /** Takes a group and all its chunks away and marks their slots as freed. */
  deletePg(pgId: PgId): void {
    this.#change(() => {
      this.#statements.markSlotsOfPg.run(SLOT_FREED, pgId);
      this.#statements.deleteChunksOfPg.run(pgId);
      this.#statements.deleteDamagedOfPg.run(pgId);
      this.#statements.deleteScrub.run(pgId);
      this.#statements.deletePg.run(pgId);
    });
  }

  /** Marks free slots as part of the reserve. */
  reserveSlots(slots: readonly number[]): void {
    this.#change(() => {
      for (const slot of slots) this.#statements.markSlot.run(slot, SLOT_IN_RESERVE);
    });
  }

  /** Up to `limit` marked slots of one state, rising from `from`. */
  listMarkedSlots(options: { readonly state: number; readonly from: number; readonly limit: number }): number[] {
    const rows = this.#read(() => this.#statements.listMarked.all(options.state, options.from, options.limit));
    return rows.map((row) => Number(row["slot"]));
  }

  unmarkSlots(slots: readonly number[]): void {
    this.#change(() => {
      for (const slot of slots) this.#statements.unmarkSlot.run(slot);
    });
  }

  /** Every row of `chunk`, one at a time. Nothing may change rows meanwhile. */
  *everyChunk(): Generator<ChunkRow & { readonly pgId: PgId }> {
    for (const row of this.#statements.everyChunk.iterate()) {
      yield { ...toChunkRow(row), pgId: asId<PgId>(Number(row["pg_id"])) };
    }
  }

  /** Notes which blocks of a chunk are damaged: 32 bytes, or undefined when none is any more. */
  putDamaged(pgId: PgId, row: Pick<ChunkRow, "nodeId" | "chunkIndex">, blocks: Uint8Array | undefined): void {
    const { nodeId, chunkIndex } = row;
    this.#change(() => {
      if (blocks === undefined) this.#statements.deleteDamaged.run(pgId, nodeId, chunkIndex);
      else this.#statements.putDamaged.run(pgId, nodeId, chunkIndex, blocks);
    });
  }

  listDamaged(): { pgId: PgId; nodeId: NodeId; chunkIndex: number; blocks: Uint8Array }[] {
    return this.#read(() => this.#statements.listDamaged.all()).map((row) => ({
      pgId: asId<PgId>(Number(row["pg_id"])),
      nodeId: asId<NodeId>(Number(row["node_id"])),
      chunkIndex: Number(row["chunk_index"]),
      // A BLOB column of a STRICT table.
      blocks: (row["blocks"] as Uint8Array).slice(),
    }));
  }

  getScrub(pgId: PgId): ScrubRow | undefined {
    const row = this.#read(() => this.#statements.getScrub.get(pgId));
    if (row === undefined) return undefined;
    return { pgId, run: Number(row["run"]), afterKey: Number(row["after_key"]), endedMs: Number(row["ended_ms"]) };
  }

  putScrub(row: ScrubRow): void {
    this.#change(() => this.#statements.putScrub.run(row.pgId, row.run, row.afterKey, row.endedMs));
  }

  /** Every slot of `reserved_slot`, rising. Nothing may change rows meanwhile. */
  *everyMarkedSlot(): Generator<number> {
    for (const row of this.#statements.everyMarked.iterate()) yield Number(row["slot"]);
  }

  /** The highest slot that holds a chunk; undefined without chunks. */
  highestChunkSlot(): number | undefined {
    const slot = this.#read(() => this.#statements.highestSlot.get())?.["slot"];
    return typeof slot === "number" ? slot : undefined;
  }

  /** What is wrong with the database file or between the rows; undefined if nothing is. Reads all of it. */
  problem(slotCount: number): string | undefined {
    const check = this.#database.prepare("PRAGMA quick_check(1)").get()?.["quick_check"];
    if (check !== "ok") return `quick_check says: ${check}`;
    const outside = "SELECT count(*) AS n FROM (SELECT slot FROM chunk UNION ALL SELECT slot FROM reserved_slot)" +
      " WHERE slot < 0 OR slot >= ?";
    if (this.#database.prepare(outside).get(slotCount)?.["n"] !== 0) return `a slot is not below ${slotCount}`;
    const both = "SELECT count(*) AS n FROM chunk JOIN reserved_slot USING (slot)";
    if (this.#database.prepare(both).get()?.["n"] !== 0) return "a slot of a chunk is marked as reserved";
    const orphans = "SELECT count(*) AS n FROM chunk WHERE pg_id NOT IN (SELECT pg_id FROM pg)";
    if (this.#database.prepare(orphans).get()?.["n"] !== 0) return "a chunk belongs to no group of the device";
    return undefined;
  }

  /** See `catalogue_digest.ts`. Commits first. @throws {Error} from SQLite. */
  digest(pause: () => Promise<void>): Promise<Uint8Array> {
    this.commit();
    return catalogueDigest(this.#database, pause);
  }

  /** Copies the log into the main file if it has grown, off the event loop; call when it was just synced. */
  checkpointIfDue(): void {
    if (this.#rowChanges < CHECKPOINT_ROW_CHANGES || this.#checkpoint !== undefined || this.#open) return;
    this.#rowChanges = 0;
    try {
      this.#database.exec(`PRAGMA incremental_vacuum(${VACUUM_PAGES})`);
      this.log.touch();
      if (this.log.file.sizeBytes() > LOG_BYTES_MAX) this.#database.exec("PRAGMA wal_checkpoint(TRUNCATE)");
    } catch (cause) {
      this.#health.fail("Cannot checkpoint the catalogue", cause);
      return;
    }
    this.#checkpoint = this.#disk.checkpointDatabase(CATALOGUE_FILE).then(
      () => void (this.#checkpoint = undefined),
      (cause) => {
        this.#checkpoint = undefined;
        this.#health.fail("Cannot checkpoint the catalogue", cause);
      },
    );
  }

  /** Resolves when no checkpoint runs. */
  async checkpointed(): Promise<void> {
    await this.#checkpoint;
  }

  /** Ends the running transaction and closes the database after a checkpoint that runs. */
  async close(): Promise<void> {
    this.commit();
    await this.#checkpoint;
    this.#database.close();
  }

  #read<Row>(statement: () => Row): Row {
    this.#health.requireIntact();
    try {
      return statement();
    } catch (cause) {
      throw this.#health.fail("Cannot read the catalogue", cause);
    }
  }

  #change(statements: () => void): void {
    this.#health.requireIntact();
    try {
      if (!this.#open) {
        this.#database.exec("BEGIN IMMEDIATE");
        this.#open = true;
        queueMicrotask(() => this.commit());
      }
      this.#rowChanges++;
      statements();
    } catch (cause) {
      throw this.#health.fail("Cannot change the catalogue", cause);
    }
  }
}

function toChunkRow(row: Record<string, unknown>): ChunkRow {
  return {
    nodeId: asId(Number(row["node_id"])),
    chunkIndex: Number(row["chunk_index"]),
    vtreeId: asId(Number(row["vtree_id"])),
    region: Number(row["region"]),
    slot: Number(row["slot"]),
    unverified: row["unverified"] === 1,
  };
}

function prepareStatements(database: DatabaseSync) {
  const prepare = (sql: string): StatementSync => database.prepare(sql);
  return {
    getChunk: prepare(`SELECT ${CHUNK_COLUMNS} FROM chunk WHERE pg_id = ? AND node_id = ? AND chunk_index = ?`),
    listRegion: prepare(
      `SELECT ${CHUNK_COLUMNS} FROM chunk WHERE pg_id = ? AND region = ? ORDER BY node_id, chunk_index`,
    ),
    listPg: prepare(
      `SELECT ${CHUNK_COLUMNS} FROM chunk WHERE pg_id = ? AND (node_id, chunk_index) > (?, ?)` +
        " ORDER BY node_id, chunk_index LIMIT ?",
    ),
    insertChunk: prepare(`INSERT INTO chunk (pg_id, ${CHUNK_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?)`),
    deleteChunk: prepare("DELETE FROM chunk WHERE pg_id = ? AND node_id = ? AND chunk_index = ?"),
    setVerified: prepare("UPDATE chunk SET unverified = 0 WHERE pg_id = ? AND node_id = ? AND chunk_index = ?"),
    setRegionUnverified: prepare("UPDATE chunk SET unverified = 1 WHERE pg_id = ? AND region = ? AND unverified = 0"),
    everyChunk: prepare(`SELECT pg_id, ${CHUNK_COLUMNS} FROM chunk`),
    listPgs: prepare("SELECT pg_id, epoch, complete, intent_slot FROM pg ORDER BY pg_id"),
    putPg: prepare(
      "INSERT INTO pg (pg_id, epoch, complete, intent_slot) VALUES (?, ?, ?, ?)" +
        " ON CONFLICT (pg_id) DO UPDATE SET epoch = excluded.epoch, complete = excluded.complete",
    ),
    putDamaged: prepare(
      "INSERT INTO damaged (pg_id, node_id, chunk_index, blocks) VALUES (?, ?, ?, ?)" +
        " ON CONFLICT (pg_id, node_id, chunk_index) DO UPDATE SET blocks = excluded.blocks",
    ),
    deleteDamaged: prepare("DELETE FROM damaged WHERE pg_id = ? AND node_id = ? AND chunk_index = ?"),
    deleteDamagedOfPg: prepare("DELETE FROM damaged WHERE pg_id = ?"),
    listDamaged: prepare("SELECT pg_id, node_id, chunk_index, blocks FROM damaged"),
    getScrub: prepare("SELECT run, after_key, ended_ms FROM scrub WHERE pg_id = ?"),
    putScrub: prepare(
      "INSERT INTO scrub (pg_id, run, after_key, ended_ms) VALUES (?, ?, ?, ?) ON CONFLICT (pg_id)" +
        " DO UPDATE SET run = excluded.run, after_key = excluded.after_key, ended_ms = excluded.ended_ms",
    ),
    deleteScrub: prepare("DELETE FROM scrub WHERE pg_id = ?"),
    markSlot: prepare("INSERT INTO reserved_slot (slot, state) VALUES (?, ?)"),
    unmarkSlot: prepare("DELETE FROM reserved_slot WHERE slot = ?"),
    listMarked: prepare("SELECT slot FROM reserved_slot WHERE state = ? AND slot >= ? ORDER BY slot LIMIT ?"),
    everyMarked: prepare("SELECT slot FROM reserved_slot ORDER BY slot"),
    highestSlot: prepare("SELECT max(slot) AS slot FROM chunk"),
    markSlotsOfPg: prepare("INSERT INTO reserved_slot (slot, state) SELECT slot, ? FROM chunk WHERE pg_id = ?"),
    deleteChunksOfPg: prepare("DELETE FROM chunk WHERE pg_id = ?"),
    deletePg: prepare("DELETE FROM pg WHERE pg_id = ?"),
  };
}
