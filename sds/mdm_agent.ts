/**
 * The SDS's talk with the MDM: enrolment, registration of this start, heartbeats, configurations, and what follows from the
 * answers (`shared/api/sds.ts`). One beat is under way at a time; a notice makes the next one come at once.
 *
 *   enrol ─► register ─► beat each second ─┬─► `registered: false` ─► register again
 *                                          └─► a new device was assigned ─► format it, register again
 *
 * @module
 */
import type { z } from "zod";
import { type PgChangeAnswer, pgChangeAnswerSchema, type PgChangeCall } from "@/shared/api/pg.ts";
import {
  type AssignedDevice,
  type IoCounts,
  sdsConfigsAnswerSchema,
  sdsHeartbeatAnswerSchema,
  type SdsHeartbeatMessage,
  sdsRegisterAnswerSchema,
  type SdsRegisterCall,
} from "@/shared/api/sds.ts";
import { sleep } from "@/shared/clock.ts";
import { StorageError } from "@/shared/errors.ts";
import type { NodeClient } from "@/shared/node_client.ts";
import type { SdsContext } from "@/sds/context.ts";
import type { MappingTable } from "@/sds/data/handles.ts";
import type { TokenUses } from "@/sds/data/token_uses.ts";
import type { DeviceSet } from "@/sds/device_set.ts";
import type { NodeDeletions } from "@/sds/node_deletions.ts";
import { NodeUsageReport } from "@/sds/node_usage.ts";

/** Pause after a call that failed. */
const RETRY_MS = 500;
/** Time between two beats of a process that stops and is still needed. */
const STOP_BEAT_MS = 100;

/** What the agent acts on. */
export interface MdmAgentOptions {
  readonly context: SdsContext;
  readonly client: NodeClient;
  readonly devices: DeviceSet;
  readonly mappings: MappingTable;
  readonly deletions: NodeDeletions;
  readonly tokenUses: TokenUses;
  /** Totals per volume and SDC since the process started. */
  ioCounts(): IoCounts[];
  served(): { readonly operations: number; readonly timeMs: number };
  /** Devices that were added here: the MDM takes over those that it does not know. */
  offeredDevices(): NonNullable<SdsRegisterCall["offeredDevices"]>;
  /** Token keys or mapping generations changed: handles that are no longer valid are dropped. */
  mappingsChanged(): void;
  /** Called once, when the first registration succeeded. */
  registered(): void;
}

/** Keeps this SDS in touch with the MDM. */
export class MdmAgent {
  readonly #options: MdmAgentOptions;
  readonly #stop = new AbortController();
  readonly #usage: NodeUsageReport;
  #wake: (() => void) | undefined;
  #wakePending = false;
  #configVersion = 0;
  #sequence = 0;
  #isRegistered = false;
  #allRows = true;
  #running: Promise<void> | undefined;
  mdmTerm = 0;
  /** Set while the process stops cleanly; heartbeats tell the MDM. */
  stopping = false;
  /** No group needs this process any more. */
  readonly #mayStop = Promise.withResolvers<void>();
  #isNeeded = true;

  constructor(options: MdmAgentOptions) {
    this.#options = options;
    const { devices } = options;
    this.#usage = new NodeUsageReport({ mark: () => devices.usageMark(), read: () => devices.nodeUsage() });
  }

  start(): void {
    this.#running = this.#run();
  }

  /** True while the MDM answers. */
  get mdmIsAlive(): boolean {
    const { context } = this.#options;
    return this.#isRegistered &&
      context.mdmTime.silentMs(context.clock.monotonicMs()) < 3 * context.times.sdsHeartbeatMs;
  }

  get lastAnsweredMs(): number {
    const { context } = this.#options;
    return context.mdmTime.silentMs(context.clock.monotonicMs());
  }

  get isRegistered(): boolean {
    return this.#isRegistered;
  }

  /** Beats now. */
  wake(): void {
    this.#wakePending = true;
    this.#wake?.();
  }

  /** Registers again at the next turn: what is offered has changed. */
  registerAgain(): void {
    this.#isRegistered = false;
    this.wake();
  }

  /** Takes a command's term. @throws {StorageError} stale_session for one of an MDM that was replaced. */
  requireTerm(mdmTerm: number): void {
    if (mdmTerm < this.mdmTerm) {
      throw new StorageError(
        "stale_session",
        `Cannot obey term ${mdmTerm}: this SDS has heard of term ${this.mdmTerm}`,
      );
    }
    this.mdmTerm = mdmTerm;
  }

  /** `POST /internal/v1/pg/change`. @throws {StorageError} without an answer. */
  async changePgs(call: PgChangeCall): Promise<PgChangeAnswer> {
    return await this.#post("/internal/v1/pg/change", call, pgChangeAnswerSchema);
  }

  /** The MDM has others serve and hold what this process did. Resolves when none needs it any more, at once without an MDM. */
  leave(): Promise<void> {
    this.stopping = true;
    this.wake();
    return this.mdmIsAlive ? this.#mayStop.promise : Promise.resolve();
  }

  /** Ends the loop. */
  async stop(): Promise<void> {
    this.#stop.abort();
    this.#wake?.();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { context } = this.#options;
    let told = false;
    while (!this.#stop.signal.aborted) {
      try {
        if (!this.#isRegistered) await this.#register();
        await this.#beat();
        told = false;
        await this.#pause(this.stopping && this.#isNeeded ? STOP_BEAT_MS : context.times.sdsHeartbeatMs);
      } catch (error) {
        if (this.#stop.signal.aborted) return;
        if (!told) context.log.warn("Cannot talk to the MDM: {error}", { error });
        told = true;
        await sleep(context.clock, RETRY_MS, this.#stop.signal);
      }
    }
  }

  /** Waits for the beat of the process that is nearest to `delayMs` from now, or until somebody wakes us. */
  async #pause(delayMs: number): Promise<void> {
    const { clock, heart } = this.#options.context;
    if (!this.#wakePending) {
      const woken = Promise.withResolvers<void>();
      this.#wake = woken.resolve;
      const dueMs = clock.monotonicMs() + delayMs - heart.intervalMs / 2;
      const beat = heart.onBeat(() => {
        if (clock.monotonicMs() >= dueMs) woken.resolve();
      });
      await woken.promise;
      beat.cancel();
      this.#wake = undefined;
    }
    this.#wakePending = false;
  }

  async #register(): Promise<void> {
    const { context, client, devices, mappings } = this.#options;
    await client.enrol();
    context.keys.nodeKeyHex = client.nodeKeyHex ?? "";
    const sentMs = context.clock.monotonicMs();
    const offeredDevices = this.#options.offeredDevices();
    const answer = await this.#post("/internal/v1/sds/register", {
      bootId: context.bootId,
      hostId: context.hostId,
      devices: devices.registration(),
      ...(offeredDevices.length > 0 && { offeredDevices }),
    }, sdsRegisterAnswerSchema);
    this.#observe(sentMs, answer);
    context.keys.sdsId = answer.sdsId ?? undefined;
    context.keys.configKeyHex = answer.configKeyHex;
    context.keys.clusterId = answer.clusterId;
    context.keys.setTokenKeys(answer.tokenKeys);
    mappings.replace(answer.mappings, answer.mappingVersion);
    this.#options.mappingsChanged();
    this.#configVersion = 0;
    this.#allRows = true;
    this.#usage.forget();
    const added = await this.#openAssigned(answer.assignedDevices);
    this.#isRegistered = !added;
    if (added) return await this.#register();
    this.#options.registered();
    const { sdsId, mdmTerm } = answer;
    if (sdsId !== null) context.log.info("Registered at the MDM as SDS {sdsId}", { sdsId, mdmTerm });
    else context.log.info("Known to the MDM; waiting until an operator adds this process as an SDS", { mdmTerm });
  }

  /** Opens devices that the MDM gave this SDS, formatting new ones; true if there are more now than were registered. */
  async #openAssigned(assigned: readonly AssignedDevice[]): Promise<boolean> {
    const { context, devices } = this.#options;
    if (context.keys.sdsId === undefined) return false;
    return await devices.open(assigned, { clusterId: context.keys.clusterId, sdsId: context.keys.sdsId });
  }

  async #beat(): Promise<void> {
    const { context, devices, mappings, deletions, tokenUses } = this.#options;
    const joins = devices.all.flatMap((device) => device.joins.reports());
    const reports = devices.all.map((device) => device.heartbeat({ allRows: this.#allRows }));
    const deletedNodes = deletions.finished();
    const told = this.#usage.next();
    const consumedTokens = tokenUses.nextUses();
    const brokenDevices = devices.broken();
    const call: SdsHeartbeatMessage = {
      sequence: ++this.#sequence,
      configVersion: this.#configVersion,
      mappingVersion: Math.max(0, mappings.version),
      stopping: this.stopping,
      devices: reports,
      joins,
      io: this.#options.ioCounts(),
      served: this.#options.served(),
      deletedNodes,
      ...(told !== undefined && { nodeUsage: told.usage }),
      ...(consumedTokens.length > 0 && { consumedTokens }),
      ...(brokenDevices.length > 0 && { brokenDevices }),
    };
    const sentMs = context.clock.monotonicMs();
    const answer = await this.#post("/internal/v1/sds/heartbeat", call, sdsHeartbeatAnswerSchema);
    this.#observe(sentMs, answer);
    tokenUses.heard(context.mdmTime, answer.revokedTokens ?? []);
    if (!answer.registered) {
      this.#isRegistered = false;
      this.wake();
      return;
    }
    this.#allRows = false;
    devices.all.forEach((device, index) => {
      device.copies.taken(reports[index]!);
      device.joins.reportsTaken(joins);
    });
    deletions.taken(deletedNodes);
    tokenUses.usesTaken(consumedTokens);
    this.#usage.taken(told);
    context.keys.setTokenKeys(answer.tokenKeys);
    if (answer.mappingVersion > mappings.version) {
      mappings.replace(answer.mappings, answer.mappingVersion);
      this.#options.mappingsChanged();
    }
    if (await this.#openAssigned(answer.assignedDevices)) {
      this.#isRegistered = false;
      return this.wake();
    }
    if (answer.configVersion !== this.#configVersion) await this.#fetchConfigs();
    for (const device of devices.all) {
      device.joins.set(answer.joinTasks);
      device.handOvers.set(answer.pgOrders ?? []);
      device.copies.drop(answer.pgDrops ?? []);
      const told = answer.copyRates?.find(({ deviceId }) => deviceId === device.deviceId)?.bytesPerSecond;
      device.rebuildBudget.set(Math.min(told ?? Infinity, context.rebuildBytesPerSecond));
    }
    if (answer.mayStop) this.#noteMayStop();
    deletions.set(answer.nodeDeletions);
  }

  #noteMayStop(): void {
    this.#isNeeded = false;
    this.#mayStop.resolve();
  }

  async #fetchConfigs(): Promise<void> {
    const { context, devices } = this.#options;
    const answer = await this.#post(
      "/internal/v1/sds/configs",
      { sinceVersion: this.#configVersion },
      sdsConfigsAnswerSchema,
    );
    context.peers.replace(answer.peers);
    for (const config of answer.configs) for (const device of devices.all) device.adopt(config);
    this.#configVersion = answer.configVersion;
  }

  #observe(sentMs: number, answer: { readonly mdmTerm: number; readonly mdmTimeMs: number }): void {
    const { context } = this.#options;
    this.requireTerm(answer.mdmTerm);
    context.mdmTime.observe({ sentMs, answeredMs: context.clock.monotonicMs(), mdmTimeMs: answer.mdmTimeMs });
  }

  async #post<Schema extends z.ZodType>(path: string, body: unknown, schema: Schema): Promise<z.output<Schema>> {
    return schema.parse(await this.#options.client.call("POST", path, body));
  }
}
