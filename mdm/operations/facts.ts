/**
 * What the pure decisions ask for, read from database and memory at one instant. A `Facts` is made for one synchronous stretch
 * and thrown away: it remembers what it read.
 *
 * @module
 */
import type { MdmContext } from "@/mdm/context.ts";
import type { PgServer } from "@/mdm/core/health.ts";
import { JOINER_HEARD_BEATS } from "@/mdm/core/joins.ts";
import type { ChangeFacts } from "@/mdm/core/pg_changes.ts";
import { counterValue } from "@/mdm/store/cluster_config.ts";
import { deviceById, type DeviceRow } from "@/mdm/store/devices.ts";
import { listFaultSets } from "@/mdm/store/fault_sets.ts";
import { sdsById } from "@/mdm/store/sds.ts";
import type { PgMember } from "@/shared/api/pg.ts";
import { type DeviceId, type Incarnation, type ProtectionDomainId, sameIncarnation } from "@/shared/ids.ts";

/** A takeover that is not done this long after grace is not to be counted on. In ms. */
const TAKE_OVER_MARGIN_MS = 2_000;

export class Facts implements ChangeFacts {
  readonly mdmTerm: number;
  /** MDM time, in ms. */
  readonly nowMs: number;
  readonly #context: MdmContext;
  readonly #devices = new Map<DeviceId, DeviceRow | undefined>();
  readonly #monotonicMs: number;
  #domainsWithFaultSets: ReadonlySet<ProtectionDomainId> | undefined;
  #mappingVersion: number | undefined;

  constructor(context: MdmContext) {
    this.#context = context;
    this.mdmTerm = context.mdmTerm;
    this.nowMs = context.time.nowMs();
    this.#monotonicMs = context.clock.monotonicMs();
  }

  device(deviceId: DeviceId): DeviceRow | undefined {
    if (!this.#devices.has(deviceId)) this.#devices.set(deviceId, deviceById(this.#context.db, deviceId));
    return this.#devices.get(deviceId);
  }

  registeredIncarnation(deviceId: DeviceId): Incarnation | undefined {
    return this.device(deviceId)?.start?.incarnation;
  }

  hasFailed(deviceId: DeviceId): boolean {
    return this.device(deviceId)?.state === "failed";
  }

  memberOf(deviceId: DeviceId): PgMember | undefined {
    const device = this.device(deviceId);
    if (device?.start === undefined || device.state !== "active") return undefined;
    const { incarnation, bootId } = device.start;
    return { deviceId, sdsId: device.sdsId, incarnation, bootId };
  }

  hasAcknowledgedMappings(deviceId: DeviceId): boolean {
    const device = this.device(deviceId);
    this.#mappingVersion ??= counterValue(this.#context.db, "mapping_version");
    return device !== undefined && this.#context.live.sds(device.sdsId).mappingVersion >= this.#mappingVersion;
  }

  /** Fault set if the protection domain has fault sets and the SDS is in one, else the SDS itself. */
  failureUnit(deviceId: DeviceId): string {
    const device = this.device(deviceId);
    return device === undefined ? `device:${deviceId}` : this.unitOf(device);
  }

  unitOf(device: DeviceRow): string {
    this.#domainsWithFaultSets ??= new Set(listFaultSets(this.#context.db).map((faultSet) => faultSet.domainId));
    const domainId = sdsById(this.#context.db, device.sdsId)?.domainId;
    const usesFaultSets = domainId !== undefined && this.#domainsWithFaultSets.has(domainId);
    return usesFaultSets && device.faultSetId !== null ? `fault-set:${device.faultSetId}` : `sds:${device.sdsId}`;
  }

  /** Time since the device's newest start was heard, in ms. */
  silentMs(device: DeviceRow): number {
    if (device.start === undefined) return Number.POSITIVE_INFINITY;
    return this.#context.live.silentMs(device.deviceId, {
      incarnation: device.start.incarnation,
      nowMs: this.#monotonicMs,
    });
  }

  /** True if the device serves or could: active, its newest start registered with this MDM and heard lately. */
  isLive(device: DeviceRow): boolean {
    return device.state === "active" && this.#context.live.device(device.deviceId).registeredAtMs !== undefined &&
      this.silentMs(device) < this.#context.options.times.memberHeardMs;
  }

  /** Who serves a group of these members, the primary first. */
  serverOf(members: readonly Pick<PgMember, "deviceId" | "incarnation">[]): PgServer {
    const [primary, ...others] = members;
    if (primary === undefined) return "nobody";
    if (this.#isHeard(primary)) return "primary";
    const { memberHeardMs, graceMs } = this.#context.options.times;
    const device = this.device(primary.deviceId);
    const listedStart = device?.start !== undefined && sameIncarnation(device.start.incarnation, primary.incarnation);
    // A start that was replaced is over since the newer one registered.
    const unservedMs = device === undefined
      ? Number.POSITIVE_INFINITY
      : listedStart
      ? this.silentMs(device) - memberHeardMs
      : this.#monotonicMs - (this.#context.live.device(device.deviceId).registeredAtMs ?? Number.NEGATIVE_INFINITY);
    return unservedMs < graceMs + TAKE_OVER_MARGIN_MS && others.some((member) => this.#isHeard(member))
      ? "heir"
      : "nobody";
  }

  /** True if the member was heard lately under the start that its group lists. */
  #isHeard(member: Pick<PgMember, "deviceId" | "incarnation">): boolean {
    const device = this.device(member.deviceId);
    return device?.start !== undefined && sameIncarnation(device.start.incarnation, member.incarnation) &&
      this.isLive(device);
  }

  /** True if a copy on the device may be begun now: a process that has died stays live for a while. */
  mayJoin(device: DeviceRow): boolean {
    return this.isUsable(device) &&
      this.silentMs(device) < JOINER_HEARD_BEATS * this.#context.options.times.sdsHeartbeatMs;
  }

  /** True if the device may hold copies that are made now. */
  isUsable(device: DeviceRow): boolean {
    return this.isLive(device) && !this.#context.live.sds(device.sdsId).stopping;
  }
}
