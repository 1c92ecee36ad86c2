/**
 * The primary's end of a replication link: from one device of this SDS to one device of another, for all groups that they
 * share (replication design, section 3.3). One connection carries replication, a second one the pulses, so that these never
 * queue behind data.
 *
 *   down ── connect, handshake, link_hello answered ──► up ── connection lost ──► down, again after a short wait
 *
 * The link exists while it has targets. A target gets frames once its group is open on the present session; what it owes from
 * an earlier session is sent again then. A member that does not answer is reported to its groups, which have it removed.
 *
 * @module
 */
import type { PgConfig } from "@/shared/api/pg.ts";
import { sleep } from "@/shared/clock.ts";
import { errorOfWire, StorageError } from "@/shared/errors.ts";
import { type DeviceId, type Incarnation, sameIncarnation } from "@/shared/ids.ts";
import type { LinkAnswer, LinkRequest } from "@/shared/wire/control.ts";
import { LinkConnection } from "@/sds/replication/link_connection.ts";
import { LinkPulse } from "@/sds/replication/link_pulse.ts";
import type { PrimaryOperation } from "@/sds/replication/primary_operation.ts";
import type { Target } from "@/sds/replication/primary_role.ts";
import type { ReplicaDevice } from "@/sds/replication/replica_device.ts";

/** Pause between two attempts to connect. */
const RECONNECT_MS = 100;
/** Groups opened by one request. */
const OPEN_BATCH_MAX = 512;

/** A request of the link without its number. */
export type LinkRequestBody = LinkRequest extends infer Request
  ? Request extends LinkRequest ? Omit<Request, "requestId">
  : never
  : never;

/** One link. */
export class LinkOut {
  readonly device: ReplicaDevice;
  readonly remoteDeviceId: DeviceId;
  readonly #targets = new Set<Target>();
  readonly #pulse: LinkPulse;
  #connection: LinkConnection | undefined;
  /** Start of the member's process that answered link_hello. */
  #connectedTo: Incarnation | undefined;
  #session = 0;
  #running = false;
  #stopped = false;
  readonly #stop = new AbortController();
  /** Since when the link is down, on the monotonic clock; undefined while it is up. */
  #downSinceMs: number | undefined;
  /** True once a session was open. */
  #wasUp = false;
  readonly #toOpen = new Set<Target>();
  #openScheduled = false;

  constructor(device: ReplicaDevice, remoteDeviceId: DeviceId) {
    this.device = device;
    this.remoteDeviceId = remoteDeviceId;
    this.#pulse = new LinkPulse(this);
  }

  get up(): boolean {
    return this.#connection !== undefined;
  }

  get stopSignal(): AbortSignal {
    return this.#stop.signal;
  }

  get targets(): ReadonlySet<Target> {
    return this.#targets;
  }

  /** True while the last answered pulse's lease lasts. */
  leaseHolds(): boolean {
    return this.#pulse.leaseHolds();
  }

  addTarget(target: Target): void {
    this.#targets.add(target);
    this.#ensureRunning();
  }

  removeTarget(target: Target): void {
    this.#targets.delete(target);
    this.#toOpen.delete(target);
  }

  /** Opens the target's group on the session, under the group's present configuration; what it owes is sent after that. */
  requestOpen(target: Target): void {
    this.#toOpen.add(target);
    if (this.#openScheduled) return;
    this.#openScheduled = true;
    queueMicrotask(() => {
      this.#openScheduled = false;
      this.#openGroups();
    });
  }

  /** Forwards an operation; nothing is sent while the target is not open, since it is sent when it is. */
  sendOperation(operation: PrimaryOperation, target: Target): void {
    if (!target.open || this.#connection === undefined) return;
    this.#connection.sendOperation(operation, target);
  }

  /** Sends a control request. @throws {StorageError} the refusal; `unavailable` if the link is down or breaks. */
  request(body: LinkRequestBody): Promise<LinkAnswer> {
    if (this.#connection === undefined) {
      const { local, remote } = this.#names();
      throw new StorageError(
        "unavailable",
        `Cannot ask device ${remote} for ${body.kind}: the link from ${local} is down`,
      );
    }
    return this.#connection.request(body);
  }

  /** The connection for frames of a join; undefined while the link is down. */
  get connection(): LinkConnection | undefined {
    return this.#connection;
  }

  /** Sends a pulse. */
  beat(): void {
    this.#pulse.beat();
  }

  /** Looks for members that do not answer; gives how long to wait until the link has been down too long, Infinity if it is up or was. */
  checkSilence(): number {
    const nowMs = this.device.context.clock.monotonicMs();
    const { replicationTimeoutMs, linkRetryMs } = this.device.context.times;
    const downMs = this.#downSinceMs === undefined ? 0 : nowMs - this.#downSinceMs;
    const silentMs = this.#connection?.silentMs(nowMs) ?? 0;
    const pulseMs = this.#pulse.silentMs(nowMs);
    let reason: string | undefined;
    // A link that broke is open again at once or its end is gone. The first one waits for a process that may still be starting,
    // on a host where all start together: such a member is given the time of any other answer.
    const downMsMax = this.#wasUp ? linkRetryMs : replicationTimeoutMs;
    if (downMs > downMsMax) reason = `its link is down for ${Math.round(downMs)} ms`;
    else if (silentMs > replicationTimeoutMs) reason = `a write is unanswered for ${Math.round(silentMs)} ms`;
    else if (pulseMs > replicationTimeoutMs) reason = `no heartbeat was answered for ${Math.round(pulseMs)} ms`;
    if (reason === undefined) return this.#downSinceMs === undefined ? Infinity : downMsMax - downMs + 1;
    // What waits for an answer must not wait for ever: a flush, or a join's copy, which holds a chunk's lock.
    if (Math.max(silentMs, pulseMs) > replicationTimeoutMs) this.#connection?.close("the member does not answer");
    if (pulseMs > replicationTimeoutMs) this.#pulse.reconnectIfSilent(nowMs, replicationTimeoutMs);
    const asked = [...this.#targets].filter((target) => target.group.primary?.removeMember(target, reason));
    if (asked.length > 0) {
      this.device.context.log.warn("Asking to remove device {deviceId} from {count} groups: {reason}", {
        deviceId: this.remoteDeviceId,
        count: asked.length,
        reason,
      });
    }
    return Infinity;
  }

  /** The connection ended: groups are closed until the next session. */
  connectionLost(connection: LinkConnection, reason: string): void {
    if (this.#connection !== connection) return;
    this.#connection = undefined;
    this.#downSinceMs = this.device.context.clock.monotonicMs();
    for (const target of this.#targets) {
      target.open = false;
      target.join?.linkLost(reason);
    }
    const { local, remote } = this.#names();
    if (!this.#stopped) {
      this.device.context.log.warn("Replication link to device {to} lost: {reason}", {
        from: local,
        to: remote,
        reason,
      });
    }
  }

  /** An answer of a member that is not "ok". */
  operationFailed(operation: PrimaryOperation, options: { target: Target; status: number }): void {
    const { target, status } = options;
    const code = errorOfWire(status);
    if (code === "pool_full") return operation.vetoed(target);
    if (code === "stale_epoch") return this.device.configurationsChanged();
    if (code === "not_ready") {
      target.open = false;
      return this.requestOpen(target);
    }
    target.group.primary?.removeMember(target, `it answers a write with ${code}`);
  }

  /** Ends both connections. */
  stop(): void {
    this.#stopped = true;
    this.#stop.abort();
    this.#connection?.close("the primary stops");
    this.#pulse.stop();
  }

  /** The member grants its lease for the target's group from now on. */
  covers(target: Target): void {
    target.covered = true;
    target.coveredSinceMs = this.device.context.clock.monotonicMs();
  }

  /**
   * The answer to a pulse that was sent at `askedMs` says that the member does not cover this group, or came after the lease had
   * lapsed (`askedMs` is infinite): the group must be opened again. A joiner cannot be: its join is given up.
   */
  notCovered(target: Target, askedMs: number): void {
    if (!target.covered || askedMs <= target.coveredSinceMs) return;
    target.covered = false;
    if (target.join !== undefined) return target.join.memberSilent("the joiner does not cover the group any more");
    if (target.open) {
      target.open = false;
      this.requestOpen(target);
    }
  }

  #names() {
    return { local: this.device.deviceId, remote: this.remoteDeviceId };
  }

  #ensureRunning(): void {
    if (this.#running || this.#stopped) return;
    this.#running = true;
    this.#downSinceMs ??= this.device.context.clock.monotonicMs();
    this.#run();
    this.#pulse.start();
  }

  /** Connects again and again while somebody needs the link. */
  async #run(): Promise<void> {
    const { clock, log } = this.device.context;
    let told = false;
    while (!this.#stopped && this.#targets.size > 0) {
      try {
        await this.#connectOnce();
        told = false;
      } catch (error) {
        const { local, remote } = this.#names();
        if (!told && !this.#stopped) {
          log.warn("Cannot open a replication link to device {to}: {error}", { from: local, to: remote, error });
        }
        told = true;
      }
      if (!this.#stopped) await sleep(clock, RECONNECT_MS, this.#stop.signal);
    }
    this.#running = false;
    this.#pulse.stop();
    this.#downSinceMs = undefined;
  }

  /** One session, from the connection to its end. */
  async #connectOnce(): Promise<void> {
    const channel = await this.device.dialPeer("link", { deviceId: this.remoteDeviceId, signal: this.#stop.signal });
    const connection = new LinkConnection(this, channel);
    const session = ++this.#session;
    const member = this.device.listedIncarnation(this.remoteDeviceId);
    try {
      await connection.request({
        kind: "link_hello",
        linkSession: session,
        ...(member !== undefined && { toIncarnation: member }),
      } as LinkRequestBody);
    } catch (error) {
      channel.close("link_hello failed");
      throw error;
    }
    if (this.#stopped) return channel.close("the primary stops");
    this.#connection = connection;
    this.#connectedTo = member;
    this.#downSinceMs = undefined;
    this.#wasUp = true;
    for (const target of this.#targets) if (target.join === undefined) this.requestOpen(target);
    await connection.ended;
  }

  async #openGroups(): Promise<void> {
    const connection = this.#connection;
    if (connection === undefined) return;
    const targets = [...this.#toOpen].filter((target) => !this.#hasRestarted(target));
    this.#toOpen.clear();
    for (let start = 0; start < targets.length; start += OPEN_BATCH_MAX) {
      const batch = targets.slice(start, start + OPEN_BATCH_MAX);
      const asked = batch.map((target) => ({ target, config: target.group.primary?.config }));
      const configs = asked.flatMap(({ config }) => config ?? []);
      const { lapseCount } = this.#pulse;
      try {
        const answer = await connection.request({ kind: "open_pgs", configs });
        if (answer.kind === "pg_results") this.#opened(connection, { asked, answer, lapseCount });
      } catch (error) {
        const { local, remote } = this.#names();
        this.device.context.log.debug("Cannot open groups at device {to}: {error}", { from: local, to: remote, error });
        return;
      }
    }
  }

  /** True if the process that the group lists is gone: the one behind the link is a later start, which cannot be its member. */
  #hasRestarted(target: Target): boolean {
    const primary = target.group.primary;
    const listed = primary?.config.members.find(({ deviceId }) => deviceId === this.remoteDeviceId)?.incarnation;
    const isGone = this.device.context.guards.newStartLeaves && listed !== undefined &&
      this.#connectedTo !== undefined &&
      !sameIncarnation(listed, this.#connectedTo);
    if (isGone) primary?.removeMember(target, "its process was restarted");
    return isGone;
  }

  #opened(
    connection: LinkConnection,
    options: {
      asked: readonly { target: Target; config: PgConfig | undefined }[];
      answer: LinkAnswer & { kind: "pg_results" };
      /** That of the pulse when the request was sent. */
      lapseCount: number;
    },
  ): void {
    const results = new Map(options.answer.results.map((result) => [result.pgId, result]));
    for (const { target, config } of options.asked) {
      const primary = target.group.primary;
      const result = results.get(target.group.pgId);
      if (!this.#targets.has(target) || primary === undefined || connection !== this.#connection) continue;
      if (primary.config !== config || this.#pulse.lapseCount !== options.lapseCount) {
        this.requestOpen(target);
      } else if (result?.ok) {
        target.open = true;
        this.covers(target);
        for (const operation of [...primary.operations]) {
          if (operation.owes(target)) connection.sendOperation(operation, target);
        }
      } else {
        if (result?.config) this.device.adopt(result.config);
        this.#retryOpen(target);
      }
    }
  }

  #retryOpen(target: Target): void {
    this.device.context.clock.setTimer(RECONNECT_MS, () => {
      if (this.#targets.has(target) && !target.open) this.requestOpen(target);
    });
  }
}
