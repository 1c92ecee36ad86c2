/**
 * Revocations under way (replication design, section 6.4): after a mapping's generation was raised and committed, every SDS with
 * a device in the pool is told until it answered, or until no older token can be used there any more.
 *
 * Whom they wait for is committed with the change of the generation, and goes on after a restart of the MDM: an SDS that was out
 * of reach may still serve older tokens.
 *
 * @module
 */
import type { MdmContext } from "@/mdm/context.ts";
import { isRevokedAt } from "@/mdm/core/revocation.ts";
import { counterValue } from "@/mdm/store/cluster_config.ts";
import { devicesOfSds } from "@/mdm/store/devices.ts";
import { listGenerations } from "@/mdm/store/mappings.ts";
import { sdsIsMemberInPool } from "@/mdm/store/pgs.ts";
import { deletePendingRevocation, insertPendingRevocation, listPendingRevocations } from "@/mdm/store/revocations.ts";
import { sdsById, sdsOfPool, type SdsRow } from "@/mdm/store/sds.ts";
import { sleep } from "@/shared/clock.ts";
import type { PoolId, SdsId, VolumeId } from "@/shared/ids.ts";

/** Time between two tries at a silent SDS, in ms. */
const RETRY_MS = 250;
/** An SDS answers when its started operations have finished; a slow disk gets this long, in ms. */
const REVOKE_TIMEOUT_MS = 5_000;

interface Revocation {
  readonly volumeIds: ReadonlySet<VolumeId>;
  readonly mappingVersion: number;
  /** SDSs that have not confirmed, and since when each is no member of the pools. */
  readonly pending: Map<SdsId, { outsideSinceMs: number | undefined }>;
  readonly poolIds: readonly PoolId[];
}

export class Revocations {
  readonly #active = new Map<Revocation, Promise<void>>();
  readonly #stopped = new AbortController();

  /** Notes, as part of the transaction that raised the generations, which SDSs have to confirm for the volume. */
  record(context: MdmContext, volume: { readonly volumeId: VolumeId; readonly poolId: PoolId }): void {
    const mappingVersion = counterValue(context.db, "mapping_version");
    for (const { sdsId } of sdsOfPool(context.db, volume.poolId)) {
      if (!devicesOfSds(context.db, sdsId).some((device) => device.start !== undefined)) continue;
      insertPendingRevocation(context.db, { ...volume, sdsId, mappingVersion });
    }
  }

  /** Tells the SDSs of what was recorded and committed for these volumes; without `volumeIds`, after a start, of everything. */
  begin(context: MdmContext, volumeIds?: readonly VolumeId[]): void {
    const rows = listPendingRevocations(context.db).filter(({ volumeId }) => volumeIds?.includes(volumeId) ?? true);
    if (rows.length === 0) return;
    const revocation: Revocation = {
      volumeIds: new Set(rows.map(({ volumeId }) => volumeId)),
      mappingVersion: Math.max(...rows.map(({ mappingVersion }) => mappingVersion)),
      pending: new Map(rows.map(({ sdsId }) => [sdsId, { outsideSinceMs: undefined }])),
      poolIds: [...new Set(rows.map(({ poolId }) => poolId))],
    };
    const work = this.#run(context, revocation).finally(() => this.#active.delete(revocation));
    this.#active.set(revocation, work);
  }

  /** Names of the SDSs that some revocation of the volume still waits for; empty when all is done. */
  waitingFor(context: MdmContext, volumeId: VolumeId): string[] {
    const ids = [...this.#active.keys()].filter((revocation) => revocation.volumeIds.has(volumeId))
      .flatMap((revocation) => [...revocation.pending.keys()]);
    return [...new Set(ids)].map((sdsId) => sdsById(context.db, sdsId)?.name ?? `SDS ${sdsId}`);
  }

  /** Waits until every revocation of the volume is done, at most `timeoutMs`; false if one is not. */
  async settle(context: MdmContext, options: { volumeId: VolumeId; timeoutMs: number }): Promise<boolean> {
    const running = [...this.#active].filter(([revocation]) => revocation.volumeIds.has(options.volumeId))
      .map(([, work]) => work);
    if (running.length === 0) return true;
    const timeout = new AbortController();
    const late = sleep(context.clock, options.timeoutMs, timeout.signal).then(() => false);
    const done = await Promise.race([Promise.all(running).then(() => true), late]);
    timeout.abort();
    return done && this.waitingFor(context, options.volumeId).length === 0;
  }

  /** Ends the waiting; the generations stay in force. */
  async close(): Promise<void> {
    this.#stopped.abort();
    await Promise.all(this.#active.values());
  }

  async #run(context: MdmContext, revocation: Revocation): Promise<void> {
    while (!this.#stopped.signal.aborted) {
      const open: SdsRow[] = [];
      for (const [sdsId, state] of revocation.pending) {
        const sds = sdsById(context.db, sdsId);
        if (sds !== undefined && !this.#isDone(context, { revocation, sds, state })) open.push(sds);
        else done(context, { revocation, sdsId });
      }
      if (open.length === 0) return;
      const answers = await Promise.all(open.map((sds) => this.#tell(context, sds)));
      if (!answers.every((answered) => answered)) await sleep(context.clock, RETRY_MS, this.#stopped.signal);
    }
  }

  #isDone(
    context: MdmContext,
    options: { revocation: Revocation; sds: SdsRow; state: { outsideSinceMs: number | undefined } },
  ): boolean {
    const { revocation, sds, state } = options;
    const nowMs = context.clock.monotonicMs();
    const inside = revocation.poolIds.some((poolId) => sdsIsMemberInPool(context.db, { sdsId: sds.sdsId, poolId }));
    state.outsideSinceMs = inside ? undefined : state.outsideSinceMs ?? nowMs;
    return isRevokedAt({
      answered: context.live.sds(sds.sdsId).revokedVersion >= revocation.mappingVersion,
      outsideForMs: state.outsideSinceMs === undefined ? undefined : nowMs - state.outsideSinceMs,
      silentMs: nowMs - (context.live.lastBeatMs(sds.componentId) ?? context.live.startedAtMs),
    }, context.options.times);
  }

  /** True if the SDS confirmed. */
  async #tell(context: MdmContext, sds: SdsRow): Promise<boolean> {
    const mappingVersion = counterValue(context.db, "mapping_version");
    const answer = await context.outbox.call(sds, {
      path: "/control/revoke",
      body: { mdmTerm: context.mdmTerm, mappingVersion, mappings: listGenerations(context.db) },
      timeoutMs: REVOKE_TIMEOUT_MS,
    });
    if (answer === undefined) return false;
    const life = context.live.sds(sds.sdsId);
    life.revokedVersion = Math.max(life.revokedVersion, mappingVersion);
    life.mappingVersion = Math.max(life.mappingVersion, mappingVersion);
    return true;
  }
}

/** Nothing waits for the SDS any more. */
function done(context: MdmContext, options: { revocation: Revocation; sdsId: SdsId }): void {
  const { sdsId, revocation: { pending, volumeIds, mappingVersion } } = options;
  pending.delete(sdsId);
  context.db.transaction(() => {
    for (const volumeId of volumeIds) deletePendingRevocation(context.db, { volumeId, sdsId, mappingVersion });
  });
}
