/**
 * Checks over the whole cluster that no process could make.
 *
 * @module
 */
import { listDevices } from "@/mdm/store/devices.ts";
import { pgsOfPool } from "@/mdm/store/pgs.ts";
import { chunkKey } from "@/sds/device/chunk.ts";
import type { Chunk, ChunkId } from "@/sds/device/chunk.ts";
import type { Device } from "@/sds/device/device.ts";
import type { DevicePg } from "@/sds/device/device_pg.ts";
import type { ReplicaDevice } from "@/sds/replication/replica_device.ts";
import type { PgConfig } from "@/shared/api/pg.ts";
import { CHUNK_BYTES } from "@/shared/constants.ts";
import { type DeviceId, type PgId, sameIncarnation } from "@/shared/ids.ts";
import type { Cluster } from "@/tests/sim/cluster.ts";

/** Chunks listed at a time. */
const PAGE_CHUNKS = 1_000;
/** Problems of one kind that are told. */
const PROBLEMS_MAX = 5;

/** Looks after each event whether two devices may serve one group (I3), and whether one was started from a copy that lost power. */
export class ServingWatch {
  readonly problems: string[] = [];
  readonly #cluster: Cluster;
  readonly #serving = new Map<PgId, DeviceId>();
  readonly #told = new Set<PgId>();
  readonly #lossGenerations = new Map<PgId, number>();
  readonly #onLoss: (pgIndex: number) => void;

  /** @param options.onLoss a group's loss generation was raised: it is served from now on, and was not since the loss. */
  constructor(cluster: Cluster, options: { onLoss(pgIndex: number): void }) {
    this.#cluster = cluster;
    this.#onLoss = (pgIndex) => options.onLoss(pgIndex);
  }

  look(nowMs: number): void {
    this.#serving.clear();
    for (const sds of this.#cluster.sdss) {
      for (const device of sds.devices) {
        for (const group of device.groups.values()) {
          if (group.primary === undefined) continue;
          this.#noteLoss(group.primary.config);
          if (!group.primary.mayServe()) continue;
          const other = this.#serving.get(group.pgId);
          this.#serving.set(group.pgId, device.deviceId);
          if (other === undefined || this.#told.has(group.pgId) || this.problems.length >= PROBLEMS_MAX) continue;
          this.#told.add(group.pgId);
          this.problems.push(
            `I3: at ${nowMs.toFixed(3)} ms group ${group.pgId} may be served by device ${other} and by device ` +
              `${device.deviceId} (epoch ${group.epoch})`,
          );
        }
      }
    }
  }

  #noteLoss({ pgId, pgIndex, lossGeneration }: PgConfig): void {
    // A primary that was replaced and does not know shows the older one.
    if (lossGeneration <= (this.#lossGenerations.get(pgId) ?? 0)) return;
    this.#lossGenerations.set(pgId, lossGeneration);
    this.#onLoss(pgIndex);
  }
}

/** Why groups are not as they should be when nothing goes wrong (I24): members that run, all of them, and a primary that serves. */
export function incompleteGroups(cluster: Cluster): string[] {
  const devices = new Map<DeviceId, ReplicaDevice>(
    cluster.sdss.flatMap((sds) => sds.devices).map((device) => [device.deviceId, device]),
  );
  return pgsOfPool(cluster.mdm.context.db, cluster.poolId).flatMap(({ pgId, epoch, members, copies }) => {
    const [primary] = members;
    const name = `group ${pgId} (epoch ${epoch}, members ${members.map(({ deviceId }) => deviceId)})`;
    const running = members.filter(({ deviceId, incarnation }) => {
      const device = devices.get(deviceId);
      return device !== undefined && sameIncarnation(device.incarnation, incarnation);
    });
    if (members.length < copies) return [`${name} lacks a copy`];
    if (running.length < members.length) return [`${name} lists a start of a process that is over`];
    const serves = devices.get(primary!.deviceId)!.groups.get(pgId)?.primary?.mayServe() ?? false;
    return serves ? [] : [`${name} is not served`];
  });
}

/**
 * Groups that nobody can serve again: every member's device has failed. That is more than two copies bear, such as a device that fails
 * while it holds the only current copy, and an operator has to decide.
 */
export function lostGroups(cluster: Cluster): number {
  const failed = new Set(
    listDevices(cluster.mdm.context.db).filter(({ state }) => state === "failed").map(({ deviceId }) => deviceId),
  );
  return pgsOfPool(cluster.mdm.context.db, cluster.poolId)
    .filter(({ members }) => members.every(({ deviceId }) => failed.has(deviceId))).length;
}

/** Compares the chunks of every group on all its members, and their content byte by byte (I14). */
export async function differencesOfMembers(cluster: Cluster): Promise<string[]> {
  const devices = new Map<DeviceId, Device>(
    cluster.sdss.flatMap((sds) => sds.devices).map((device) => [device.deviceId, device.store]),
  );
  const problems: string[] = [];
  for (const { pgId, members } of pgsOfPool(cluster.mdm.context.db, cluster.poolId)) {
    const copies = members.map(({ deviceId }) => copyOf(devices, { pgId, deviceId }));
    const [first, ...others] = copies;
    if (first === undefined || copies.includes(undefined)) {
      problems.push(`group ${pgId}: a member has no copy`);
      continue;
    }
    for (const other of others) {
      const broken = [first, other!].find(({ device }) => device.failed !== undefined);
      if (broken === undefined) problems.push(...await differences(first, other!));
      else problems.push(`C5: group ${pgId}: device ${broken.device.deviceId} has failed`);
    }
    if (problems.length >= PROBLEMS_MAX) break;
  }
  return problems.slice(0, PROBLEMS_MAX);
}

interface Copy {
  readonly device: Device;
  readonly pg: DevicePg;
}

function copyOf(
  devices: ReadonlyMap<DeviceId, Device>,
  place: { readonly pgId: PgId; readonly deviceId: DeviceId },
): Copy | undefined {
  const device = devices.get(place.deviceId);
  const pg = device?.pg(place.pgId);
  return device && pg && { device, pg };
}

async function differences(a: Copy, b: Copy): Promise<string[]> {
  const problems: string[] = [];
  const names = `group ${a.pg.pgId}, devices ${a.device.deviceId} and ${b.device.deviceId}`;
  const keysOfB = new Map(chunksOf(b).map((id) => [chunkKey(id.nodeId, id.chunkIndex), id]));
  const failed = () => [a, b].find(({ device }) => device.failed !== undefined)?.device;
  for (const id of chunksOf(a)) {
    // Rot that is read here counts as any other: enough of it fails the device.
    if (failed() !== undefined) return [...problems, `C5: ${names}: device ${failed()!.deviceId} has failed`];
    const key = chunkKey(id.nodeId, id.chunkIndex);
    if (!keysOfB.delete(key)) {
      problems.push(`I14: ${names}: only the first has chunk ${id.chunkIndex} of node ${id.nodeId}`);
      continue;
    }
    const [left, right] = [await contentOf(a, key), await contentOf(b, key)];
    if (typeof left === "string" || typeof right === "string") {
      const reasons = [left, right].map((side) => typeof side === "string" ? side : "is read");
      problems.push(`C5: ${names}: chunk ${id.chunkIndex} of node ${id.nodeId}: ${reasons.join(" and ")}`);
    } else if (Buffer.compare(left, right) !== 0) {
      const at = left.findIndex((byte, index) => byte !== right[index]);
      problems.push(`I14: ${names}: chunk ${id.chunkIndex} of node ${id.nodeId} differs from byte ${at} on`);
    }
  }
  for (const id of keysOfB.values()) {
    problems.push(`I14: ${names}: only the second has chunk ${id.chunkIndex} of node ${id.nodeId}`);
  }
  return problems;
}

function chunksOf({ device, pg }: Copy): ChunkId[] {
  const all: ChunkId[] = [];
  for (let afterKey = -1;;) {
    const page = device.listPgChunks(pg, { afterKey, limit: PAGE_CHUNKS });
    all.push(...page);
    const last = page.at(-1);
    if (last === undefined) return all;
    afterKey = chunkKey(last.nodeId, last.chunkIndex);
  }
}

/** The verified bytes of a chunk, or why they cannot be had. */
function contentOf({ device, pg }: Copy, key: number): Promise<Uint8Array | string> {
  const chunk: Chunk | undefined = device.chunk(pg, key);
  if (chunk === undefined) return Promise.resolve("the chunk is gone");
  const into = new Uint8Array(CHUNK_BYTES);
  return new Promise((resolve) => {
    device.readBlocks(chunk, { offsetBytes: 0, lengthBytes: CHUNK_BYTES, into, intoOffset: 0 }, (error) => {
      resolve(error === undefined ? into : `${error}${chunk.unverified ? " (unverified)" : ""}`);
    });
  });
}
