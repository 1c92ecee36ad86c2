/**
 * The member's end of replication links: one {@linkcode LinkIn} per pair of primary's device and own device, with the session
 * that counts (replication design, sections 3.3 and 3.4).
 *
 * A newer session stops the older one at once and is answered when the operations that the older one started have ended (I10).
 * Frames are taken in the order of the session, which with the locks keeps overlapping writes in the primary's order (I11).
 *
 * @module
 */
import { pgConfigIsSigned } from "@/shared/api/pg.ts";
import { assert, type ErrorCode, errorTraits, StorageError } from "@/shared/errors.ts";
import { type DeviceId, type Incarnation, type PgId, sameIncarnation } from "@/shared/ids.ts";
import type { Frame, FrameChannel, FrameHandler } from "@/shared/net/frame_channel.ts";
import { type LinkClient, type LinkRequest, linkRequestSchema, type PgEpoch } from "@/shared/wire/control.ts";
import { COMPACT_HEADER_BYTES, FRAME_KINDS, HEADER_FIELDS, REPLICATE_ACK_BYTES } from "@/shared/wire/header.ts";
import type { Group } from "@/sds/replication/group.ts";
import { JoiningCopy } from "@/sds/replication/join_in.ts";
import { takeMemberOperation } from "@/sds/replication/member_operation.ts";
import { repairForPrimary, type RepairRequest } from "@/sds/replication/repair_in.ts";
import type { ReplicaDevice } from "@/sds/replication/replica_device.ts";

/** What a member knows of one primary's device. */
export class LinkIn {
  readonly device: ReplicaDevice;
  readonly fromDeviceId: DeviceId;
  session: LinkSession | undefined;
  /** When the last pulse of this start of the primary's process came, monotonic ms. */
  #pulse: { readonly incarnation: Incarnation; readonly receivedMs: number } | undefined;

  constructor(device: ReplicaDevice, fromDeviceId: DeviceId) {
    this.device = device;
    this.fromDeviceId = fromDeviceId;
  }

  /** Notes a pulse and gives the groups led by that device that are not covered: its lease does not hold for them. */
  pulse(incarnation: Incarnation): PgId[] {
    this.#pulse = { incarnation, receivedMs: this.device.context.clock.monotonicMs() };
    const notCovered: PgId[] = [];
    for (const group of this.device.groups.values()) {
      const primary = group.config?.members[0];
      // Before its first configuration a restarted member does not know who leads: it covers nobody.
      const mayBeLed = primary === undefined || primary.deviceId === this.fromDeviceId;
      if (mayBeLed && !isCovered(group)) notCovered.push(group.pgId);
    }
    return notCovered;
  }

  /** When a pulse of `incarnation` last came; -Infinity if none did. */
  heardMs(incarnation: Incarnation): number {
    return this.#pulse !== undefined && sameIncarnation(this.#pulse.incarnation, incarnation)
      ? this.#pulse.receivedMs
      : -Infinity;
  }
}

/** True if this member lets the primary serve: the group is open on a session, or its join is at the end. */
function isCovered(group: Group): boolean {
  return group.secondary?.session !== undefined || group.joining?.grantsLease === true;
}

/** One connection of a link at the member. */
export class LinkSession implements FrameHandler {
  readonly device: ReplicaDevice;
  readonly channel: FrameChannel;
  readonly client: LinkClient;
  readonly #link: LinkIn;
  /** Number of the session; 0 until link_hello. */
  number = 0;
  /** True until a newer session came or the connection ended: frames are taken. */
  accepting = true;
  #olderEnded: Promise<void> | undefined;
  #runningCount = 0;
  #idleWaiters: (() => void)[] = [];
  #acks: number[] = [];
  #acksScheduled = false;

  constructor(link: LinkIn, options: { channel: FrameChannel; client: LinkClient }) {
    this.#link = link;
    this.device = link.device;
    this.channel = options.channel;
    this.client = options.client;
    this.channel.handle(this);
  }

  /** Operations of this session run, or wait for locks. */
  beginOperation(): void {
    this.#runningCount++;
  }

  endOperation(): void {
    if (--this.#runningCount > 0) return;
    for (const resolve of this.#idleWaiters.splice(0)) resolve();
  }

  idle(): Promise<void> {
    if (this.#runningCount === 0) return Promise.resolve();
    return new Promise((resolve) => this.#idleWaiters.push(resolve));
  }

  /** Resolves when nothing of this session runs, nor of those before it: it may have been replaced while it waited itself. */
  async drained(): Promise<void> {
    await this.#olderEnded;
    await this.idle();
  }

  /** No frame of this session starts an operation any more. */
  retire(reason: string): void {
    this.accepting = false;
    for (const group of this.device.groups.values()) {
      if (group.secondary?.session === this) group.secondary.session = undefined;
      if (group.joining?.session === this) group.joining = undefined;
    }
    this.channel.close(reason);
  }

  /** Queues the answer "applied"; those of one turn leave in one frame. */
  acknowledge(requestId: number): void {
    this.#acks.push(requestId);
    if (this.#acksScheduled) return;
    this.#acksScheduled = true;
    queueMicrotask(this.#sendAcks);
  }

  /** Answers an operation with a code, or "applied". */
  answer(requestId: number, code: ErrorCode | undefined): void {
    if (this.channel.closed) return;
    if (code === undefined) return this.acknowledge(requestId);
    const at = this.channel.beginFrame(FRAME_KINDS.answer, { requestId, payloadBytes: 0 });
    this.channel.send.view.setUint16(at + HEADER_FIELDS.status[0], errorTraits(code).wire);
  }

  onFrame(frame: Frame): void {
    const { header, headerAt } = frame;
    const kind = header.getUint8(headerAt);
    const requestId = header.getUint32(headerAt + HEADER_FIELDS.requestId[0]);
    const pgId = header.getUint32(headerAt + HEADER_FIELDS.pgId[0]) as PgId;
    const epoch = header.getUint32(headerAt + HEADER_FIELDS.epoch[0]);
    if (this.number === 0) throw new StorageError("bad_request", "Cannot take a frame before link_hello");
    const group = this.device.groups.get(pgId);
    if (kind === FRAME_KINDS.join_copy) {
      const joining = group?.joining;
      const { joinSessions } = this.device.context.guards;
      if (joining === undefined || (joinSessions && (joining.session !== this || joining.epoch !== epoch))) {
        return this.answer(requestId, "stale_session");
      }
      return joining.copy(frame);
    }
    const code = this.#admission(group, epoch);
    if (code !== undefined) return this.answer(requestId, code);
    const isNewest = this.#link.session === this || !this.device.context.guards.linkDrain;
    assert(isNewest, "I10: no operation of an older link session starts");
    takeMemberOperation().begin(this, { group: group!, frame });
  }

  onMessage(message: { readonly kind?: unknown }): void {
    const request = linkRequestSchema.safeParse(message);
    if (!request.success) {
      const issue = request.error.issues[0]!;
      throw new StorageError("bad_request", `Cannot take a link request: ${issue.path.join(".")}: ${issue.message}`);
    }
    this.#handle(request.data).catch((error) => {
      const code = error instanceof StorageError ? error.code : "internal";
      if (code === "internal") {
        this.device.context.log.error("A link request failed", { kind: request.data.kind, error });
      }
      this.#refuse(request.data.requestId, { code, message: error instanceof Error ? error.message : String(error) });
    });
  }

  onBatchEnd(): void {}

  onClosed(): void {
    this.accepting = false;
    if (this.#link.session === this) {
      this.device.context.log.debug("Replication link closed by the primary", {
        from: this.client.fromDeviceId,
        to: this.device.deviceId,
      });
    }
  }

  /** Why a replicated operation is not taken: it must be of this session, for a group open on it, under its epoch. */
  #admission(group: Group | undefined, epoch: number): ErrorCode | undefined {
    if (!this.accepting) return "stale_session";
    if (group === undefined) return "not_ready";
    if (group.joining !== undefined && group.joining.session === this) {
      return group.joining.epoch === epoch ? undefined : "stale_epoch";
    }
    if (!this.device.context.guards.replicationEpoch) return group.storage === undefined ? "not_ready" : undefined;
    if (epoch < group.epoch) return "stale_epoch";
    return group.secondary?.session === this && epoch === group.epoch ? undefined : "not_ready";
  }

  async #handle(request: LinkRequest): Promise<void> {
    const { requestId } = request;
    if (request.kind !== "link_hello" && (this.number === 0 || !this.accepting)) {
      throw new StorageError(
        "stale_session",
        `Cannot take ${request.kind}: the session is not open, or a newer one is`,
      );
    }
    switch (request.kind) {
      case "link_hello":
        await this.#hello(request);
        return this.channel.sendJson({ kind: "done", requestId });
      case "open_pgs":
        return this.channel.sendJson({ kind: "pg_results", requestId, results: await this.#open(request.configs) });
      case "close_pgs":
        for (const { pgId } of request.pgs) this.#close(pgId);
        return this.channel.sendJson({ kind: "done", requestId });
      case "release_pgs":
        for (const entry of request.pgs) this.#released(entry);
        return this.channel.sendJson({ kind: "done", requestId });
      case "sync":
        return this.channel.sendJson({ kind: "pg_results", requestId, results: await this.#sync(request.pgs) });
      case "clear_intents":
        this.#clearIntents(request);
        return this.channel.sendJson({ kind: "cleared", requestId });
      case "verify_blocks":
      case "fetch_block":
      case "mend_block":
        return this.channel.sendJson({ ...await this.#repair(request), requestId });
      default: {
        const answer = await this.#join(request);
        return this.channel.sendJson({ ...answer, requestId });
      }
    }
  }

  async #hello(request: LinkRequest & { kind: "link_hello" }): Promise<void> {
    const { device, client } = this;
    if (device.context.guards.newStartLeaves && !sameIncarnation(request.toIncarnation, device.incarnation)) {
      throw new StorageError("not_primary", `Cannot open a link to another start of device ${device.deviceId}`);
    }
    const older = this.#link.session;
    if (older !== undefined) {
      const same = sameIncarnation(older.client.fromIncarnation, client.fromIncarnation);
      const newer = same
        ? request.linkSession > older.number
        : client.fromIncarnation.counter > older.client.fromIncarnation.counter;
      if (!newer) throw new StorageError("stale_session", "Cannot open a link: a newer session of the pair is open");
    }
    this.number = request.linkSession;
    this.#link.session = this;
    if (!device.context.guards.linkDrain) return;
    older?.retire("a newer session of the pair opened");
    this.#olderEnded = older?.drained();
    await this.#olderEnded;
  }

  async #open(configs: (LinkRequest & { kind: "open_pgs" })["configs"]) {
    const { device } = this;
    for (const config of configs) {
      if (pgConfigIsSigned(config, device.context.keys.configKeyHex)) device.adopt(config);
    }
    await device.store.commitFull();
    return configs.map((config) => {
      const group = device.groups.get(config.pgId);
      const problem = this.#openProblem(group, config.epoch);
      if (problem === undefined) {
        group!.secondary!.session = this;
        group!.secondary!.sinceMs = device.context.clock.monotonicMs();
        return { pgId: config.pgId, ok: true, reason: "", config: null };
      }
      const newer = group?.config !== undefined && group.config.epoch > config.epoch ? group.config : null;
      return { pgId: config.pgId, ok: false, reason: problem, config: newer };
    });
  }

  /** Why the group cannot be opened for this primary under this epoch. */
  #openProblem(group: Group | undefined, epoch: number): string | undefined {
    if (!this.accepting) return "a newer session opened";
    if (group?.config === undefined) return "no such group here";
    if (group.epoch !== epoch || group.config.epoch !== epoch) return `the group is at epoch ${group.epoch} here`;
    const primary = group.config.members[0]!;
    const isCaller = primary.deviceId === this.client.fromDeviceId &&
      sameIncarnation(primary.incarnation, this.client.fromIncarnation);
    if (!isCaller) return "the caller is not the primary";
    if (group.role !== "secondary") return "this device is not a member under its present start";
    if (group.secondary!.takeOverPending) return "a takeover is pending";
    return undefined;
  }

  #close(pgId: PgId): void {
    const secondary = this.device.groups.get(pgId)?.secondary;
    if (secondary?.session === this) secondary.session = undefined;
  }

  #released(entry: PgEpoch): void {
    const group = this.device.groups.get(entry.pgId);
    if (group?.secondary?.session !== this || group.epoch !== entry.epoch) return;
    group.secondary.session = undefined;
    group.secondary.released = true;
  }

  async #sync(pgs: readonly PgEpoch[]) {
    const code = pgs.map(({ pgId, epoch }) => this.#admission(this.device.groups.get(pgId), epoch));
    await this.device.store.sync();
    return pgs.map(({ pgId }, index) => ({
      pgId,
      ok: code[index] === undefined,
      reason: code[index] ?? "",
      config: null,
    }));
  }

  #clearIntents(request: LinkRequest & { kind: "clear_intents" }): void {
    const group = this.device.groups.get(request.pgId);
    if (group?.secondary?.session !== this || group.epoch !== request.epoch) return;
    const { clearNumber } = this.device.context.guards;
    const clearable = request.regions.filter(([region, number]) =>
      !clearNumber || (group.appliedWrites.get(region) ?? 0) <= number
    );
    this.device.store.clearResync(group.storage!, clearable.map(([region]) => region));
  }

  async #repair(request: RepairRequest): Promise<object> {
    const group = this.device.groups.get(request.pgId);
    const code = this.#admission(group, request.epoch) ?? (group?.secondary === undefined ? "not_ready" : undefined);
    if (code !== undefined) {
      throw new StorageError(code, `Cannot take ${request.kind} of group ${request.pgId}: ${code}`);
    }
    this.beginOperation();
    group!.beginOperation();
    try {
      return await repairForPrimary(group!, request);
    } finally {
      group!.endOperation();
      this.endOperation();
    }
  }

  async #join(request: LinkRequest & { kind: `join_${string}` }): Promise<object> {
    const group = this.device.groupFor(request.pgId);
    if (request.kind === "join_begin") return await JoiningCopy.begin(this, { group, request });
    const joining = group.joining;
    const isCurrent = joining?.session === this && joining.epoch === request.epoch &&
      joining.joinSession === request.joinSession;
    if (joining === undefined || !isCurrent) {
      throw new StorageError("stale_session", `Cannot take ${request.kind}: group ${request.pgId} is not joining here`);
    }
    return await joining.handle(request);
  }

  #refuse(requestId: number, refusal: { code: string; message: string }): void {
    this.channel.sendJson({ kind: "refused", requestId, ...refusal });
  }

  readonly #sendAcks = (): void => {
    this.#acksScheduled = false;
    const acks = this.#acks;
    if (!this.channel.closed && acks.length > 0) {
      const payloadBytes = acks.length * REPLICATE_ACK_BYTES;
      const at = this.channel.beginFrame(FRAME_KINDS.replicate_acks, { requestId: 0, payloadBytes });
      const { view } = this.channel.send;
      let to = at + COMPACT_HEADER_BYTES;
      for (let index = 0; index < acks.length; index++, to += 4) view.setUint32(to, acks[index]!);
    }
    acks.length = 0;
  };
}
