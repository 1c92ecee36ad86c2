/**
 * `sds_device_inventory`: devices, and the newest accepted start of each.
 *
 * @module
 */
import type { Database } from "@/mdm/store/database.ts";
import type { DeviceStart, KnownStart } from "@/mdm/core/device_registration.ts";
import { asId, type DeviceId, type FaultSetId, type Incarnation, type PoolId, type SdsId } from "@/shared/ids.ts";

export type DeviceState = "new" | "active" | "failed";
/** Whether copies are placed on it. */
export type DevicePlacement = "in" | "out";

export interface DeviceRow {
  readonly deviceId: DeviceId;
  readonly sdsId: SdsId;
  readonly poolId: PoolId | null;
  readonly name: string;
  /** What the operator claimed. */
  readonly claimedBytes: number;
  /** What its process offers; null until it registered. */
  readonly offeredBytes: number | null;
  readonly usedBytes: number;
  readonly state: DeviceState;
  readonly placement: DevicePlacement;
  /** Fault set of its SDS. */
  readonly faultSetId: FaultSetId | null;
  /** The newest accepted start; undefined until the first. */
  readonly start: KnownStart | undefined;
  /** The start that stopped cleanly before the newest one, if it did. */
  readonly cleanFor: Incarnation | null;
  /** The start-up sync of the newest start succeeded. */
  readonly synced: boolean;
}

interface Raw {
  deviceId: DeviceId;
  sdsId: SdsId;
  poolId: PoolId | null;
  name: string;
  claimedBytes: number;
  offeredBytes: number | null;
  usedBytes: number;
  state: DeviceState;
  placement: DevicePlacement;
  faultSetId: FaultSetId | null;
  counter: number | null;
  random: string;
  bootId: string;
  hostId: string;
  inode: number;
  lockSinceCounter: number;
  confirmedHostId: string | null;
  cleanCounter: number | null;
  cleanRandom: string;
  synced: number | null;
}

const SELECT =
  `SELECT d.id AS deviceId, d.sds_id AS sdsId, d.pool_id AS poolId, d.name, d.claimed_bytes AS claimedBytes,
    d.offered_bytes AS offeredBytes, d.used_bytes AS usedBytes, d.state, d.placement, s.fault_set_id AS faultSetId,
    d.incarnation_counter AS counter, d.incarnation_random AS random, d.boot_id AS bootId, d.host_id AS hostId, d.inode,
    d.lock_since_counter AS lockSinceCounter, d.confirmed_host_id AS confirmedHostId, d.clean_counter AS cleanCounter,
    d.clean_random AS cleanRandom, d.synced
  FROM sds_device_inventory d JOIN sds_nodes s ON s.id = d.sds_id`;

function rowOf(raw: Raw): DeviceRow {
  return {
    deviceId: raw.deviceId,
    sdsId: raw.sdsId,
    poolId: raw.poolId,
    name: raw.name,
    claimedBytes: raw.claimedBytes,
    offeredBytes: raw.offeredBytes,
    usedBytes: raw.usedBytes,
    state: raw.state,
    placement: raw.placement,
    faultSetId: raw.faultSetId,
    start: raw.counter === null ? undefined : {
      incarnation: { counter: raw.counter, random: raw.random },
      bootId: raw.bootId,
      hostId: raw.hostId,
      inode: raw.inode,
      lockSinceCounter: raw.lockSinceCounter,
      confirmedHostId: raw.confirmedHostId,
    },
    cleanFor: raw.cleanCounter === null ? null : { counter: raw.cleanCounter, random: raw.cleanRandom },
    synced: raw.synced === 1,
  };
}

export interface NewDevice {
  readonly sdsId: SdsId;
  readonly poolId: PoolId | null;
  readonly name: string;
  readonly claimedBytes: number;
}

export function insertDevice(db: Database, device: NewDevice): DeviceId {
  const { lastId } = db.run(
    "INSERT INTO sds_device_inventory (sds_id, pool_id, name, claimed_bytes, state) VALUES (?, ?, ?, ?, 'new')",
    device.sdsId,
    device.poolId,
    device.name,
    device.claimedBytes,
  );
  return asId(lastId);
}

export function deviceById(db: Database, deviceId: DeviceId): DeviceRow | undefined {
  const raw = db.get<Raw>(`${SELECT} WHERE d.id = ?`, deviceId);
  return raw && rowOf(raw);
}

export function listDevices(db: Database): DeviceRow[] {
  return db.all<Raw>(`${SELECT} ORDER BY d.id`).map(rowOf);
}

export function devicesOfSds(db: Database, sdsId: SdsId): DeviceRow[] {
  return db.all<Raw>(`${SELECT} WHERE d.sds_id = ? ORDER BY d.id`, sdsId).map(rowOf);
}

export function devicesOfPool(db: Database, poolId: PoolId): DeviceRow[] {
  return db.all<Raw>(`${SELECT} WHERE d.pool_id = ? ORDER BY d.id`, poolId).map(rowOf);
}

/** Gives devices without a pool, of SDSs of the pool's domain, to the pool. */
export function adoptDevices(db: Database, poolId: PoolId): number {
  return db.run(
    `UPDATE sds_device_inventory SET pool_id = ? WHERE pool_id IS NULL AND sds_id IN (
       SELECT s.id FROM sds_nodes s JOIN storage_pools p ON p.pd_id = s.pd_id WHERE p.id = ?)`,
    poolId,
    poolId,
  ).changes;
}

export interface AcceptedStart {
  readonly start: DeviceStart;
  readonly lockSinceCounter: number;
  readonly cleanFor: Incarnation | null;
  readonly synced: boolean;
  readonly offeredBytes: number;
  readonly usedBytes: number;
  readonly state: DeviceState;
}

export function recordStart(db: Database, deviceId: DeviceId, accepted: AcceptedStart): void {
  const { start, cleanFor } = accepted;
  db.run(
    `UPDATE sds_device_inventory SET incarnation_counter = ?, incarnation_random = ?, boot_id = ?, host_id = ?, inode = ?,
       lock_since_counter = ?, clean_counter = ?, clean_random = ?, synced = ?, offered_bytes = ?, used_bytes = ?, state = ?
     WHERE id = ?`,
    start.incarnation.counter,
    start.incarnation.random,
    start.bootId,
    start.hostId,
    start.inode,
    accepted.lockSinceCounter,
    cleanFor?.counter ?? null,
    cleanFor?.random ?? null,
    accepted.synced ? 1 : 0,
    accepted.offeredBytes,
    accepted.usedBytes,
    accepted.state,
    deviceId,
  );
}

export function setDeviceState(db: Database, deviceId: DeviceId, state: DeviceState): void {
  db.run("UPDATE sds_device_inventory SET state = ? WHERE id = ?", state, deviceId);
}

export function setDevicePlacement(db: Database, deviceId: DeviceId, placement: DevicePlacement): void {
  db.run("UPDATE sds_device_inventory SET placement = ? WHERE id = ?", placement, deviceId);
}

/** An operator says that no older process of the device runs anywhere, and that it may run on `hostId`. */
export function confirmDeviceHost(db: Database, deviceId: DeviceId, hostId: string): void {
  db.run(
    "UPDATE sds_device_inventory SET confirmed_host_id = ?, lock_since_counter = 0 WHERE id = ?",
    hostId,
    deviceId,
  );
}
