/**
 * Where the chunks of one volume are: from chunk to placement group to the SDS of its primary, with the epoch under which
 * requests are sent (replication design, section 2.1). Fed by the MDM's map, by configurations that SDSs give while the MDM
 * is away, and by the epochs that refusals carry. Epochs never go back (I1): older news is ignored.
 *
 * @module
 */
import type { PgConfig } from "@/shared/api/pg.ts";
import type { VolumeMap } from "@/shared/api/sdc.ts";
import { assert } from "@/shared/errors.ts";
import type { NodeId, PgId } from "@/shared/ids.ts";
import { baseOf, pgIndexOf } from "@/shared/placement.ts";

/** How many members a group has is not known. */
export const NO_COUNT = 0;

/** No SDS is known for the group's primary. */
export const NO_SDS = 0;

/** Routes of one volume, by `pgIndex`. Typed arrays, since every piece of IO reads them. */
export class RouteTable {
  /** Layer that the volume writes to. */
  nodeId: NodeId;
  readonly pgCount: number;
  readonly pgIds: Uint32Array;
  readonly epochs: Uint32Array;
  readonly lossGenerations: Uint32Array;
  /** SDS of the primary, or {@linkcode NO_SDS}. */
  readonly sdsIds: Uint32Array;
  /** Members of the group under `epochs`, or {@linkcode NO_COUNT}. */
  readonly memberCounts: Uint32Array;
  readonly #base: number;
  /** Groups whose epoch comes from a refusal: the primary may be another one. */
  readonly #guessed: Uint8Array;
  readonly #indexOfPg = new Map<number, number>();

  constructor(map: VolumeMap) {
    assert(map.pgs.length === map.pgCount, "a map names every group of the pool");
    this.nodeId = map.nodeId;
    this.pgCount = map.pgCount;
    this.#base = baseOf(map.vtreeId);
    this.pgIds = Uint32Array.from(map.pgs, (pg) => pg.pgId);
    this.epochs = new Uint32Array(map.pgCount);
    this.lossGenerations = new Uint32Array(map.pgCount);
    this.sdsIds = new Uint32Array(map.pgCount).fill(NO_SDS);
    this.memberCounts = new Uint32Array(map.pgCount).fill(NO_COUNT);
    this.#guessed = new Uint8Array(map.pgCount);
    map.pgs.forEach((pg, index) => this.#indexOfPg.set(pg.pgId, index));
    this.merge(map);
  }

  /** Index of the group that holds a chunk. */
  pgIndexOfChunk(chunkIndex: number): number {
    return pgIndexOf(this.#base, chunkIndex, this.pgCount);
  }

  /** Index of a group, or undefined if it is none of the volume's pool. */
  indexOfPg(pgId: PgId | number): number | undefined {
    return this.#indexOfPg.get(pgId);
  }

  /** Groups that hold chunks of a volume of `sizeBytes`, all of the pool's if it is large. */
  pgIndexesOfVolume(chunkCount: number): number[] {
    return Array.from({ length: Math.min(chunkCount, this.pgCount) }, (_, chunk) => this.pgIndexOfChunk(chunk));
  }

  /**
   * Copies that hold every acknowledged write of the chunks `first` to `last`: the fewest members of any group that has some of
   * them. Undefined while that of one is not known.
   */
  copyCountOf(first: number, last: number): number | undefined {
    let fewest = Infinity;
    const chunkCount = Math.min(last - first + 1, this.pgCount); // then every group was seen
    for (let chunk = first; chunk < first + chunkCount; chunk++) {
      fewest = Math.min(fewest, this.memberCounts[this.pgIndexOfChunk(chunk)]!);
    }
    return fewest === NO_COUNT ? undefined : fewest;
  }

  /** Takes over what is newer in a map of the MDM; gives the groups whose epoch or SDS changed. */
  merge(map: VolumeMap): number[] {
    this.nodeId = map.nodeId;
    const sdsOfDevice = new Map<number, number>(map.devices.map((device) => [device.deviceId, device.sdsId]));
    const changed: number[] = [];
    for (const pg of map.pgs) {
      const index = this.#indexOfPg.get(pg.pgId);
      if (index === undefined) continue;
      const sdsId = sdsOfDevice.get(pg.primaryDeviceId) ?? NO_SDS;
      const { epoch, lossGeneration, memberCount } = pg;
      if (this.#adopt(index, { epoch, sdsId, lossGeneration, memberCount })) changed.push(index);
    }
    return changed;
  }

  /** Takes over newer configurations that an SDS gave; gives the groups whose epoch or SDS changed. */
  mergeConfigs(configs: readonly PgConfig[]): number[] {
    const changed: number[] = [];
    for (const config of configs) {
      const index = this.#indexOfPg.get(config.pgId);
      if (index === undefined) continue;
      const { epoch, lossGeneration, members } = config;
      const news = { epoch, lossGeneration, sdsId: members[0]!.sdsId, memberCount: members.length };
      if (this.#adopt(index, news)) changed.push(index);
    }
    return changed;
  }

  /**
   * Takes the epoch of a refusal for the primary that is known: mostly a member came or went and the primary stayed. If it
   * did not, it refuses again and the map tells. True if the epoch is news.
   */
  guessEpoch(pgIndex: number, epoch: number): boolean {
    if (epoch <= this.epochs[pgIndex]!) return false;
    this.epochs[pgIndex] = epoch;
    this.#guessed[pgIndex] = 1;
    this.memberCounts[pgIndex] = NO_COUNT;
    return true;
  }

  #adopt(
    index: number,
    news: { epoch: number; sdsId: number; lossGeneration: number; memberCount: number },
  ): boolean {
    const known = this.epochs[index]!;
    const fillsGap = news.epoch === known && (this.#guessed[index] === 1 || this.sdsIds[index] === NO_SDS);
    if (news.epoch <= known && !fillsGap) return false;
    const changed = news.epoch !== known || news.sdsId !== this.sdsIds[index];
    this.epochs[index] = news.epoch;
    this.sdsIds[index] = news.sdsId;
    this.lossGenerations[index] = Math.max(this.lossGenerations[index]!, news.lossGeneration);
    this.memberCounts[index] = news.memberCount;
    this.#guessed[index] = 0;
    return changed;
  }
}
