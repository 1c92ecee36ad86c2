/**
 * What the MDM is told of the copies on one device, and the copies that it has deleted (replication design, I18).
 *
 * @module
 */
import type { PgDrop, PgRow } from "@/shared/api/sds.ts";
import type { PgId } from "@/shared/ids.ts";
import type { ReplicaDevice } from "@/sds/replication/replica_device.ts";

/** Rows of one device, for heartbeats. */
export class CopyReports {
  readonly #device: ReplicaDevice;
  /** Groups whose copy was deleted; the MDM has not heard of it. */
  readonly #dropped = new Set<PgId>();

  constructor(device: ReplicaDevice) {
    this.#device = device;
  }

  /** Rows that changed since the last taken beat, or all of them. */
  rows(options: { all: boolean }): PgRow[] {
    const rows: PgRow[] = [];
    for (const group of this.#device.groups.values()) {
      if (group.storage === undefined || !(options.all || group.rowChanged)) continue;
      rows.push({ pgId: group.pgId, epoch: group.storage.epoch, complete: group.storage.complete });
    }
    return rows;
  }

  /** Groups whose copy was deleted since the last taken beat. */
  get droppedPgs(): readonly PgId[] {
    return [...this.#dropped];
  }

  /** The MDM has answered a beat that carried these. */
  taken(told: { readonly rows: readonly PgRow[]; readonly droppedPgs?: readonly PgId[] | undefined }): void {
    for (const pgId of told.droppedPgs ?? []) this.#dropped.delete(pgId);
    for (const row of told.rows) {
      const group = this.#device.groups.get(row.pgId);
      if (group?.storage?.epoch === row.epoch && group.storage.complete === row.complete) group.rowChanged = false;
    }
  }

  /** Deletes copies that the MDM says were replaced, unless they are more than that by now. */
  drop(drops: readonly PgDrop[]): void {
    const { groups, store, context, deviceId } = this.#device;
    for (const drop of drops) {
      if (drop.deviceId !== deviceId || store.failed !== undefined) continue;
      const { pgId, belowEpoch } = drop;
      const group = groups.get(pgId);
      if (group?.storage !== undefined) {
        const isUsed = group.role !== "none" || group.joining !== undefined || group.runningCount > 0;
        if (isUsed || group.storage.epoch >= belowEpoch) continue;
        store.dropPg(group.storage);
        context.log.info("Deleted the copy of group {pgId}, which others have replaced", { pgId, belowEpoch });
      }
      groups.delete(pgId);
      this.#dropped.add(pgId);
    }
  }
}
