/**
 * Everything of replication that belongs to one device: its groups, locks, links in both directions, and the timers that judge
 * leases, grace and silence. The store beneath knows nothing of other machines; what is above knows nothing of files.
 *
 * @module
 */
import { type PgChangeAnswer, type PgChangeCall, type PgConfig, pgConfigIsSigned } from "@/shared/api/pg.ts";
import type { SdsHeartbeatCall } from "@/shared/api/sds.ts";
import { every, sleep, type Timer } from "@/shared/clock.ts";
import { COPIES } from "@/shared/constants.ts";
import { StorageError } from "@/shared/errors.ts";
import type { DeviceId, Incarnation, PgId, VtreeId } from "@/shared/ids.ts";
import { FrameChannel } from "@/shared/net/frame_channel.ts";
import { openAsClient } from "@/shared/net/handshake.ts";
import { baseOf, regionOf } from "@/shared/placement.ts";
import type { PgEpoch } from "@/shared/wire/control.ts";
import type { SdsContext } from "@/sds/context.ts";
import type { BlockRead } from "@/sds/device/block_io.ts";
import { type Chunk, type ChunkId, chunkKey } from "@/sds/device/chunk.ts";
import type { Device } from "@/sds/device/device.ts";
import { repairCountsOf } from "@/sds/replication/block_repair.ts";
import { ChangeAgent } from "@/sds/replication/change_agent.ts";
import { ChunkLocks } from "@/sds/replication/chunk_locks.ts";
import { CopyReports } from "@/sds/replication/copy_reports.ts";
import { Group } from "@/sds/replication/group.ts";
import { clearIntents } from "@/sds/replication/intent_clearing.ts";
import { Grace } from "@/sds/replication/grace.ts";
import { HandOvers } from "@/sds/replication/hand_overs.ts";
import { JoinSet } from "@/sds/replication/join_set.ts";
import { LinkIn } from "@/sds/replication/link_in.ts";
import { LinkOut } from "@/sds/replication/link_out.ts";
import { RateBudget } from "@/sds/replication/rate_budget.ts";
import { Scrub } from "@/sds/replication/scrub.ts";

/** A beat that comes this late shows that the process was stalled: sockets are read before grace is judged (3.3). */
const STALL_MS = 500;
/** Pause before members are told again that a primary has stopped. */
const RELEASE_RETRY_MS = 500;
/** Frames of a link wait at most this long for a peer that does not read. */
const LINK_QUEUED_BYTES_MAX = 256 * 1024 * 1024;

/** What a device needs from the process around it. */
export interface ReplicaHost {
  /** Calls `POST /internal/v1/pg/change`. Rejects without an answer. */
  changePgs(call: PgChangeCall): Promise<PgChangeAnswer>;
  /** Configurations have changed at the MDM, or a peer knows newer ones: beat now. */
  configurationsChanged(): void;
  /** True while the MDM answers and this SDS does not stop: a takeover is only asked for then. */
  mdmIsAlive(): boolean;
  /** What this SDS has served clients since it started. */
  clientOperations(): number;
}

/** One device with its groups. */
export class ReplicaDevice {
  readonly context: SdsContext;
  readonly store: Device;
  readonly groups = new Map<PgId, Group>();
  readonly locks = new ChunkLocks();
  readonly changes: ChangeAgent;
  /** Good blocks in which copies differed since this start: must not happen (I14). */
  differingBlockCount = 0;
  readonly rebuildBudget: RateBudget;
  readonly #host: ReplicaHost;
  readonly #linksOut = new Map<DeviceId, LinkOut>();
  readonly #linksIn = new Map<DeviceId, LinkIn>();
  readonly #bases = new Map<VtreeId, number>();
  readonly #timers: Timer[] = [];
  /** Set when silence or grace ends before the next beat. */
  #judgement: Timer | undefined;
  #lastJudgedMs: number;
  readonly joins: JoinSet;
  readonly handOvers: HandOvers;
  readonly scrub: Scrub;
  readonly copies: CopyReports = new CopyReports(this);
  readonly #grace: Grace;
  #stopped = false;

  constructor(store: Device, options: { context: SdsContext; host: ReplicaHost }) {
    const { context, host } = options;
    this.store = store;
    this.context = context;
    this.#host = host;
    this.changes = new ChangeAgent(this, (call) => host.changePgs(call));
    this.joins = new JoinSet(this);
    this.handOvers = new HandOvers(this);
    this.#grace = new Grace(this, {
      mdmIsAlive: () => !this.#stopped && store.failed === undefined && host.mdmIsAlive(),
    });
    this.scrub = new Scrub(this, { settings: context.scrub, clientOperations: () => host.clientOperations() });
    this.rebuildBudget = new RateBudget(context.clock, context.rebuildBytesPerSecond);
    this.#lastJudgedMs = context.clock.monotonicMs();
    for (const pg of store.pgs()) this.groups.set(pg.pgId, new Group(this, pg.pgId));
    this.#timers.push(context.heart.onBeat(() => this.#beat()));
    this.#timers.push(
      every(context.clock, context.times.intentClearMs, () => this.clearIntents(context.regionsKeptSet)),
    );
    store.onFailed((failure) => this.#failed(failure));
  }

  get deviceId(): DeviceId {
    return this.store.deviceId;
  }

  get incarnation(): Incarnation {
    return this.store.incarnation;
  }

  /** Groups served here as primary now. */
  get servingCount(): number {
    let count = 0;
    for (const group of this.groups.values()) if (group.primary?.mayServe()) count++;
    return count;
  }

  groupFor(pgId: PgId): Group {
    let group = this.groups.get(pgId);
    if (group === undefined) this.groups.set(pgId, group = new Group(this, pgId));
    return group;
  }

  /** Adopts a configuration that the MDM signed, if it concerns this device and is newer. */
  adopt(config: PgConfig): void {
    if (this.#stopped || this.store.failed !== undefined) return;
    const concerns = this.groups.has(config.pgId) || config.members.some((member) => member.deviceId === this.deviceId);
    if (!concerns) return;
    if (!pgConfigIsSigned(config, this.context.keys.configKeyHex)) {
      return this.context.log.warn("Refusing a configuration that the MDM did not sign", { pgId: config.pgId });
    }
    const group = this.groupFor(config.pgId);
    try {
      group.adopt(config);
    } catch (error) {
      // A device that failed has said so; otherwise an invariant is broken. Other groups and the talk with the MDM go on.
      this.operationFailed(group, error);
    }
  }

  /** Region of a chunk within its group. */
  regionOf(group: Group, chunk: { readonly vtreeId: VtreeId; readonly chunkIndex: number }): number {
    let base = this.#bases.get(chunk.vtreeId);
    if (base === undefined) this.#bases.set(chunk.vtreeId, base = baseOf(chunk.vtreeId));
    return regionOf(base, chunk.chunkIndex, group.config!.pgCount);
  }

  linkTo(deviceId: DeviceId): LinkOut {
    let link = this.#linksOut.get(deviceId);
    if (link === undefined) this.#linksOut.set(deviceId, link = new LinkOut(this, deviceId));
    return link;
  }

  /** True while the link over which this device replicates to another is open. */
  hasLinkTo(deviceId: DeviceId): boolean {
    return this.#linksOut.get(deviceId)?.up ?? false;
  }

  linkFrom(deviceId: DeviceId): LinkIn {
    let link = this.#linksIn.get(deviceId);
    if (link === undefined) this.#linksIn.set(deviceId, link = new LinkIn(this, deviceId));
    return link;
  }

  /** The start of another device's process that a group lists or a join names. */
  listedIncarnation(deviceId: DeviceId): Incarnation | undefined {
    let newest: Incarnation | undefined;
    const consider = (incarnation: Incarnation) => {
      if (newest === undefined || incarnation.counter > newest.counter) newest = incarnation;
    };
    for (const { primary } of this.groups.values()) {
      if (primary === undefined) continue;
      for (const member of primary.config.members) if (member.deviceId === deviceId) consider(member.incarnation);
      if (primary.join?.deviceId === deviceId) consider(primary.join.task.incarnation);
    }
    return newest;
  }

  /** Opens an authenticated connection to the SDS that holds `deviceId`. @throws {StorageError} when that fails. */
  async dialPeer(
    role: "link" | "pulse",
    options: { deviceId: DeviceId; signal: AbortSignal },
  ): Promise<FrameChannel> {
    const { clock, random, transport, buffers, peers, keys } = this.context;
    const peer = peers.ofDevice(options.deviceId);
    if (peer === undefined || keys.sdsId === undefined) {
      throw new StorageError(
        "unavailable",
        `Cannot reach device ${options.deviceId}: the MDM has not told where it is`,
      );
    }
    const connection = await transport.connect({ hostname: peer.host, port: peer.dataPort });
    const channel = new FrameChannel(connection, {
      buffers,
      queuedBytesMax: LINK_QUEUED_BYTES_MAX,
      onFault: (error) => this.context.log.error("A replication link broke an invariant: {error}", { error }),
    });
    const abort = () => channel.close("the link stops");
    options.signal.addEventListener("abort", abort, { once: true });
    channel.run().finally(() => options.signal.removeEventListener("abort", abort));
    if (options.signal.aborted) abort();
    const client = {
      fromSdsId: keys.sdsId,
      fromDeviceId: this.deviceId,
      fromIncarnation: this.incarnation,
      toDeviceId: options.deviceId,
    };
    await openAsClient(channel, {
      clock,
      random,
      identity: { role, client },
      keyHex: peer.linkKeyHex,
      serverSdsId: peer.sdsId,
      compact: true,
    });
    return channel;
  }

  configurationsChanged(): void {
    this.#host.configurationsChanged();
  }

  /** Resolves when data of a region may be written. @throws {StorageError} device_failed */
  intent(group: Group, region: number): Promise<void> {
    if (group.storage!.hasIntent(region)) return Promise.resolve();
    return new Promise((resolve, reject) => {
      this.store.setIntent(group.storage!, region, (code) => code === undefined ? resolve() : reject(failure(code)));
    });
  }

  /** The chunk, made if it is not there, waiting for a slot. @throws {StorageError} pool_full, device_failed */
  async ensureChunk(group: Group, id: ChunkId): Promise<Chunk> {
    const key = chunkKey(id.nodeId, id.chunkIndex);
    while (true) {
      const chunk = this.store.chunk(group.storage!, key) ?? this.store.createChunk(group.storage!, id);
      if (chunk !== undefined) return chunk;
      await new Promise<void>((resolve, reject) => {
        this.store.whenSlotReady((code) => code === undefined ? resolve() : reject(failure(code)));
      });
    }
  }

  /** Resolves when the rows changed in this turn are committed. @throws {StorageError} device_failed */
  committed(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.store.afterCommit((code) => code === undefined ? resolve() : reject(failure(code)));
    });
  }

  /** Reads and verifies blocks. @throws {StorageError} checksum_mismatch, io_error, device_failed */
  readVerified(chunk: Chunk, read: BlockRead): Promise<void> {
    return new Promise((resolve, reject) => {
      this.store.readBlocks(chunk, read, (code) => code === undefined ? resolve() : reject(failure(code)));
    });
  }

  /** An operation threw. A device that failed has told its groups already; anything else is a broken invariant. */
  operationFailed(group: Group, error: unknown): void {
    if (error instanceof StorageError) return;
    this.context.log.error("An operation broke an invariant, group {pgId} is not served from here any more: {error}", {
      pgId: group.pgId,
      error,
    });
    this.release([group]);
  }

  /** A configuration lists this device, which has no usable copy, and not a fresh one: the copy failed (3.2). */
  reportMissingRow(group: Group): void {
    this.context.log.error("This device is listed as a member of group {pgId} and has no complete copy of it", {
      pgId: group.pgId,
      epoch: group.config?.epoch,
      hasRow: group.storage !== undefined,
    });
  }

  /** The MDM's word that the process behind a primary is gone: its secondaries need no grace (3.3, fast path). */
  peerDead(dead: { readonly deviceId: DeviceId; readonly incarnation: Incarnation }): void {
    this.#grace.peerDead(dead);
  }

  /** What a heartbeat says of this device. */
  heartbeat(options: { allRows: boolean }): SdsHeartbeatCall["devices"][number] {
    const totals = this.store.totals();
    const repairs = repairCountsOf(this, totals);
    return {
      deviceId: this.deviceId,
      incarnation: this.incarnation,
      failed: this.store.failed !== undefined,
      usedBytes: totals.usedBytes,
      capacityBytes: totals.capacityBytes,
      rows: this.copies.rows({ all: options.allRows }),
      ...(this.copies.droppedPgs.length > 0 && { droppedPgs: [...this.copies.droppedPgs] }),
      servingCount: this.servingCount,
      ...(Object.values(repairs).some((count) => count > 0) && { repairs }),
    };
  }

  /** Syncs and clears what is not dirty any more, before a clean stop; a device that has failed is left as it is. */
  async settle(): Promise<void> {
    try {
      await this.store.settle();
    } catch (error) {
      this.context.log.debug("Device {deviceId} does not settle: {error}", { deviceId: this.deviceId, error });
    }
  }

  /** One round of clearing intents; what fails is tried in the next. */
  async clearIntents(keepCount: number): Promise<void> {
    if (this.#stopped) return;
    try {
      await clearIntents(this, { copies: COPIES, keepCount });
    } catch (error) {
      this.context.log.debug("A round of clearing intents was cut short", { error });
    }
  }

  /**
   * Stops serving groups and tells their members that it has for ever under these epochs, so that they need no grace. Resolves
   * when all links were tried. A link that is down says it by its silence.
   */
  async release(groups: Iterable<Group>): Promise<void> {
    const released = new Map<LinkOut, PgEpoch[]>();
    for (const group of groups) {
      const role = group.primary;
      for (const target of role?.targets ?? []) {
        if (target.join !== undefined) continue;
        const list = released.get(target.link) ?? [];
        list.push({ pgId: group.pgId, epoch: role!.config.epoch });
        released.set(target.link, list);
      }
      group.stop();
    }
    await Promise.all([...released].map(([link, pgs]) => this.#releaseOn(link, pgs)));
  }

  /** Says it until it is heard: pulses for other groups may go on, and would keep the members waiting. */
  async #releaseOn(link: LinkOut, pgs: PgEpoch[]): Promise<void> {
    while (link.up && !this.#stopped) {
      try {
        await link.request({ kind: "release_pgs", pgs });
        return;
      } catch (error) {
        this.context.log.debug("Cannot release groups yet: {error}", { error });
        await sleep(this.context.clock, RELEASE_RETRY_MS);
      }
    }
  }

  /** Closes every link, ends every role, and waits for what was started. */
  async stop(): Promise<void> {
    this.#stopped = true;
    for (const timer of this.#timers) timer.cancel();
    this.handOvers.stop();
    this.#judgement?.cancel();
    this.changes.stop();
    const scrubbed = this.scrub.stop();
    for (const group of this.groups.values()) group.stop();
    for (const link of this.#linksOut.values()) link.stop();
    for (const link of this.#linksIn.values()) link.session?.retire("this SDS stops");
    await Promise.all([scrubbed, ...[...this.groups.values()].map((group) => group.idle())]);
  }

  #failed(failure: StorageError): void {
    this.context.log.error("Device {deviceId} failed, its data never serves again: {error}", {
      deviceId: this.deviceId,
      error: failure,
    });
    const left = [...this.groups.values()].flatMap(({ pgId, primary }) => {
      const { epoch, members } = primary?.config ?? {};
      const heir = members?.[1];
      return epoch === undefined || heir === undefined ? [] : [{ pgId, epoch, deviceId: heir.deviceId }];
    });
    for (const group of this.groups.values()) group.stop();
    for (const link of this.#linksOut.values()) link.stop();
    for (const link of this.#linksIn.values()) link.session?.retire("the device failed");
    this.handOvers.leaveAll(left);
    this.#host.configurationsChanged();
  }

  #beat(): void {
    for (const link of this.#linksOut.values()) link.beat();
    this.#judge();
  }

  /** Looks for silent members and primaries; when a silence would end before the next beat, once more just then. */
  #judge(): void {
    const { clock, heart } = this.context;
    const nowMs = clock.monotonicMs();
    const stalled = nowMs - this.#lastJudgedMs > heart.intervalMs + STALL_MS;
    this.#lastJudgedMs = nowMs;
    this.#judgement?.cancel();
    if (stalled || this.#stopped) return;
    const silences = [...this.#linksOut.values()].map((link) => link.checkSilence());
    const inMs = Math.min(this.#grace.judge(this.groups.values()), ...silences);
    if (inMs < heart.intervalMs) this.#judgement = clock.setTimer(Math.ceil(inMs), () => this.#judge());
  }
}

function failure(code: "device_failed" | "pool_full" | "io_error" | "checksum_mismatch" | string): StorageError {
  const known = code === "pool_full" || code === "io_error" || code === "checksum_mismatch" ? code : "device_failed";
  return new StorageError(known, `The device answers ${code}`);
}
