/**
 * `pg`, `pg_member`, `pg_departed`: placement groups. Whoever changes one raises `config_version` in the same transaction and
 * gives the new value to the row.
 *
 * @module
 */
import type { PgMember } from "@/shared/api/pg.ts";
import type { DepartedCopy, PgRecord } from "@/mdm/core/placement_groups.ts";
import type { Database } from "@/mdm/store/database.ts";
import { asId, type DeviceId, type Epoch, type Incarnation, type PgId, type PoolId, type SdsId } from "@/shared/ids.ts";

interface RawPg {
  pgId: PgId;
  poolId: PoolId;
  pgIndex: number;
  pgCount: number;
  copies: number;
  epoch: Epoch;
  mdmTerm: number;
  lossGeneration: number;
  fresh: number;
  syncWrites: number;
  target: string;
}

interface RawMember {
  pgId: PgId;
  deviceId: DeviceId;
  sdsId: SdsId;
  counter: number;
  random: string;
  bootId: string;
}

const SELECT_PG =
  `SELECT g.id AS pgId, g.pool_id AS poolId, g.pg_index AS pgIndex, p.pg_count AS pgCount, p.copies, g.epoch,
    g.mdm_term AS mdmTerm, g.loss_generation AS lossGeneration, g.fresh, p.sync_writes AS syncWrites, g.target
  FROM pg g JOIN storage_pools p ON p.id = g.pool_id`;
const SELECT_MEMBER =
  `SELECT m.pg_id AS pgId, m.device_id AS deviceId, d.sds_id AS sdsId, m.incarnation_counter AS counter,
    m.incarnation_random AS random, m.boot_id AS bootId
  FROM pg_member m JOIN sds_device_inventory d ON d.id = m.device_id`;
const SELECT_DEPARTED = "SELECT device_id AS deviceId, last_epoch AS lastEpoch, since_ms AS sinceMs FROM pg_departed";

function memberOf(raw: RawMember): PgMember {
  return {
    deviceId: raw.deviceId,
    sdsId: raw.sdsId,
    incarnation: { counter: raw.counter, random: raw.random },
    bootId: raw.bootId,
  };
}

function withParts(db: Database, raw: RawPg): PgRecord {
  const members = db.all<RawMember>(`${SELECT_MEMBER} WHERE m.pg_id = ? ORDER BY m.position`, raw.pgId).map(memberOf);
  const departed = members.length < raw.copies
    ? db.all<DepartedCopy>(`${SELECT_DEPARTED} WHERE pg_id = ? ORDER BY device_id`, raw.pgId)
    : [];
  const target: DeviceId[] = JSON.parse(raw.target);
  return { ...raw, fresh: raw.fresh === 1, syncWrites: raw.syncWrites === 1, members, departed, target };
}

export function pgById(db: Database, pgId: PgId): PgRecord | undefined {
  const raw = db.get<RawPg>(`${SELECT_PG} WHERE g.id = ?`, pgId);
  return raw && withParts(db, raw);
}

/** The epoch alone: for the thousands of rows that a registration brings. */
export function pgEpoch(db: Database, pgId: PgId): number | undefined {
  return db.get<{ epoch: number }>("SELECT epoch FROM pg WHERE id = ?", pgId)?.epoch;
}

/** In order of `pgIndex`. */
export function pgsOfPool(db: Database, poolId: PoolId): PgRecord[] {
  return db.all<RawPg>(`${SELECT_PG} WHERE g.pool_id = ? ORDER BY g.pg_index`, poolId).map((raw) => withParts(db, raw));
}

/** Groups changed after `sinceVersion` in pools in which the SDS has devices. */
export function pgsChangedFor(db: Database, key: { sdsId: SdsId; sinceVersion: number }): PgRecord[] {
  return db.all<RawPg>(
    `${SELECT_PG} WHERE g.config_version > ? AND g.pool_id IN (
       SELECT pool_id FROM sds_device_inventory WHERE sds_id = ?) ORDER BY g.id`,
    key.sinceVersion,
    key.sdsId,
  ).map((raw) => withParts(db, raw));
}

/** Groups with fewer members than copies, fewest members first. */
export function pgsMissingCopies(db: Database): PgRecord[] {
  return db.all<RawPg>(`${SELECT_PG} WHERE g.missing_copies > 0 ORDER BY g.missing_copies DESC, g.id`)
    .map((raw) => withParts(db, raw));
}

/** Groups whose members are not their target, or not in its order. */
export function misplacedPgs(db: Database): PgRecord[] {
  return db.all<RawPg>(`${SELECT_PG} WHERE g.misplaced = 1 ORDER BY g.id`).map((raw) => withParts(db, raw));
}

/**
 * Groups of which a member may have to leave or others should lead: its SDS is one of those given, its device failed, or the
 * members are not the target.
 */
export function pgsToOrder(db: Database, options: { leavingSdsIds: readonly SdsId[] }): PgRecord[] {
  return db.all<RawPg>(
    `${SELECT_PG} WHERE g.misplaced = 1 OR g.id IN (
       SELECT m.pg_id FROM sds_device_inventory d JOIN pg_member m ON m.device_id = d.id
       WHERE d.state = 'failed' OR d.sds_id IN (SELECT value FROM json_each(?))) ORDER BY g.id`,
    JSON.stringify(options.leavingSdsIds),
  ).map((raw) => withParts(db, raw));
}

/** Groups that list a start of a device older than its registered one: somebody must take over, remove or activate. */
export function pgsWithRestartedMember(db: Database): PgRecord[] {
  return db.all<RawPg>(
    `${SELECT_PG} WHERE g.id IN (
       SELECT m.pg_id FROM sds_device_inventory d JOIN pg_member m
         ON m.device_id = d.id AND m.incarnation_counter < d.incarnation_counter) ORDER BY g.id`,
  ).map((raw) => withParts(db, raw));
}

/** True if every group has all its copies, none is fresh, and none lists a start older than the registered one. */
export function groupsAreWhole(db: Database): boolean {
  return db.get(
    `SELECT 1 AS found FROM pg WHERE missing_copies > 0 OR fresh = 1 OR misplaced = 1 UNION ALL
     SELECT 1 FROM sds_device_inventory d JOIN pg_member m
       ON m.device_id = d.id AND m.incarnation_counter < d.incarnation_counter LIMIT 1`,
  ) === undefined;
}

export function freshPgs(db: Database): PgRecord[] {
  return db.all<RawPg>(`${SELECT_PG} WHERE g.fresh = 1 ORDER BY g.id`).map((raw) => withParts(db, raw));
}

export function freshPgCount(db: Database, poolId: PoolId): number {
  return db.get<{ count: number }>("SELECT COUNT(*) AS count FROM pg WHERE fresh = 1 AND pool_id = ?", poolId)!.count;
}

/** Starts under which a device is listed as primary and that are older than `before`, with the secondaries' SDSs. */
export function replacedPrimaryStarts(
  db: Database,
  key: { deviceId: DeviceId; before: Incarnation },
): { incarnation: Incarnation; bootId: string; secondarySdsIds: SdsId[] }[] {
  const rows = db.all<{ counter: number; random: string; bootId: string; sdsId: SdsId }>(
    `SELECT DISTINCT m.incarnation_counter AS counter, m.incarnation_random AS random, m.boot_id AS bootId, d.sds_id AS sdsId
     FROM pg_member m JOIN pg_member o ON o.pg_id = m.pg_id AND o.position > 0
       JOIN sds_device_inventory d ON d.id = o.device_id
     WHERE m.device_id = ? AND m.position = 0 AND m.incarnation_counter < ? ORDER BY counter, sdsId`,
    key.deviceId,
    key.before.counter,
  );
  const starts = new Map<string, { incarnation: Incarnation; bootId: string; secondarySdsIds: SdsId[] }>();
  for (const { counter, random, bootId, sdsId } of rows) {
    const start = starts.get(`${counter}/${random}`);
    if (start === undefined) {
      starts.set(`${counter}/${random}`, { incarnation: { counter, random }, bootId, secondarySdsIds: [sdsId] });
    } else start.secondarySdsIds.push(sdsId);
  }
  return [...starts.values()];
}

/** Copies per device: members, whatever their state. */
export function memberCounts(db: Database, poolId: PoolId): Map<DeviceId, number> {
  const rows = db.all<{ deviceId: DeviceId; count: number }>(
    `SELECT m.device_id AS deviceId, COUNT(*) AS count FROM pg g JOIN pg_member m ON m.pg_id = g.id
     WHERE g.pool_id = ? GROUP BY m.device_id`,
    poolId,
  );
  return new Map(rows.map((row) => [row.deviceId, row.count]));
}

/** Groups that list the device. */
export function memberPgIds(db: Database, deviceId: DeviceId): PgId[] {
  return db.all<{ pgId: PgId }>("SELECT pg_id AS pgId FROM pg_member WHERE device_id = ?", deviceId)
    .map((row) => row.pgId);
}

/** Groups to which a copy on the device may return. */
export function departedCount(db: Database, deviceId: DeviceId): number {
  return db.get<{ count: number }>("SELECT COUNT(*) AS count FROM pg_departed WHERE device_id = ?", deviceId)!.count;
}

/** True if a device of the SDS is a member of any group of the pool. */
export function sdsIsMemberInPool(db: Database, key: { sdsId: SdsId; poolId: PoolId }): boolean {
  return db.get(
    `SELECT 1 AS found FROM sds_device_inventory d JOIN pg_member m ON m.device_id = d.id
     WHERE d.sds_id = ? AND d.pool_id = ? LIMIT 1`,
    key.sdsId,
    key.poolId,
  ) !== undefined;
}

/** Groups of equal pool, members and size, and how many they are. */
export interface PgTally {
  readonly poolId: PoolId;
  /** The primary, and the first secondary if there is one. */
  readonly members: readonly { readonly deviceId: DeviceId; readonly incarnation: Incarnation }[];
  readonly missingCopies: number;
  readonly copies: number;
  readonly count: number;
}

interface RawTallyMembers {
  deviceId: DeviceId;
  counter: number;
  random: string;
  otherId: DeviceId | null;
  otherCounter: number;
  otherRandom: string;
}

/** All groups, tallied: what the views of health rest on. */
export function tallyPgs(db: Database): PgTally[] {
  return db.all<Omit<PgTally, "members"> & RawTallyMembers>(
    `SELECT g.pool_id AS poolId, g.missing_copies AS missingCopies, p.copies, COUNT(*) AS count,
       m.device_id AS deviceId, m.incarnation_counter AS counter, m.incarnation_random AS random,
       o.device_id AS otherId, o.incarnation_counter AS otherCounter, o.incarnation_random AS otherRandom
     FROM pg g JOIN pg_member m ON m.pg_id = g.id AND m.position = 0 JOIN storage_pools p ON p.id = g.pool_id
       LEFT JOIN pg_member o ON o.pg_id = g.id AND o.position = 1
     GROUP BY g.pool_id, g.missing_copies, m.device_id, m.incarnation_counter, m.incarnation_random,
       o.device_id, o.incarnation_counter, o.incarnation_random`,
  ).map(({ deviceId, counter, random, otherId, otherCounter, otherRandom, ...rest }) => ({
    ...rest,
    members: [
      { deviceId, incarnation: { counter, random } },
      ...(otherId === null ? [] : [{ deviceId: otherId, incarnation: { counter: otherCounter, random: otherRandom } }]),
    ],
  }));
}

/** Groups per device, as member and as primary. */
export function tallyDevices(db: Database): Map<DeviceId, { pgCount: number; primaryCount: number }> {
  const rows = db.all<{ deviceId: DeviceId; pgCount: number; primaryCount: number }>(
    `SELECT device_id AS deviceId, COUNT(*) AS pgCount, SUM(position = 0) AS primaryCount FROM pg_member GROUP BY device_id`,
  );
  return new Map(rows.map(({ deviceId, ...counts }) => [deviceId, counts]));
}

export interface NewPg {
  readonly poolId: PoolId;
  readonly pgIndex: number;
  readonly mdmTerm: number;
  readonly configVersion: number;
  readonly copies: number;
}

/** Inserts a fresh group at epoch 1, without members. */
export function insertPg(db: Database, pg: NewPg): PgId {
  const { lastId } = db.run(
    `INSERT INTO pg (pool_id, pg_index, epoch, mdm_term, loss_generation, fresh, missing_copies, config_version)
     VALUES (?, ?, 1, ?, 0, 1, ?, ?)`,
    pg.poolId,
    pg.pgIndex,
    pg.mdmTerm,
    pg.copies,
    pg.configVersion,
  );
  return asId(lastId);
}

/** Writes all of `pg` that may change. */
export function updatePg(db: Database, pg: PgRecord, configVersion: number): void {
  db.run(
    `UPDATE pg SET epoch = ?, mdm_term = ?, loss_generation = ?, fresh = ?, missing_copies = ?, config_version = ? WHERE id = ?`,
    pg.epoch,
    pg.mdmTerm,
    pg.lossGeneration,
    pg.fresh ? 1 : 0,
    pg.copies - pg.members.length,
    configVersion,
    pg.pgId,
  );
  db.run("DELETE FROM pg_member WHERE pg_id = ?", pg.pgId);
  pg.members.forEach((member, position) => {
    db.run(
      `INSERT INTO pg_member (pg_id, position, device_id, incarnation_counter, incarnation_random, boot_id)
       VALUES (?, ?, ?, ?, ?, ?)`,
      pg.pgId,
      position,
      member.deviceId,
      member.incarnation.counter,
      member.incarnation.random,
      member.bootId,
    );
  });
  db.run("DELETE FROM pg_departed WHERE pg_id = ?", pg.pgId);
  for (const copy of pg.departed) {
    db.run(
      "INSERT INTO pg_departed (pg_id, device_id, last_epoch, since_ms) VALUES (?, ?, ?, ?)",
      pg.pgId,
      copy.deviceId,
      copy.lastEpoch,
      Math.floor(copy.sinceMs),
    );
  }
  noteWhetherMisplaced(db, pg.pgId);
}

/** Says where the group's copies should be: no change of its configuration. */
export function setTarget(db: Database, pgId: PgId, target: readonly DeviceId[]): void {
  db.run("UPDATE pg SET target = ? WHERE id = ?", JSON.stringify(target), pgId);
  noteWhetherMisplaced(db, pgId);
}

function noteWhetherMisplaced(db: Database, pgId: PgId): void {
  db.run(
    `UPDATE pg SET misplaced = target <> '[]' AND target <> (
       SELECT json_group_array(device_id) FROM (SELECT device_id FROM pg_member WHERE pg_id = pg.id ORDER BY position))
     WHERE id = ?`,
    pgId,
  );
}

/** The copy may not return by delta. */
export function deleteDeparted(db: Database, key: { pgId: PgId; deviceId: DeviceId }): void {
  db.run("DELETE FROM pg_departed WHERE pg_id = ? AND device_id = ?", key.pgId, key.deviceId);
}

/** No copy of the device may return by delta: it failed. */
export function deleteDepartedOfDevice(db: Database, deviceId: DeviceId): void {
  db.run("DELETE FROM pg_departed WHERE device_id = ?", deviceId);
}
