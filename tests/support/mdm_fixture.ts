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
import { sleep } from "@/shared/clock.ts";
import { assert } from "@/shared/errors.ts";
import type { HttpRequest } from "@/shared/http_client.ts";
import { logger } from "@/shared/log.ts";
import { FakeClock, settle } from "@/tests/support/fake_clock.ts";
import { FakeSdc, FakeSds, type JsonAnswer, pgKey } from "@/tests/support/mdm_fakes.ts";
import { SeededRandom } from "@/tests/sim/seeded_random.ts";

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
  /** What control listeners answer, by path; `200 {}` unless told. */
  readonly controlAnswers: Map<string, (body: unknown) => { readonly status: number; readonly body: unknown }> =
    new Map();
  /** How long a control port takes to answer, in ms. */
  controlAnswerMs = 0;
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

  /** The other member of each of the victim's groups takes over, or removes it. */
  async excludeFromGroups(victim: FakeSds): Promise<void> {
    for (const pg of await this.pgs()) {
      const position = pg.members.findIndex((member: { device_id: number }) => member.device_id === victim.deviceId);
      if (position === -1) continue;
      const other = this.sdss.find((sds) => sds.deviceId === pg.members[1 - position].device_id);
      assert(other !== undefined && victim.deviceId !== undefined, "both members are SDSs of the fixture");
      const change = position === 0
        ? { kind: "take_over" as const, ...pgKey(pg) }
        : { kind: "remove_secondary" as const, ...pgKey(pg), deviceId: victim.deviceId };
      await other.change([change]);
    }
  }

  /** The SDS that holds a device. */
  sdsOf(member: { readonly device_id: number }): FakeSds {
    const found = this.sdss.find((sds) => sds.deviceId === member.device_id);
    assert(found !== undefined, "the device belongs to an SDS of the fixture");
    return found;
  }

  /** Enrols and adds an SDC. */
  async addSdc(): Promise<FakeSdc> {
    const componentId = "sdc-1";
    const nodeKeyHex = await this.enrol(componentId, "SDC", 8003);
    await this.ok("POST", "/sdc/add", { name: componentId });
    return new FakeSdc(this, { componentId, nodeKeyHex });
  }

  callsTo(path: string): { readonly port: number; readonly body: unknown }[] {
    return this.calls.filter((call) => call.path === path);
  }

  async #answer(request: HttpRequest): Promise<{ status: number; body: string }> {
    const url = new URL(request.url);
    const port = Number(url.port);
    const body: unknown = JSON.parse(request.body ?? "{}");
    this.calls.push({ path: url.pathname, port, body });
    if (this.silentPorts.has(port)) throw new Error("connection refused");
    if (this.controlAnswerMs > 0) await sleep(this.clock, this.controlAnswerMs);
    const told = this.controlAnswers.get(url.pathname)?.(body);
    return told === undefined ? { status: 200, body: "{}" } : { status: told.status, body: JSON.stringify(told.body) };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.mdm.stop();
    this.#sqlite.close();
  }
}

/** Three SDSs and a volume whose groups are full and not fresh any more. */
export async function servedFixture(options: Partial<MdmOptions> = {}): Promise<MdmFixture> {
  const fixture = new MdmFixture(options);
  await fixture.topology(3);
  await fixture.ok("POST", "/vol/create", { name: "v", size_gb: 0.5, pool_id: 1 });
  await fixture.run(5_500);
  return fixture;
}
