/**
 * Real SDSs and a real MDM in virtual time (`tests/sim/`), with an SDC made by hand: a test sends single frames and sees single
 * answers, kills processes and cuts paths. Everything a test awaits happens within {@linkcode withSds}.
 *
 * @module
 */
import { misplacedPgs } from "@/mdm/store/pgs.ts";
import { signingKey } from "@/mdm/secrets.ts";
import type { ReplicaDevice } from "@/sds/replication/replica_device.ts";
import {
  sdcRegisterAnswerSchema,
  sessionTokenAnswerSchema,
  type VolumeMap,
  volumeMapSchema,
} from "@/shared/api/sdc.ts";
import { openToken, type SessionToken, signToken } from "@/shared/auth.ts";
import { BufferPool } from "@/shared/buffers.ts";
import type { ScrubSettings } from "@/sds/replication/scrub.ts";
import { sleep } from "@/shared/clock.ts";
import { CHUNK_BYTES, TIMES } from "@/shared/constants.ts";
import { assert, StorageError } from "@/shared/errors.ts";
import type { SdcId, SdcSession } from "@/shared/ids.ts";
import { NodeClient } from "@/shared/node_client.ts";
import { baseOf, pgIndexOf } from "@/shared/placement.ts";
import { EventLog } from "@/tests/sim/event_log.ts";
import { MdmHost } from "@/tests/sim/mdm_host.ts";
import { type ProcessPorts, SimProcess, World } from "@/tests/sim/process.ts";
import { SdsHost } from "@/tests/sim/sds_host.ts";
import { SeededRandom } from "@/tests/sim/seeded_random.ts";
import { VirtualTime } from "@/tests/sim/virtual_time.ts";
import { flushPayload, type FrameAnswer, SessionClient, writePayload } from "@/tests/support/session_client.ts";

const JOIN_TOKEN = "join-token-of-the-fixture";
const GIB = 2 ** 30;
/** Chunks of each volume. */
export const VOLUME_CHUNKS = 8;
/** Virtual time that a test may take. */
const TEST_MS_MAX = 600_000;
/** Virtual time that `until` waits. */
const UNTIL_MS_MAX = 120_000;

/** What a cluster is made of. */
export interface SdsFixtureOptions {
  /** Default 2: every group is on both. */
  readonly sdsCount?: number;
  /** Default 4. */
  readonly pgCount?: number;
  /** Time after which the MDM replaces a device that is away, in ms. */
  readonly outAfterMs?: number;
  readonly scrub?: ScrubSettings;
}

/** Where a request goes. */
export interface Place {
  readonly chunkIndex: number;
  readonly offsetBytes: number;
  readonly flags?: number;
}

/** A connection on which the volume is open. */
export interface OpenVolume {
  readonly session: SessionClient;
  readonly handle: number;
}

/** Runs `test` over a cluster that is up, with one volume mapped to one SDC. Virtual time goes on while it waits. */
export async function withSds(
  options: SdsFixtureOptions,
  test: (fixture: SdsFixture) => Promise<void>,
): Promise<void> {
  const time = new VirtualTime();
  const fixture = new SdsFixture(time, options);
  let outcome: { readonly error?: unknown } | undefined;
  fixture.setUp().then(() => test(fixture)).then(() => outcome = {}, (error) => outcome = { error });
  try {
    await time.run({ limitMs: TEST_MS_MAX, done: () => outcome !== undefined });
  } finally {
    fixture.close();
  }
  if (outcome === undefined) throw new Error(`The test has not ended after ${TEST_MS_MAX} ms of virtual time`);
  if ("error" in outcome) throw outcome.error;
}

/** See the module comment. */
export class SdsFixture {
  readonly world: World;
  readonly mdm: MdmHost;
  readonly sdss: readonly SdsHost[];
  readonly #newSds: (name: string) => SdsHost;
  readonly #operator: ProcessPorts;
  readonly #sdcProcess: SimProcess;
  #sdc: RawSdc | undefined;

  constructor(time: VirtualTime, options: SdsFixtureOptions) {
    const { sdsCount = 2, pgCount = 4 } = options;
    const random = new SeededRandom("sds-fixture");
    const log = new EventLog({ nowMs: () => time.nowMs });
    const world = this.world = new World({ time, random: random.fork("wire"), log });
    const mdm = {
      auth: "open",
      joinToken: JOIN_TOKEN,
      pgCountMin: pgCount,
      pgCountMax: pgCount,
      times: { ...TIMES, outAfterMs: options.outAfterMs ?? TIMES.outAfterMs },
    } as const;
    this.mdm = new MdmHost("mdm", { world, random, mdm });
    const scrub = options.scrub && { scrub: options.scrub };
    this.#newSds = (name) =>
      new SdsHost(name, { world, random, mdmUrl: this.mdm.url, joinToken: JOIN_TOKEN, ...scrub });
    this.sdss = Array.from({ length: sdsCount }, (_, index) => this.#newSds(`sds-${index + 1}`));
    this.#operator = new SimProcess("operator", { world, random }).start();
    this.#sdcProcess = new SimProcess("sdc-1", { world, random });
  }

  /** The SDC that the fixture made, with volume 1. */
  get sdc(): RawSdc {
    assert(this.#sdc !== undefined, "the fixture is set up");
    return this.#sdc;
  }

  async setUp(): Promise<void> {
    for (const host of [this.mdm, ...this.sdss]) host.start();
    await this.sleep(500);
    await this.post("/pd/create", { name: "pd" });
    await this.post("/pool/create", { name: "pool", pd_id: 1, total_capacity_gb: 1 });
    for (const { name } of this.sdss) {
      await this.post("/sds/add", { name, total_capacity_gb: 0.25, devices: "blk0", protection_domain_id: 1 });
    }
    await this.until("every SDS has its device", () => this.sdss.every(({ devices }) => devices.length === 1));
    await this.sleep(2_000);
    await this.createVolume();
    const sdc = this.#sdc = new RawSdc(this, this.#sdcProcess.start());
    await sdc.enrol();
    await this.post("/sdc/add", { name: "sdc-1" });
    await this.post("/vol/map?volume_id=1&sdc_id=1", {});
    await sdc.register();
    await this.untilFull();
    await this.until("the groups are made", () =>
      sdc.refresh().then(() => true, (error) => {
        if (error instanceof StorageError && error.code === "not_ready") return false;
        throw error;
      }));
  }

  /** One more volume in the pool; its id. */
  async createVolume(): Promise<number> {
    const name = `volume-${Math.round(this.world.time.nowMs)}`;
    const { id } = await this.post("/vol/create", { name, size_gb: VOLUME_CHUNKS * CHUNK_BYTES / GIB, pool_id: 1 });
    return Number(id);
  }

  /** Starts an SDS that nobody has added; the caller crashes and closes it. */
  startSds(name: string): SdsHost {
    const host = this.#newSds(name);
    host.start();
    return host;
  }

  /** Calls the MDM as an operator does. */
  async post(path: string, body: object): Promise<Record<string, unknown>> {
    const answer = await this.#operator.http({
      method: "POST",
      url: this.mdm.url + path,
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(body),
      timeoutMs: 30_000,
    });
    assert(answer.status < 300, `${path} succeeds, not ${answer.status}: ${answer.body}`);
    return JSON.parse(answer.body);
  }

  /** Newest events of the MDM, the newest first. */
  async events(): Promise<readonly { readonly type: string; readonly subject: string; readonly message: string }[]> {
    const url = `${this.mdm.url}/api/v1/events?limit=100`;
    const answer = await this.#operator.http({ method: "GET", url, timeoutMs: 10_000 });
    return JSON.parse(answer.body);
  }

  /** The groups as the MDM has them. */
  async pgs(): Promise<readonly { readonly pg_id: number; readonly epoch: number; readonly members: unknown[] }[]> {
    const answer = await this.#operator.http({ method: "GET", url: `${this.mdm.url}/api/v1/pgs`, timeoutMs: 10_000 });
    return JSON.parse(answer.body);
  }

  sleep(durationMs: number): Promise<void> {
    return sleep(this.#operator.clock, durationMs);
  }

  /** Waits until `holds`. */
  async until(what: string, holds: () => boolean | Promise<boolean>): Promise<void> {
    const endMs = this.world.time.nowMs + UNTIL_MS_MAX;
    while (!(await holds())) {
      assert(this.world.time.nowMs < endMs, `${what} within ${UNTIL_MS_MAX} ms`);
      await this.sleep(50);
    }
  }

  /** Waits until every group has two members again, in the order of its target. */
  async untilFull(): Promise<void> {
    await this.until("every group is full", async () => {
      const pgs = await this.pgs();
      return pgs.length > 0 && pgs.every(({ members }) => members.length === 2) &&
        misplacedPgs(this.mdm.context.db).length === 0;
    });
  }

  /** The device of an SDS. */
  deviceOf(sds: SdsHost): ReplicaDevice {
    const device = sds.devices[0];
    assert(device !== undefined, `${sds.name} runs and has its device`);
    return device;
  }

  /** Cuts or heals both directions between two SDSs. */
  partition(a: SdsHost, b: SdsHost, how: "cut" | "heal"): void {
    this.world.wire[how](a.name, b.name);
    this.world.wire[how](b.name, a.name);
  }

  close(): void {
    for (const host of [this.mdm, ...this.sdss]) host.close();
  }
}

/** An SDC that does what a test says: one connection per SDS, one volume, no retries. */
export class RawSdc {
  readonly ports: ProcessPorts;
  readonly buffers = new BufferPool();
  readonly #fixture: SdsFixture;
  readonly #node: NodeClient;
  readonly #sessions = new Map<number, Promise<OpenVolume>>();
  #key: string | undefined;
  #lane = 0;
  #opSeq = 0;
  #map: VolumeMap | undefined;
  sdcId!: SdcId;
  sdcSession!: SdcSession;
  /** Of volume 1, fresh from the MDM. */
  token = "";

  constructor(fixture: SdsFixture, ports: ProcessPorts) {
    this.#fixture = fixture;
    this.ports = ports;
    this.#node = new NodeClient({
      send: ports.http,
      mdmUrl: fixture.mdm.url,
      componentId: "sdc-1",
      componentType: "SDC",
      address: "sdc-1",
      ports: { control: 8003 },
      joinToken: JOIN_TOKEN,
      keys: { load: () => this.#key, save: (key) => this.#key = key },
    });
  }

  get map(): VolumeMap {
    assert(this.#map !== undefined, "the SDC has a map");
    return this.#map;
  }

  async enrol(): Promise<void> {
    await this.#node.enrol();
  }

  /** A new session at the MDM, which revokes the older one. */
  async register(): Promise<void> {
    const call = { bootId: "boot", hostId: "host" };
    const answer = sdcRegisterAnswerSchema.parse(await this.#node.call("POST", "/internal/v1/sdc/register", call));
    assert(answer.sdcId !== null && answer.sdcSession !== null, "an operator has added this SDC");
    this.sdcId = answer.sdcId;
    this.sdcSession = answer.sdcSession;
  }

  /** A token for a volume from the MDM. @throws {StorageError} when it refuses. */
  async newToken(volumeId = 1): Promise<string> {
    const call = { sdcSession: this.sdcSession, volumeId };
    return sessionTokenAnswerSchema.parse(await this.#node.call("POST", "/internal/v1/sdc/token", call)).token;
  }

  /** Map and token anew, all connections closed. */
  async refresh(): Promise<void> {
    const call = { sdcSession: this.sdcSession, volumeId: 1 };
    this.#map = volumeMapSchema.parse(await this.#node.call("POST", "/internal/v1/sdc/map", call));
    this.token = await this.newToken();
    for (const opened of this.#sessions.values()) (await opened).session.close();
    this.#sessions.clear();
  }

  /** What the MDM's signing key makes of the present token with `changes`. */
  signed(changes: Partial<SessionToken>): string {
    const { context } = this.#fixture.mdm;
    const key = signingKey(context.db, context.time.nowMs());
    const opened = openToken(this.token, new Map([[key.keyId, key]]));
    assert(opened.kind === "ok", "the present token is good");
    return signToken({ ...opened.token, ...changes }, key);
  }

  /** The group of a chunk of volume 1. */
  pgOf(chunkIndex: number): VolumeMap["pgs"][number] {
    return this.map.pgs[pgIndexOf(baseOf(this.map.vtreeId), chunkIndex, this.map.pgCount)]!;
  }

  /** The SDS whose device leads the chunk's group, and the other. */
  sdssOf(chunkIndex: number): { readonly primary: SdsHost; readonly secondary: SdsHost } {
    const { primaryDeviceId, pgId } = this.pgOf(chunkIndex);
    const primary = this.#fixture.sdss.find(({ devices }) => devices[0]?.deviceId === primaryDeviceId);
    const group = primary?.devices[0]?.groups.get(pgId);
    const secondaryId = group?.config?.members[1]?.deviceId;
    const secondary = this.#fixture.sdss.find(({ devices }) => devices[0]?.deviceId === secondaryId);
    assert(primary !== undefined && secondary !== undefined, "the group is full");
    return { primary, secondary };
  }

  /** A new connection to the SDS that leads the chunk's group, under the next lane. */
  async connect(chunkIndex: number, options: { compact?: boolean; lane?: number } = {}): Promise<SessionClient> {
    const { devices, sdss } = this.map;
    const device = devices.find(({ deviceId }) => deviceId === this.pgOf(chunkIndex).primaryDeviceId);
    const sds = sdss.find(({ sdsId }) => sdsId === device?.sdsId);
    assert(sds !== undefined, "the map tells where the primary is");
    const { clock, random, transport } = this.ports;
    const lane = options.lane ?? ++this.#lane;
    return await SessionClient.open({
      clock,
      random,
      transport,
      buffers: this.buffers,
      address: { hostname: sds.host, port: sds.dataPort },
      client: { sdcId: this.sdcId, sdcSession: this.sdcSession, lane },
      keyHex: sds.keyHex,
      sdsId: sds.sdsId,
      compact: options.compact ?? true,
    });
  }

  /** The connection for the chunk, opened and with the volume open when it is the first. */
  async to(chunkIndex: number): Promise<OpenVolume> {
    const { primaryDeviceId } = this.pgOf(chunkIndex);
    const known = this.#sessions.get(primaryDeviceId);
    if (known !== undefined && !(await known).session.channel.closed) return await known;
    const opened = this.connect(chunkIndex).then(async (session) => ({
      session,
      handle: await session.openVolume(this.token),
    }));
    this.#sessions.set(primaryDeviceId, opened);
    return await opened;
  }

  /** Fields that every request of the chunk has. */
  fields(place: Place, lengthBytes: number) {
    const { pgId, epoch } = this.pgOf(place.chunkIndex);
    return {
      flags: place.flags ?? 0,
      pgId,
      epoch,
      nodeId: this.map.nodeId,
      chunkIndex: place.chunkIndex,
      offsetBytes: place.offsetBytes,
      lengthBytes,
    };
  }

  async write(place: Place, data: Uint8Array): Promise<FrameAnswer> {
    const { session, handle } = await this.to(place.chunkIndex);
    const fields = this.fields(place, data.length);
    return await session.send(
      { kind: "write", ...fields, handle, opSession: this.sdcSession, opSeq: ++this.#opSeq },
      writePayload(place.offsetBytes, data),
    );
  }

  async remove(kind: "trim" | "write_zeroes", place: Place, lengthBytes: number): Promise<FrameAnswer> {
    const { session, handle } = await this.to(place.chunkIndex);
    const fields = this.fields(place, lengthBytes);
    return await session.send({ kind, ...fields, handle, opSession: this.sdcSession, opSeq: ++this.#opSeq });
  }

  async read(place: Place, lengthBytes: number): Promise<FrameAnswer> {
    const { session, handle } = await this.to(place.chunkIndex);
    return await session.send({ kind: "read", ...this.fields(place, lengthBytes), handle });
  }

  /** Flushes the chunk's group, as if `lossGeneration` had been seen. */
  async flush(chunkIndex: number, lossGeneration = this.pgOf(chunkIndex).lossGeneration): Promise<FrameAnswer> {
    const { session, handle } = await this.to(chunkIndex);
    const { pgId, epoch } = this.pgOf(chunkIndex);
    return await session.send({ kind: "flush", handle }, flushPayload([{ pgId, value: epoch, lossGeneration }]));
  }
}

/** `length` bytes of one value. */
export function filled(value: number, length: number): Uint8Array {
  return new Uint8Array(length).fill(value);
}
