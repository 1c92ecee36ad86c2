/**
 * Words and figures of rebuilds: why a copy is made, how far a pool has come, how fast each primary may copy (replication design,
 * section 8).
 *
 * | kind | the copies |
 * | --- | --- |
 * | return | are those of an SDS that was away |
 * | rebuild | replace lost ones |
 * | drain | leave a device that is to be emptied |
 * | rebalance | go to a device with room |
 *
 * @module
 */
import type { PgRecord } from "@/mdm/core/placement_groups.ts";
import type { DeviceId } from "@/shared/ids.ts";

export type JobKind = "return" | "rebuild" | "drain" | "rebalance";

/** Part of a pool's rate that balance may use: it is never urgent. */
export const BALANCE_SHARE = 0.2;
/** A pool whose copies make no progress for this long is shown as stalled, in ms. */
export const STALLED_AFTER_MS = 60_000;

/** Why a copy of `pg` is made: `takesPart` says which devices copies are placed on. */
export function jobKindOf(pg: PgRecord, takesPart: (deviceId: DeviceId) => boolean): JobKind {
  if (pg.members.length < pg.copies) {
    return pg.departed.some((row) => takesPart(row.deviceId)) ? "return" : "rebuild";
  }
  return pg.members.every((member) => takesPart(member.deviceId)) ? "rebalance" : "drain";
}

/** A running copy, for {@linkcode copyRates}. */
export interface RunningCopy {
  readonly primaryDeviceId: DeviceId;
  readonly kind: JobKind;
}

/**
 * Bytes per second that each primary's device may copy, so that together they keep to the pool's limit: by its running copies.
 * Balance alone uses {@linkcode BALANCE_SHARE}.
 */
export function copyRates(copies: readonly RunningCopy[], limitBytesPerSecond: number): Map<DeviceId, number> {
  const onlyBalance = copies.every((copy) => copy.kind === "rebalance");
  const limit = limitBytesPerSecond * (onlyBalance ? BALANCE_SHARE : 1);
  const rates = new Map<DeviceId, number>();
  for (const { primaryDeviceId } of copies) {
    rates.set(primaryDeviceId, (rates.get(primaryDeviceId) ?? 0) + limit / copies.length);
  }
  return new Map([...rates].map(([deviceId, rate]) => [deviceId, Math.floor(rate)]));
}

/** How a rebuild is, in the predecessor's words. */
export type RebuildState = "idle" | "in_progress" | "stalled" | "completed" | "failed";

/** `openCount`: copies that are wanted; `quietMs`: since the last progress; `ended`: some rebuild was finished before. */
export function rebuildStateOf(facts: {
  openCount: number;
  quietMs: number;
  held: boolean;
  poolFailed: boolean;
  ended: boolean;
}): RebuildState {
  if (facts.poolFailed && facts.openCount > 0) return "failed";
  if (facts.openCount > 0) return facts.held || facts.quietMs >= STALLED_AFTER_MS ? "stalled" : "in_progress";
  return facts.ended ? "completed" : "idle";
}

/** Bytes per second over the last {@linkcode RateMeter.WINDOW_MS}. */
export class RateMeter {
  static readonly WINDOW_MS = 10_000;
  readonly #samples: { readonly atMs: number; readonly bytes: number }[] = [];
  /** When anything was copied last; undefined before. */
  lastAtMs: number | undefined;

  add(bytes: number, atMs: number): void {
    this.lastAtMs = atMs;
    this.#samples.push({ atMs, bytes });
    this.#forget(atMs);
  }

  bytesPerSecond(nowMs: number): number {
    this.#forget(nowMs);
    const first = this.#samples[0];
    if (first === undefined) return 0;
    const bytes = this.#samples.reduce((sum, sample) => sum + sample.bytes, 0);
    return bytes * 1000 / Math.max(1_000, Math.min(RateMeter.WINDOW_MS, nowMs - first.atMs));
  }

  #forget(nowMs: number): void {
    while (this.#samples.length > 0 && nowMs - this.#samples[0]!.atMs > RateMeter.WINDOW_MS) this.#samples.shift();
  }
}
