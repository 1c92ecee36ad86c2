/**
 * SDSs and SDCs as far as an MDM sees them: what they say of themselves is what a test sets.
 *
 * @module
 */
import type { PgChange, PgChangeAnswer, PgConfig } from "@/shared/api/pg.ts";
import type {
  JoinReport,
  SdsConfigsAnswer,
  SdsHeartbeatAnswer,
  SdsHeartbeatMessage,
  SdsRegisterAnswer,
} from "@/shared/api/sds.ts";
import { assert } from "@/shared/errors.ts";
import { signRequest } from "@/shared/http/node_auth.ts";
import { asId, type DeviceId, type Epoch, type Incarnation, type PgId } from "@/shared/ids.ts";
import type { MdmFixture } from "@/tests/support/mdm_fixture.ts";

/** An answer with its JSON body. */
export interface JsonAnswer {
  readonly status: number;
  // deno-lint-ignore no-explicit-any -- a test looks at what it expects
  readonly body: any;
}

/** One SDS process with one device, as far as the MDM sees it. */
export class FakeSds {
  readonly componentId: string;
  readonly port: number;
  readonly nodeKeyHex: string;
  up = true;
  bootId = "boot-1";
  hostId = "host-1";
  inode = 7;
  intact = true;
  failed = false;
  synced = true;
  stopping = false;
  cleanFor: Incarnation | null = null;
  /** Undefined until the MDM assigned a device. */
  deviceId: DeviceId | undefined;
  incarnation: Incarnation = { counter: 1, random: "00000000000000aa" };
  /** Rows of its catalogue. */
  readonly rows: Map<PgId, { pgId: PgId; epoch: number; complete: boolean }> = new Map();
  /** False: it stores no rows of fresh configurations. */
  storesRows = true;
  joins: JoinReport[] = [];
  extra: Partial<SdsHeartbeatMessage> = {};
  /** Overrides what it says it enforces. */
  mappingVersion: number | undefined;
  readonly configs: Map<PgId, PgConfig> = new Map();
  last: SdsHeartbeatAnswer | undefined;
  #configVersion = 0;
  #mappingsSeen = 0;
  #sequence = 0;
  readonly #fixture: MdmFixture;

  constructor(fixture: MdmFixture, options: { componentId: string; port: number; nodeKeyHex: string }) {
    this.#fixture = fixture;
    this.componentId = options.componentId;
    this.port = options.port;
    this.nodeKeyHex = options.nodeKeyHex;
  }

  /** A signed call. */
  async call(path: string, body: unknown): Promise<JsonAnswer> {
    const headers = signRequest({ method: "POST", path, body: JSON.stringify(body), ...this.#identity() });
    return await this.#fixture.call("POST", path, { body, headers });
  }

  #identity() {
    return { nodeKeyHex: this.nodeKeyHex, componentId: this.componentId };
  }

  /** Registers, and learns which device it has; the second time with it. */
  async register(): Promise<JsonAnswer> {
    const devices = this.deviceId === undefined ? [] : [{
      deviceId: this.deviceId,
      incarnation: this.incarnation,
      cleanFor: this.cleanFor,
      intact: this.intact,
      synced: this.synced,
      inode: this.inode,
      capacityBytes: 2 ** 30,
      usedBytes: 0,
      pgs: [...this.rows.values()],
    }];
    const answer = await this.call("/internal/v1/sds/register", { bootId: this.bootId, hostId: this.hostId, devices });
    if (answer.status === 200) {
      const body: SdsRegisterAnswer = answer.body;
      this.deviceId ??= body.assignedDevices[0]?.deviceId;
      this.#mappingsSeen = body.mappingVersion;
    }
    return answer;
  }

  /** Beats, registers if it has to, fetches what changed and stores the rows of its groups. */
  async beat(): Promise<SdsHeartbeatAnswer> {
    let answer = await this.#beatOnce();
    if (!answer.registered) {
      await this.register();
      answer = await this.#beatOnce();
    }
    if (answer.configVersion !== this.#configVersion) await this.fetch();
    this.last = answer;
    return answer;
  }

  async #beatOnce(): Promise<SdsHeartbeatAnswer> {
    const answer = await this.call("/internal/v1/sds/heartbeat", {
      sequence: this.#sequence++,
      configVersion: this.#configVersion,
      mappingVersion: this.mappingVersion ?? this.#mappingsSeen,
      stopping: this.stopping,
      devices: this.deviceId === undefined ? [] : [{
        deviceId: this.deviceId,
        incarnation: this.incarnation,
        failed: this.failed,
        usedBytes: 0,
        capacityBytes: 2 ** 30,
        rows: [...this.rows.values()],
        servingCount: 0,
      }],
      joins: this.joins,
      io: [],
      ...this.extra,
    });
    assert(answer.status === 200, `a heartbeat is answered, it got ${JSON.stringify(answer.body)}`);
    this.#mappingsSeen = answer.body.mappingVersion;
    return answer.body;
  }

  /** Fetches configurations; stores a row for each of its groups. */
  async fetch(): Promise<SdsConfigsAnswer> {
    const { body } = await this.call("/internal/v1/sds/configs", { sinceVersion: this.#configVersion });
    const answer: SdsConfigsAnswer = body;
    this.#configVersion = answer.configVersion;
    for (const config of answer.configs) {
      this.configs.set(config.pgId, config);
      if (!this.storesRows || !config.members.some((member) => member.deviceId === this.deviceId)) continue;
      this.rows.set(config.pgId, { pgId: config.pgId, epoch: config.epoch, complete: true });
    }
    return answer;
  }

  /** Dies and starts again: a new incarnation, nothing said yet. */
  restart(options: { newBoot?: boolean } = {}): void {
    this.up = true;
    this.incarnation = {
      counter: this.incarnation.counter + 1,
      random: (this.incarnation.counter + 1).toString(16).padStart(16, "0"),
    };
    if (options.newBoot === true) this.bootId = `${this.bootId}x`;
    this.#sequence = 0;
    this.#configVersion = 0;
    this.joins = [];
  }

  /** Asks for changes on behalf of its device. */
  async change(changes: readonly ChangeRequest[]): Promise<PgChangeAnswer> {
    const asker = { deviceId: this.deviceId, incarnation: this.incarnation };
    const { status, body } = await this.call("/internal/v1/pg/change", { asker, changes });
    assert(status === 200, `a change is answered, it got ${JSON.stringify(body)}`);
    return body;
  }

  /** As primary, does every join it was given: the joiner stores the row, the MDM is asked to add it. */
  async finishJoins(): Promise<void> {
    for (const task of this.last?.joinTasks ?? []) {
      const joiner = this.#fixture.sdss.find((sds) => sds.deviceId === task.deviceId);
      assert(joiner !== undefined, "a join names a known device");
      joiner.rows.set(task.pgId, { pgId: task.pgId, epoch: task.epoch, complete: true });
      await this.change([{
        kind: "add_member",
        pgId: task.pgId,
        epoch: task.epoch,
        joiner: { deviceId: task.deviceId, incarnation: task.incarnation },
      }]);
    }
  }
}

/** One SDC process, as far as the MDM sees it. */
export class FakeSdc {
  readonly #fixture: MdmFixture;
  readonly #identity: { readonly componentId: string; readonly nodeKeyHex: string };

  constructor(fixture: MdmFixture, identity: { componentId: string; nodeKeyHex: string }) {
    this.#fixture = fixture;
    this.#identity = identity;
  }

  /** A signed call. */
  async call(path: string, body: unknown): Promise<JsonAnswer> {
    const headers = signRequest({ method: "POST", path, body: JSON.stringify(body), ...this.#identity });
    return await this.#fixture.call("POST", path, { body, headers });
  }

  /** Registers for a new session. */
  register(): Promise<JsonAnswer> {
    return this.call("/internal/v1/sdc/register", { bootId: "boot-1", hostId: "host-1" });
  }
}

/** A change as it is sent. */
export type ChangeRequest = PgChange;

/** Ids of plain numbers, for changes. */
export function pgKey(pg: { pg_id: number; epoch: number }): { pgId: PgId; epoch: Epoch } {
  return { pgId: asId(pg.pg_id), epoch: asId(pg.epoch) };
}
