/**
 * An operator's last resort (replication design, section 3.10): all members of a group are gone for good, and a copy that departed
 * earlier is to serve as it is. What was written after it departed is lost, and clients that wrote are told at their next flush.
 *
 * It waits until no member can serve any more: a device that failed cannot, a silent one cannot once every token has expired that it
 * may honour without the MDM, or when the operator says that it is destroyed.
 *
 * @module
 */
import { type MdmContext, recordEvent } from "@/mdm/context.ts";
import type { PgRecord } from "@/mdm/core/placement_groups.ts";
import { Facts } from "@/mdm/operations/facts.ts";
import { announce } from "@/mdm/operations/pgs.ts";
import { raiseCounter } from "@/mdm/store/cluster_config.ts";
import { pgById, updatePg } from "@/mdm/store/pgs.ts";
import { StorageError } from "@/shared/errors.ts";
import { asId, type DeviceId, type Epoch, type PgId } from "@/shared/ids.ts";

/** What an operator asks for. */
export interface ForcePromoteRequest {
  readonly pgId: PgId;
  /** The departed copy. */
  readonly deviceId: DeviceId;
  /** The operator has read that writes are lost. */
  readonly acceptsDataLoss: boolean;
  /** The operator says that no process of a member runs anywhere. */
  readonly membersAreDestroyed: boolean;
}

/**
 * Makes the departed copy the only member, one epoch later.
 *
 * @throws {StorageError} `not_found`; `conflict` with the reason while a member may serve, or the copy may not.
 */
export function forcePromote(context: MdmContext, request: ForcePromoteRequest): PgRecord {
  const { pgId, deviceId } = request;
  const facts = new Facts(context);
  const pg = pgById(context.db, pgId);
  if (pg === undefined) throw new StorageError("not_found", `Cannot promote a copy of group ${pgId}: there is none`);
  const problem = memberProblem(context, { pg, facts, request }) ?? copyProblem(context, { pg, facts, deviceId });
  const refuse = (reason: string) =>
    new StorageError("conflict", `Cannot promote device ${deviceId} in group ${pgId}: ${reason}`);
  if (problem !== undefined) throw refuse(problem);
  const row = pg.departed.find((departed) => departed.deviceId === deviceId);
  const ageS = row === undefined ? 0 : Math.round((context.time.nowMs() - row.sinceMs) / 1000);
  const loss = `what was written since it departed under epoch ${row?.lastEpoch}, ${ageS} s ago, is lost`;
  if (!request.acceptsDataLoss) throw refuse(`${loss}; repeat with accept_data_loss`);
  const next: PgRecord = {
    ...pg,
    epoch: asId<Epoch>(pg.epoch + 1),
    mdmTerm: context.mdmTerm,
    members: [facts.memberOf(deviceId)!],
    departed: [],
    lossGeneration: pg.lossGeneration + 1,
  };
  context.db.transaction(() => {
    updatePg(context.db, next, raiseCounter(context.db, "config_version"));
    recordEvent(context, {
      type: "data_loss_possible",
      severity: "critical",
      subject: `pg-${pgId}`,
      message: `An operator promoted device ${deviceId} in group ${pgId}: ${loss}; volumes of its pool may lack writes`,
    });
  });
  context.live.joins.remove(pgId);
  announce(context, { poolIds: [pg.poolId] });
  context.tendGroupsSoon();
  return next;
}

/** Why a member may still serve, or come back with everything. */
function memberProblem(
  context: MdmContext,
  options: { pg: PgRecord; facts: Facts; request: ForcePromoteRequest },
): string | undefined {
  const { pg, facts, request } = options;
  const { tokenTtlMs, mdmOutageGraceMs } = context.options.times;
  for (const member of pg.members) {
    if (facts.hasFailed(member.deviceId)) continue;
    const device = facts.device(member.deviceId);
    if (device !== undefined && facts.isLive(device)) return `member ${member.deviceId} is there and has newer data`;
    const silentMs = device === undefined ? Infinity : facts.silentMs(device);
    const waitMs = tokenTtlMs + mdmOutageGraceMs - silentMs;
    if (waitMs <= 0 || request.membersAreDestroyed) continue;
    return `member ${member.deviceId} may serve clients unheard for ${Math.ceil(waitMs / 1000)} s more; ` +
      `wait, or confirm with members_destroyed that no process of it runs anywhere`;
  }
  return undefined;
}

/** Why the copy cannot serve. */
function copyProblem(
  context: MdmContext,
  options: { pg: PgRecord; facts: Facts; deviceId: DeviceId },
): string | undefined {
  const { pg, facts, deviceId } = options;
  if (context.live.refusedPgs.has(pg.pgId)) {
    return "a device knows a higher epoch than this MDM, whose database was rolled back";
  }
  if (!pg.departed.some((row) => row.deviceId === deviceId)) return "it is no departed copy of the group";
  const device = facts.device(deviceId);
  if (device === undefined || !facts.isUsable(device)) return "it is not heard";
  if (context.live.device(deviceId).rows.get(pg.pgId)?.complete !== true) return "its copy is not complete";
  return undefined;
}
