/**
 * Rounds that clear `resync` intents, driven by the primary at full copies with no join running (replication design, section
 * 5.4): sync this device and all members, then clear on all of them the regions that were not written meanwhile.
 *
 * @module
 */
import type { Epoch, PgId } from "@/shared/ids.ts";
import { clearableRegions } from "@/sds/core/regions.ts";
import type { Group } from "@/sds/replication/group.ts";
import type { LinkOut } from "@/sds/replication/link_out.ts";
import type { PrimaryRole } from "@/sds/replication/primary_role.ts";
import type { ReplicaDevice } from "@/sds/replication/replica_device.ts";

interface Clearing {
  readonly group: Group;
  readonly role: PrimaryRole;
  readonly epoch: Epoch;
  readonly regions: readonly { readonly region: number; readonly writeNumber: number }[];
}

/**
 * One round over all groups that this device leads. A message that is lost leaves a superset: harmless.
 * @param options.copies how many members make full copies.
 * @param options.keepCount newest regions per group that stay set; 0 at a clean stop.
 */
export async function clearIntents(
  device: ReplicaDevice,
  options: { copies: number; keepCount: number },
): Promise<void> {
  const clearings = [...device.groups.values()].flatMap((group) => clearingOf(group, options) ?? []);
  if (clearings.length === 0) return;
  const links = new Map<LinkOut, Clearing[]>();
  for (const clearing of clearings) {
    for (const target of clearing.role.targets) {
      const list = links.get(target.link) ?? [];
      list.push(clearing);
      links.set(target.link, list);
    }
  }
  await device.store.sync();
  const unsynced = new Set((await Promise.all([...links].map(([link, list]) => unsyncedAt(link, list)))).flat());
  for (const clearing of clearings) if (!unsynced.has(clearing.group.pgId)) clear(clearing);
}

/** Groups that the member has not synced: all of them when it cannot be asked, which concerns no other link. */
async function unsyncedAt(link: LinkOut, list: readonly Clearing[]): Promise<PgId[]> {
  const pgs = list.map(({ group, epoch }) => ({ pgId: group.pgId, epoch }));
  const ok = new Set<PgId>();
  try {
    const answer = await link.request({ kind: "sync", pgs });
    const results = answer.kind === "pg_results" ? answer.results : [];
    for (const result of results) if (result.ok) ok.add(result.pgId);
  } catch (error) {
    link.device.context.log.debug("Cannot sync device {to} to clear intents: {error}", {
      to: link.remoteDeviceId,
      error,
    });
  }
  return pgs.map(({ pgId }) => pgId).filter((pgId) => !ok.has(pgId));
}

function clearingOf(group: Group, options: { copies: number; keepCount: number }): Clearing | undefined {
  const role = group.primary;
  const { guards } = group.device.context;
  if (role === undefined || !role.mayServe()) return undefined;
  if (guards.clearWithoutJoin && role.join !== undefined) return undefined;
  if (guards.clearAtFullCopies && role.config.members.length < options.copies) return undefined;
  const { intents } = group.storage!;
  const regions = clearableRegions(intents.resync, {
    lastWrite: role.lastWrite,
    keepCount: options.keepCount,
    isRunning: (region) => intents.running[region] !== 0,
  });
  return regions.length === 0 ? undefined : { group, role, epoch: role.config.epoch, regions };
}

/** Clears what was not written since the round began, here first in memory, then at the members. */
function clear(clearing: Clearing): void {
  const { group, role, epoch } = clearing;
  const noJoin = role.join === undefined || !group.device.context.guards.clearWithoutJoin;
  const current = group.primary === role && role.config.epoch === epoch && noJoin && role.mayServe();
  if (!current) return;
  const { intents } = group.storage!;
  const quiet = clearing.regions.filter(({ region, writeNumber }) =>
    (role.lastWrite.get(region) ?? 0) === writeNumber && intents.running[region] === 0
  );
  if (quiet.length === 0) return;
  group.device.store.clearResync(group.storage!, quiet.map(({ region }) => region));
  const regions = quiet.map(({ region, writeNumber }): [number, number] => [region, writeNumber]);
  for (const { link } of role.targets) {
    if (link.up) link.request({ kind: "clear_intents", pgId: group.pgId, epoch, regions }).catch(() => {});
  }
}
