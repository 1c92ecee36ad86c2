/**
 * What every {@linkcode Disk} does, as cases that the real one and `MemoryDisk` both pass.
 *
 * @module
 */
import { assert, assertEquals, assertThrows } from "@std/assert";
import type { Disk } from "@/shared/disk.ts";

/** A disk for one case; `reopen` gives the same directory as a process sees it that starts later. */
export interface DiskUnderTest {
  readonly disk: Disk;
  reopen(): Disk;
}

/** One property of a disk. */
export interface DiskCase {
  readonly name: string;
  run(underTest: DiskUnderTest): Promise<void>;
}

function pattern(lengthBytes: number, seed: number): Uint8Array<ArrayBuffer> {
  return Uint8Array.from({ length: lengthBytes }, (_, index) => (index * 31 + seed) & 0xff);
}

export const DISK_CASES: readonly DiskCase[] = [
  {
    name: "open() creates an empty file that exists from then on",
    async run({ disk }) {
      assertEquals(disk.exists("data"), false);
      const file = disk.open("data");
      assertEquals(disk.exists("data"), true);
      assertEquals(file.sizeBytes(), 0);
      assertEquals(file.readSync(new Uint8Array(16), 0), 0);
      file.close();
      await disk.syncDirectory();
    },
  },
  {
    name: "writeSync() grows the file, a gap reads as zeros, and a read ends at the end of the file",
    async run({ disk }) {
      const file = disk.open("data");
      const bytes = pattern(10_000, 1);
      file.writeSync(bytes, 70_000);
      assertEquals(file.sizeBytes(), 80_000);
      const gap = new Uint8Array(4096).fill(9);
      assertEquals(file.readSync(gap, 0), 4096);
      assertEquals(gap, new Uint8Array(4096));
      const tail = new Uint8Array(20_000);
      assertEquals(file.readSync(tail, 75_000), 5_000);
      assertEquals(tail.subarray(0, 5_000), bytes.subarray(5_000));
      assertEquals(await file.read(tail, 70_000), 10_000);
      assertEquals(tail.subarray(0, 10_000), bytes);
      file.close();
    },
  },
  {
    name: "writeSync() replaces exactly its range",
    run({ disk }) {
      const file = disk.open("data");
      file.writeSync(pattern(9_000, 1), 0);
      file.writeSync(pattern(100, 7), 4_090);
      const expected = pattern(9_000, 1);
      expected.set(pattern(100, 7), 4_090);
      const found = new Uint8Array(9_000);
      file.readSync(found, 0);
      assertEquals(found, expected);
      file.close();
      return Promise.resolve();
    },
  },
  {
    name: "two handles of a file see the same content and inode, two files have different ones",
    run({ disk }) {
      const [one, two, other] = [disk.open("data"), disk.open("data"), disk.open("intents")];
      one.writeSync(pattern(512, 3), 512);
      const found = new Uint8Array(512);
      assertEquals(two.readSync(found, 512), 512);
      assertEquals(found, pattern(512, 3));
      assertEquals(one.inode(), two.inode());
      assert(one.inode() !== other.inode());
      for (const file of [one, two, other]) file.close();
      return Promise.resolve();
    },
  },
  {
    name: "truncate() shortens, and what grows again is zeros",
    run({ disk }) {
      const file = disk.open("data");
      file.writeSync(pattern(8_192, 1), 0);
      file.truncate(5_000);
      assertEquals(file.sizeBytes(), 5_000);
      file.truncate(8_192);
      const found = new Uint8Array(8_192);
      assertEquals(file.readSync(found, 0), 8_192);
      const expected = pattern(8_192, 1);
      expected.fill(0, 5_000);
      assertEquals(found, expected);
      file.close();
      return Promise.resolve();
    },
  },
  {
    name: "read() and syncData() overlap with synchronous IO of the same file",
    async run({ disk }) {
      const file = disk.open("data");
      for (let index = 0; index < 64; index++) file.writeSync(pattern(4096, index), index * 4096);
      const buffers = Array.from({ length: 64 }, () => new Uint8Array(4096));
      const reads = buffers.map((buffer, index) => file.read(buffer, index * 4096));
      const syncs = [file.syncData(), file.syncData()];
      file.writeSync(pattern(4096, 200), 64 * 4096);
      assertEquals(await Promise.all(reads), buffers.map(() => 4096));
      await Promise.all(syncs);
      for (const [index, buffer] of buffers.entries()) assertEquals(buffer, pattern(4096, index));
      file.close();
    },
  },
  {
    name: "tryLock() admits one handle until it is closed",
    run({ disk, reopen }) {
      const first = disk.open("superblock");
      assertEquals(first.tryLock(), true);
      const second = reopen().open("superblock");
      assertEquals(second.tryLock(), false);
      first.close();
      assertEquals(second.tryLock(), true);
      second.close();
      return Promise.resolve();
    },
  },
  {
    name: "close() makes the handle useless and leaves the content",
    run({ disk, reopen }) {
      const file = disk.open("data");
      file.writeSync(pattern(100, 1), 0);
      file.close();
      assertThrows(() => file.readSync(new Uint8Array(1), 0));
      const again = reopen().open("data");
      const found = new Uint8Array(100);
      assertEquals(again.readSync(found, 0), 100);
      assertEquals(found, pattern(100, 1));
      again.close();
      return Promise.resolve();
    },
  },
  {
    name: "remove() takes a file away",
    run({ disk }) {
      disk.open("data").close();
      disk.remove("data");
      assertEquals(disk.exists("data"), false);
      return Promise.resolve();
    },
  },
  {
    name: "openDatabase() keeps committed rows over close, and its log can be synced and checkpointed",
    async run({ disk, reopen }) {
      const database = disk.openDatabase("catalogue.db");
      database.exec("CREATE TABLE item (id INTEGER PRIMARY KEY) STRICT");
      const log = disk.open("catalogue.db-wal");
      database.exec("BEGIN; INSERT INTO item VALUES (1); COMMIT");
      await log.syncData();
      await disk.checkpointDatabase("catalogue.db");
      database.exec("BEGIN; INSERT INTO item VALUES (2); COMMIT");
      database.exec("BEGIN; INSERT INTO item VALUES (3)");
      database.close();
      log.close();
      assertEquals(disk.exists("catalogue.db"), true);
      const again = reopen().openDatabase("catalogue.db");
      assertEquals(again.prepare("SELECT id FROM item ORDER BY id").all().map((row) => row["id"]), [1, 2]);
      again.close();
    },
  },
];
