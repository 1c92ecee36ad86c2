/**
 * One MDM over a database in memory and a {@linkcode FakeClock}, with SDSs and SDCs that say what a test lets them say. Calls go
 * through the application, signed as real ones are; what the MDM calls is recorded and answered.
 *
 * @module
 */
import { DatabaseSync } from "node:sqlite";
import { createMdm, type Mdm } from "@/mdm/app.ts";
import type { MdmOptions } from "@/mdm/options.ts";
import { preparedDatabase } from "@/mdm/store/database.ts";
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
import type { HttpRequest } from "@/shared/http_client.ts";
import { asId, type DeviceId, type Epoch, type Incarnation, type PgId } from "@/shared/ids.ts";
import { logger } from "@/shared/log.ts";
import { FakeClock, settle } from "@/tests/support/fake_clock.ts";
import { SeededRandom } from "@/tests/sim/seeded_random.ts";

/** An answer with its JSON body. */
export interface JsonAnswer {
  readonly status: number;
  // deno-lint-ignore no-explicit-any -- a test looks at what it expects
  readonly body: any;
}

const JOIN_TOKEN = "join-token-of-the-tests";
/** Time between two beats of the fakes in `run`, in ms. */
const BEAT_MS = 500;

/** The MDM and everybody around it. */
export class MdmFixture implements AsyncDisposable {
  readonly clock: FakeClock = new FakeClock();
  /** What the MDM called, oldest first. */
  readonly calls: { readonly path: string; readonly port: number; readonly body: unknown }[] = [];
  /** Control ports that do not answer. */
  readonly silentPorts: Set<number> = new Set();
  readonly sdss: FakeSds[] = [];
  readonly #sqlite = new DatabaseSync(":memory:");
  readonly #options: Partial<MdmOptions>;
  readonly #random = new SeededRandom("mdm-fixture");
  mdm: Mdm;

  constructor(options: Partial<MdmOptions> = {}) {
    this.#options = { auth: "open", joinToken: JOIN_TOKEN, pgCountMin: 4, pgCountMax: 4, ...options };
    this.mdm = this.#made();
  }

  #made(): Mdm {
    return createMdm({
      db: preparedDatabase(this.#sqlite),
      clock: this.clock,
      random: this.#random,
      send: (request) => this.#answer(request),
      log: logger("test"),
      options: this.#options,
    });
  }

  /** A new MDM over the same database, as after `kill -9`. */
  async restartMdm(): Promise<void> {
    await this.mdm.stop();
    this.mdm = this.#made();
  }

  /** Calls the MDM; time passes while it waits. */
  async call(
    method: string,
    path: string,
    options: { body?: unknown; headers?: Record<string, string> } = {},
  ): Promise<JsonAnswer> {
    let answer: JsonAnswer | undefined;
    let failure: unknown;
    const init = {
      method,
      headers: options.headers ?? {},
      ...(options.body !== undefined && { body: JSON.stringify(options.body) }),
    };
    const pending = Promise.resolve(this.mdm.app.request(path, init)).then(async (response) => {
      const text = await response.text();
      const isJson = response.headers.get("Content-Type")?.includes("json") === true;
      answer = { status: response.status, body: isJson ? JSON.parse(text) : text };
    }).catch((error) => failure = error);
    await settle();
    while (answer === undefined && failure === undefined) await this.clock.advance(50);
    await pending;
    if (failure !== undefined) throw failure;
    assert(answer !== undefined, "a request that did not fail was answered");
    return answer;
  }

  /** As `call`, and the answer must be a success. */
  // deno-lint-ignore no-explicit-any -- a test looks at what it expects
  async ok(method: string, path: string, body?: unknown): Promise<any> {
    const answer = await this.call(method, path, body === undefined ? {} : { body });
    assert(
      answer.status < 300,
      `${method} ${path} succeeds, it answered ${answer.status} ${JSON.stringify(answer.body)}`,
    );
    return answer.body;
  }

  /** Enrols a process; gives its node key. */
  async enrol(componentId: string, type: "SDS" | "SDC" | "MGMT", controlPort: number): Promise<string> {
    const body = {
      component_id: componentId,
      component_type: type,
      address: "127.0.0.1",
      ports: { control: controlPort, data: controlPort + 600, mgmt: controlPort + 100 },
      join_token: JOIN_TOKEN,
    };
    return (await this.ok("POST", "/discovery/register", body)).cluster_secret;
  }

  /** Domain, pool, and `count` SDSs with one active device each. */
  async topology(count: number): Promise<void> {
    await this.ok("POST", "/pd/create", { name: "pd" });
    await this.ok("POST", "/pool/create", { name: "pool", pd_id: 1, total_capacity_gb: 10 });
    for (let index = 0; index < count; index++) await this.addSds();
  }

  /** One more SDS with an active device. */
  async addSds(options: { faultSet?: string } = {}): Promise<FakeSds> {
    const index = this.sdss.length;
    const componentId = `sds-${index + 1}`;
    const port = 9100 + index;
    const sds = new FakeSds(this, { componentId, port, nodeKeyHex: await this.enrol(componentId, "SDS", port) });
    await this.ok("POST", "/sds/add", {
      name: componentId,
      total_capacity_gb: 1,
      devices: "blk0",
      protection_domain_id: 1,
      ...(options.faultSet !== undefined && { fault_set: options.faultSet }),
    });
    this.sdss.push(sds);
    await sds.register();
    await sds.register();
    return sds;
  }

  /** Lets time pass while every SDS that is up beats, fetches, stores rows. */
  async run(durationMs: number): Promise<void> {
    for (let passed = 0; passed < durationMs; passed += BEAT_MS) {
      for (const sds of this.sdss) if (sds.up) await sds.beat();
      await this.clock.advance(BEAT_MS);
    }
    for (const sds of this.sdss) if (sds.up) await sds.beat();
  }

  /** All groups of the pool as the MDM has them now. */
  // deno-lint-ignore no-explicit-any -- a test looks at what it expects
  async pgs(): Promise<any[]> {
    return await this.ok("GET", "/api/v1/pgs");
  }

  callsTo(path: string): { readonly port: number; readonly body: unknown }[] {
    return this.calls.filter((call) => call.path === path);
  }

  #answer(request: HttpRequest): Promise<{ status: number; body: string }> {
    const url = new URL(request.url);
    const port = Number(url.port);
    this.calls.push({ path: url.pathname, port, body: JSON.parse(request.body ?? "{}") });
    if (this.silentPorts.has(port)) return Promise.reject(new Error("connection refused"));
    return Promise.resolve({ status: 200, body: "{}" });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.mdm.stop();
    this.#sqlite.close();
  }
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

/** A change as it is sent. */
export type ChangeRequest = PgChange;

/** Ids of plain numbers, for changes. */
export function pgKey(pg: { pg_id: number; epoch: number }): { pgId: PgId; epoch: Epoch } {
  return { pgId: asId(pg.pg_id), epoch: asId(pg.epoch) };
}
