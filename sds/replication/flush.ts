/**
 * FLUSH of many groups at the primary: this device, all members, and a joiner that was sent `join_final`, each synced once
 * (replication design, sections 4.2 and 4.3).
 *
 * @module
 */
import type { ErrorCode } from "@/shared/errors.ts";
import type { Epoch, PgId } from "@/shared/ids.ts";
import type { Group } from "@/sds/replication/group.ts";
import type { JoinOut } from "@/sds/replication/join_out.ts";
import type { LinkOut } from "@/sds/replication/link_out.ts";
import type { PrimaryRole } from "@/sds/replication/primary_role.ts";
import type { ReplicaDevice } from "@/sds/replication/replica_device.ts";

/** One group of a flush as the SDC asked for it. */
export interface FlushEntry {
  readonly pgId: PgId;
  readonly epoch: Epoch;
  /** The lowest that the SDC saw in answers to the writes it wants flushed. */
  readonly lossGeneration: number;
}

/** The outcome for one group. */
export interface FlushResult {
  readonly pgId: PgId;
  readonly code: ErrorCode | undefined;
  readonly lossGeneration: number;
}

interface Flushing {
  readonly entry: FlushEntry;
  readonly group: Group;
  readonly role: PrimaryRole;
  readonly epoch: Epoch;
}

/** Flushes the entries whose groups this device leads; never rejects. */
export async function flushGroups(device: ReplicaDevice, entries: readonly FlushEntry[]): Promise<FlushResult[]> {
  const refused: FlushResult[] = [];
  const flushing: Flushing[] = [];
  for (const entry of entries) {
    const group = device.groups.get(entry.pgId);
    const code = serveProblem(group, entry.epoch);
    if (code !== undefined) refused.push({ pgId: entry.pgId, code, lossGeneration: 0 });
    else flushing.push({ entry, group: group!, role: group!.primary!, epoch: entry.epoch });
  }
  if (flushing.length === 0) return refused;
  const synced = await Promise.all([
    syncHere(device, flushing),
    ...(device.context.guards.flushMembers ? membersOf(flushing) : []).map(([link, groups]) => syncThere(link, groups)),
  ]);
  const failed = new Set(synced.flat());
  return [...refused, ...flushing.map((one) => resultOf(one, failed))];
}

/** Why a request under `epoch` is not served here now. */
export function serveProblem(group: Group | undefined, epoch: number): ErrorCode | undefined {
  if (group?.primary === undefined) return "not_primary";
  const { guards } = group.device.context;
  if (group.primary.config.epoch > epoch && guards.clientEpoch) return "stale_epoch";
  if (group.primary.config.epoch < epoch) {
    group.device.configurationsChanged();
    return "not_ready";
  }
  if (!guards.lease) return undefined;
  return group.primary.mayServe() ? undefined : "not_ready";
}

/** Links to sync, with the groups for which each counts. */
function membersOf(flushing: readonly Flushing[]): [LinkOut, Flushing[]][] {
  const links = new Map<LinkOut, Flushing[]>();
  for (const one of flushing) {
    for (const target of one.role.targets) {
      if (target.join !== undefined && !takesPartInSyncs(target.join)) continue;
      const groups = links.get(target.link);
      if (groups) groups.push(one);
      else links.set(target.link, [one]);
    }
  }
  return [...links];
}

function takesPartInSyncs(join: JoinOut): boolean {
  return join.takesPartInSyncs && join.group.device.context.guards.joinerSyncs;
}

/** Groups that this device did not sync: all of them if it failed. */
async function syncHere(device: ReplicaDevice, groups: readonly Flushing[]): Promise<PgId[]> {
  try {
    await device.store.sync();
    return [];
  } catch {
    return pgIdsOf(groups);
  }
}

/** Groups that the member did not sync. */
async function syncThere(link: LinkOut, groups: readonly Flushing[]): Promise<PgId[]> {
  try {
    const pgs = groups.map(({ group, role }) => ({ pgId: group.pgId, epoch: role.config.epoch }));
    const answer = await link.request({ kind: "sync", pgs });
    if (answer.kind !== "pg_results") return pgIdsOf(groups);
    return answer.results.filter((result) => !result.ok).map((result) => result.pgId);
  } catch {
    return pgIdsOf(groups);
  }
}

function pgIdsOf(groups: readonly Flushing[]): PgId[] {
  return groups.map(({ group }) => group.pgId);
}

/**
 * A member that did not sync is removed, or the role is lost: either way the epoch changes, and the SDC asks again under the
 * new one. So is a flush whose configuration changed meanwhile, since it may have missed a member.
 */
function resultOf(one: Flushing, failed: ReadonlySet<PgId>): FlushResult {
  const { entry, group, role } = one;
  const { lossGeneration } = role.config;
  const moved = group.primary !== role || role.config.epoch !== one.epoch || role.stopped;
  if (moved || failed.has(entry.pgId)) return { pgId: entry.pgId, code: "outcome_unknown", lossGeneration };
  const { flushVerifier } = group.device.context.guards;
  if (flushVerifier && entry.lossGeneration !== lossGeneration) {
    return { pgId: entry.pgId, code: "flush_lost", lossGeneration };
  }
  return { pgId: entry.pgId, code: undefined, lossGeneration };
}
