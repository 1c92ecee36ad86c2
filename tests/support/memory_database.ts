/**
 * One database of a `MemoryDisk`: an SQLite database in memory, and which of its commits are on stable storage.
 *
 * The rows after some commits since the last sync are kept, so that a loss of power can leave the first of them without the
 * later ones, as the frames of a real write-ahead log would.
 *
 * @module
 */
import { DatabaseSync } from "node:sqlite";
import { assert } from "@/shared/errors.ts";
import type { Random } from "@/shared/random.ts";

export class MemoryDatabase {
  /** Rows as a power loss leaves them at least. */
  #stable: Uint8Array;
  /** Committed rows while no handle is open. */
  #image: Uint8Array;
  /** Rows after the 1st, 2nd, 4th, 8th and so on commit since the last sync. */
  #between: readonly Uint8Array[] = [];
  #commitCount = 0;
  #handle: DatabaseSync | undefined;

  constructor() {
    const empty = new DatabaseSync(":memory:");
    this.#stable = this.#image = empty.serialize();
    empty.close();
  }

  get isOpen(): boolean {
    return this.#handle !== undefined;
  }

  /** A handle; there is none yet. Closing it makes all rows durable. */
  open(): DatabaseSync {
    assert(this.#handle === undefined, "a database is open once");
    const handle = new DatabaseSync(":memory:");
    handle.deserialize(this.#image);
    this.#handle = handle;
    const exec = handle.exec.bind(handle);
    handle.exec = (sql) => {
      exec(sql);
      if (sql === "COMMIT") this.#noteCommit(handle);
    };
    const close = handle.close.bind(handle);
    handle.close = () => {
      if (this.#handle !== handle) return;
      this.#image = this.#stable = committedImage(handle);
      this.#forget(this.#between);
      this.#handle = undefined;
      close();
    };
    return handle;
  }

  /** Makes durable what is committed at the call, when `later` has resolved. */
  async sync(later: () => Promise<void>): Promise<void> {
    const handle = this.#handle;
    const covered = this.#between;
    const image = handle?.isTransaction === true ? undefined : this.#current();
    await later();
    // A transaction was open at the call: wait for its end, which is in the same turn.
    while (image === undefined && this.#handle?.isTransaction === true) await Promise.resolve();
    this.#stable = image ?? this.#current();
    this.#forget(covered);
  }

  /** The process ends: what it committed is in the page cache. */
  crash(): void {
    const handle = this.#handle;
    if (handle === undefined) return;
    this.#image = committedImage(handle);
    DatabaseSync.prototype.close.call(handle);
    this.#handle = undefined;
  }

  /** The host loses power; no handle is open. */
  losePower(random: Random): void {
    const versions = [this.#stable, ...this.#between, this.#image];
    this.#image = this.#stable = versions[Math.floor(random.fraction() * versions.length)]!;
    this.#forget(this.#between);
  }

  #noteCommit(handle: DatabaseSync): void {
    const count = ++this.#commitCount;
    if ((count & (count - 1)) === 0) this.#between = [...this.#between, handle.serialize()];
  }

  #forget(covered: readonly Uint8Array[]): void {
    this.#between = this.#between.filter((image) => !covered.includes(image));
    this.#commitCount = 0;
  }

  #current(): Uint8Array {
    return this.#handle?.serialize() ?? this.#image;
  }
}

/** Rows without those of a transaction that is open, which ends. */
function committedImage(handle: DatabaseSync): Uint8Array {
  if (handle.isTransaction) handle.exec("ROLLBACK");
  return handle.serialize();
}
