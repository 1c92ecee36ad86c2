/**
 * Repair of blocks, led by the primary (replication design, sections 3.10 and 5.6): under the lock of the blocks each copy is read
 * and verified, and what is bad is written anew from a copy that was good within the same hold (9, row 28).
 *
 *   read, merge, copier: bad here ─┐
 *                                  ├─► lock ─► states of all copies ─► plan ─► mend here, mend members ─► unlock
 *   scrub: chunk by chunk ─────────┘
 *
 * @module
 */
import type { RepairCounts } from "@/shared/api/sds.ts";
import { BLOCK_BYTES, BLOCKS_PER_CHUNK } from "@/shared/constants.ts";
import { blockCrc } from "@/shared/checksum.ts";
import { type ErrorCode, StorageError } from "@/shared/errors.ts";
import { type MemberStates, planRepair, type RepairStep } from "@/sds/core/repair_plan.ts";
import { chunkKey } from "@/sds/device/chunk.ts";
import type { Group } from "@/sds/replication/group.ts";
import { type BlockRange, type GoodBlock, goodBlock, replaceBlock, statesOf } from "@/sds/replication/local_blocks.ts";
import type { ReplicaDevice } from "@/sds/replication/replica_device.ts";
import { LockWait } from "@/sds/replication/lock_wait.ts";
import type { PrimaryRole, Target } from "@/sds/replication/primary_role.ts";

/** How blocks are looked at. */
export interface RepairOptions {
  /** The caller holds an exclusive lock of the blocks. */
  readonly locked: boolean;
  /** Members are asked also when every block is good here. */
  readonly compare: boolean;
}

/** What came of it. `unknown`: some block is bad here, and a member that may have it did not answer. */
export interface RepairResult {
  readonly repaired: number;
  readonly damaged: number;
  readonly unknown: number;
}

/** What was found of bad blocks on a device, by whomever. */
export function repairCountsOf(device: ReplicaDevice, totals = device.store.totals()): RepairCounts {
  const { store, differingBlockCount: differingBlocks } = device;
  const { damagedBlockCount: damagedBlocks } = totals;
  return { repairedBlocks: store.repairedBlockCount, damagedBlocks, differingBlocks };
}

/** True for the outcome of a read that another copy may mend. */
export function isBadBlock(code: ErrorCode | undefined): code is "checksum_mismatch" | "io_error" {
  return code === "checksum_mismatch" || code === "io_error";
}

/** Looks at blocks of a group that is led from here and mends what can be mended. @throws {StorageError} device_failed */
export async function repairBlocks(group: Group, range: BlockRange, options: RepairOptions): Promise<RepairResult> {
  const role = group.primary;
  if (role === undefined) return { repaired: 0, damaged: 0, unknown: range.end - range.first };
  const repair = new Repair(role, range);
  group.beginOperation();
  try {
    if (options.locked) return await repair.run(options.compare);
    const { id, first, end } = range;
    const place = { ...id, offsetBytes: first * BLOCK_BYTES, lengthBytes: (end - first) * BLOCK_BYTES };
    using lock = await LockWait.take(group.device.locks, place);
    void lock;
    return await repair.run(options.compare);
  } finally {
    group.endOperation();
  }
}

/** One look at one range. */
class Repair {
  readonly #role: PrimaryRole;
  readonly #group: Group;
  readonly #range: BlockRange;
  readonly #epoch: number;
  readonly #members: readonly Target[];

  constructor(role: PrimaryRole, range: BlockRange) {
    this.#role = role;
    this.#group = role.group;
    this.#range = range;
    this.#epoch = role.config.epoch;
    this.#members = role.targets.filter((target) => target.join === undefined);
  }

  async run(compare: boolean): Promise<RepairResult> {
    const result = { repaired: 0, damaged: 0, unknown: 0 };
    const own = await statesOf(this.#group, this.#range);
    if (!compare && !own.includes("bad")) return result;
    const members = await Promise.all(this.#members.map((target) => this.#ask(target)));
    for (const step of planRepair({ first: this.#range.first, own, members })) {
      // What a member said under an older epoch says nothing of what it has now.
      if (!this.#isCurrent()) return { ...result, unknown: result.unknown + 1 };
      const outcome = await this.#do(step);
      if (outcome !== undefined) result[outcome]++;
    }
    return result;
  }

  #isCurrent(): boolean {
    return !this.#role.stopped && this.#role.config.epoch === this.#epoch;
  }

  async #do(step: RepairStep): Promise<keyof RepairResult | undefined> {
    const { id } = this.#range;
    const { block } = step;
    const facts = { pgId: this.#group.pgId, chunkIndex: id.chunkIndex, nodeId: id.nodeId, block };
    const { log } = this.#group.device.context;
    if (step.kind === "unknown") return "unknown";
    if (step.kind === "damaged") {
      const chunkIsMarked = this.#isMarked(block);
      await replaceBlock(this.#group, { id, block, content: "damaged" });
      for (const member of step.members) await this.#mend(this.#members[member]!, { block, content: "damaged" });
      if (!chunkIsMarked) log.error("A block has no good copy left, it fails until it is written", facts);
      return "damaged";
    }
    if (step.kind === "mend_here") {
      const content = await this.#fetch(this.#members[step.from]!, block);
      if (content === undefined || !this.#isCurrent()) return "unknown";
      await replaceBlock(this.#group, { id, block, content });
      for (const member of step.members) await this.#mend(this.#members[member]!, { block, content });
      log.warn("A bad block was written anew from another copy", facts);
      return "repaired";
    }
    if (step.differ) {
      this.#group.device.differingBlockCount++;
      log.error("I14: copies hold different good blocks, the primary's is kept", facts);
    }
    const content = await goodBlock(this.#group, { id, block });
    for (const member of step.members) await this.#mend(this.#members[member]!, { block, content });
    return "repaired";
  }

  #isMarked(block: number): boolean {
    const { id } = this.#range;
    const { store } = this.#group.device;
    const chunk = store.chunk(this.#group.storage!, chunkKey(id.nodeId, id.chunkIndex));
    return chunk !== undefined && store.damage.has(chunk, block);
  }

  get #names() {
    const { vtreeId, nodeId, chunkIndex } = this.#range.id;
    const pgEpoch = { pgId: this.#group.pgId, epoch: this.#role.config.epoch };
    return { ...pgEpoch, chunk: { vtreeId, nodeId, chunkIndex } };
  }

  /** The states at a member; undefined if it does not tell now. */
  async #ask(target: Target): Promise<MemberStates> {
    if (!target.open || !target.link.up) return undefined;
    const { first, end } = this.#range;
    try {
      const answer = await target.link.request({ kind: "verify_blocks", ...this.#names, first, end });
      if (answer.kind !== "blocks_verified") return undefined;
      const page = new DataView(Uint8Array.fromHex(answer.crcsHex).buffer);
      const bad = new Set(answer.bad);
      if (page.byteLength !== 4 * (end - first)) return undefined;
      return Array.from(
        { length: end - first },
        (_, index) => bad.has(first + index) ? "bad" : page.getUint32(4 * index),
      );
    } catch (error) {
      return this.#noAnswer(error);
    }
  }

  /** A block as a member has it, verified again here; undefined if it does not give it. */
  async #fetch(target: Target, block: number): Promise<GoodBlock | undefined> {
    try {
      const answer = await target.link.request({ kind: "fetch_block", ...this.#names, block });
      if (answer.kind !== "block_fetched") return undefined;
      const data = Uint8Array.fromHex(answer.dataHex);
      const { crc } = answer;
      const matches = crc === 0 ? data.every((byte) => byte === 0) : (blockCrc(data, 0, BLOCK_BYTES) || 1) === crc;
      return data.length === BLOCK_BYTES && matches ? { crc, data } : undefined;
    } catch (error) {
      return this.#noAnswer(error);
    }
  }

  /** What a member cannot be told now, the next look tells it. */
  async #mend(target: Target, mended: { block: number; content: GoodBlock | "damaged" }): Promise<void> {
    const { block, content } = mended;
    const to = content === "damaged" ? { crc: 0, dataHex: null } : { crc: content.crc, dataHex: content.data.toHex() };
    try {
      await target.link.request({ kind: "mend_block", ...this.#names, block, ...to });
    } catch (error) {
      this.#noAnswer(error);
    }
  }

  #noAnswer(error: unknown): undefined {
    if (!(error instanceof StorageError)) throw error;
    const { context } = this.#group.device;
    context.log.debug("A member does not help to repair: {error}", { pgId: this.#group.pgId, error });
    return undefined;
  }
}

/** All blocks of a chunk. */
export function wholeChunk(id: BlockRange["id"]): BlockRange {
  return { id, first: 0, end: BLOCKS_PER_CHUNK };
}
