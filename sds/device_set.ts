/**
 * The devices of one SDS process: opened from the folders that the MDM assigned, formatted when they are new, and described for
 * registrations and heartbeats.
 *
 * @module
 */
import type { AssignedDevice, BrokenDevice, RegisteredDevice } from "@/shared/api/sds.ts";
import type { Disk } from "@/shared/disk.ts";
import { StorageError } from "@/shared/errors.ts";
import type { DeviceId, NodeId, SdsId } from "@/shared/ids.ts";
import type { SdsContext } from "@/sds/context.ts";
import { formatDevice } from "@/sds/device/format_device.ts";
import { SUPERBLOCK_FILE } from "@/sds/device/layout.ts";
import type { DeviceLimits } from "@/sds/device/limits.ts";
import { openDevice } from "@/sds/device/open_device.ts";
import type { NodeUsage } from "@/sds/node_usage.ts";
import { ReplicaDevice, type ReplicaHost } from "@/sds/replication/replica_device.ts";

/** Time between two tries to open a device that could not be opened. */
const REOPEN_MS = 10_000;

/** Where devices come from. */
export interface DeviceSetOptions {
  readonly context: SdsContext;
  readonly host: ReplicaHost;
  readonly limits: Partial<DeviceLimits>;
  /** The folder `name` beneath the storage root, made when absent. */
  diskOf(name: string): Disk;
}

/** The devices of this SDS. */
export class DeviceSet {
  readonly #options: DeviceSetOptions;
  readonly #devices: ReplicaDevice[] = [];
  readonly #names = new Map<DeviceId, string>();
  /** Devices that could not be opened, and when that was tried last. */
  readonly #broken = new Map<DeviceId, BrokenDevice & { readonly triedMs: number }>();

  constructor(options: DeviceSetOptions) {
    this.#options = options;
  }

  get all(): readonly ReplicaDevice[] {
    return this.#devices;
  }

  nameOf(deviceId: DeviceId): string | undefined {
    return this.#names.get(deviceId);
  }

  /** Devices that were assigned and are not open. */
  broken(): BrokenDevice[] {
    return [...this.#broken.values()].map(({ deviceId, reason, lost }) => ({ deviceId, reason, lost }));
  }

  /** Opens what is not open yet, formatting folders of new devices; true if any was added. */
  async open(
    assigned: readonly AssignedDevice[],
    cluster: { readonly clusterId: string; readonly sdsId: SdsId },
  ): Promise<boolean> {
    let added = false;
    for (const device of assigned) {
      if (device.state === "failed" || this.#names.has(device.deviceId)) continue;
      const nowMs = this.#options.context.clock.monotonicMs();
      const broken = this.#broken.get(device.deviceId);
      if (broken !== undefined && nowMs - broken.triedMs < REOPEN_MS) continue;
      try {
        await this.#openOne(device, cluster);
        this.#broken.delete(device.deviceId);
        added = true;
      } catch (error) {
        const reason = error instanceof Error ? error.message : String(error);
        const lost = error instanceof StorageError && error.code === "device_failed";
        this.#broken.set(device.deviceId, { deviceId: device.deviceId, reason, lost, triedMs: nowMs });
        if (broken?.reason !== reason) {
          this.#options.context.log.error("Cannot open device {device}: {error}", { device: device.name, error });
        }
      }
    }
    return added;
  }

  /** For `POST /internal/v1/sds/register`. */
  registration(): RegisteredDevice[] {
    return this.#devices.map((device) => {
      const { store } = device;
      const totals = store.totals();
      return {
        deviceId: device.deviceId,
        incarnation: device.incarnation,
        cleanFor: store.cleanFor ?? null,
        intact: store.failed === undefined,
        synced: store.failed === undefined,
        inode: store.inode(),
        capacityBytes: totals.capacityBytes,
        usedBytes: totals.usedBytes,
        pgs: device.copies.rows({ all: true }),
      };
    });
  }

  /** Chunks of each node in the groups led from here. */
  nodeUsage(): NodeUsage {
    const counts = new Map<NodeId, number>();
    for (const device of this.#devices) {
      for (const group of device.groups.values()) {
        if (group.primary === undefined || group.storage === undefined) continue;
        for (const [nodeId, count] of group.storage.nodeCounts) counts.set(nodeId, (counts.get(nodeId) ?? 0) + count);
      }
    }
    return [...counts].map(([nodeId, chunkCount]) => ({ nodeId, chunkCount }));
  }

  /** Differs when what {@linkcode nodeUsage} gives has changed; a change that undoes another between two looks may not show. */
  usageMark(): string {
    return this.#devices.map(({ store, servingCount }) => `${store.totals().usedBytes}/${servingCount}`).join();
  }

  async close(options: { readonly clean: boolean }): Promise<void> {
    await Promise.all(this.#devices.map((device) => device.store.close(options)));
  }

  async #openOne(assigned: AssignedDevice, cluster: { clusterId: string; sdsId: SdsId }): Promise<void> {
    const { context, host, limits, diskOf } = this.#options;
    const { clock, random, log } = context;
    const { deviceId, name, capacityBytes, state } = assigned;
    const disk = diskOf(name);
    const identity = { ...cluster, deviceId };
    if (!disk.exists(SUPERBLOCK_FILE)) {
      if (state !== "new") {
        throw new StorageError(
          "unavailable",
          `Cannot open device ${deviceId}: ${disk.path} holds none, and it was one before; put its files back, or fail the SDS`,
        );
      }
      log.info("Formatting {path} as device {deviceId}", { deviceId, path: disk.path, capacityBytes });
      await formatDevice({ disk, ...identity, capacityBytes });
    }
    const store = await openDevice({ disk, identity, clock, random, limits, guards: context.guards });
    this.#devices.push(new ReplicaDevice(store, { context, host }));
    this.#names.set(deviceId, name);
    log.info("Device {deviceId} is open, start {incarnation}", {
      deviceId,
      path: disk.path,
      incarnation: store.incarnation.counter,
      wasClean: store.wasClean,
    });
  }
}
