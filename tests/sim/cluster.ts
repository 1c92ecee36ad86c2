/**
 * A simulated cluster: one MDM, three SDSs, SDCs, made through the real APIs in virtual time, with what a run asks of it.
 *
 * @module
 */
import { volumeById } from "@/mdm/store/volumes.ts";
import { BLOCK_BYTES, CHUNK_BYTES, TIMES } from "@/shared/constants.ts";
import { assert } from "@/shared/errors.ts";
import type { Guards } from "@/shared/guards.ts";
import { asId, type PoolId, type VolumeId } from "@/shared/ids.ts";
import { type Overview, overviewSchema } from "@/shared/api/overview.ts";
import type { HttpSend } from "@/shared/http_client.ts";
import { baseOf, pgIndexOf } from "@/shared/placement.ts";
import type { Cast } from "@/tests/sim/faults.ts";
import { MdmHost } from "@/tests/sim/mdm_host.ts";
import { SimProcess, type World } from "@/tests/sim/process.ts";
import { SdcHost } from "@/tests/sim/sdc_host.ts";
import { SdsHost } from "@/tests/sim/sds_host.ts";
import type { SeededRandom } from "@/tests/sim/seeded_random.ts";

/** Some clusters scrub all the time. */
const SCRUB_CHANCE = 0.25;
const OFTEN_SCRUBBED = { intervalMs: 3_000, bytesPerSecond: 50 * 1024 * 1024 };
const JOIN_TOKEN = "join-token-of-the-simulation";
const SDS_COUNT = 3;
/** Groups of the pool: few, so that each sees much. */
const PG_COUNT = 8;
/** Size of a volume: sparse, so that its chunks fall into many regions of write intents. */
export const VOLUME_BYTES = 512 * CHUNK_BYTES;
const GIB = 2 ** 30;
/** True time in which the cluster must be up, in ms. */
const SET_UP_MS_MAX = 60_000;

/** What a cluster is made with. */
export interface ClusterOptions {
  readonly world: World;
  readonly random: SeededRandom;
  readonly sdcCount: number;
  /** All SDCs use one volume; otherwise each its own. */
  readonly sharedVolume: boolean;
  /** Newest regions per group that stay set. */
  readonly regionsKeptSet: number;
  readonly guards: Guards;
  /** SDSs from the start; default 3. */
  readonly sdsCount?: number;
  /** Time after which the MDM replaces a device that is away, in ms. */
  readonly outAfterMs?: number;
  readonly times?: Record<keyof typeof TIMES, number>;
}

/** A volume at an SDC that uses it. */
export interface ClusterMapping {
  readonly volumeId: number;
  readonly sdc: SdcHost;
  /** The part of the volume that applications of this SDC change. */
  readonly changes: { readonly startBytes: number; readonly endBytes: number };
}

/** All processes of a cluster. */
export class Cluster {
  readonly mdm: MdmHost;
  readonly sdss: SdsHost[];
  readonly sdcs: readonly SdcHost[];
  /** One per SDC. */
  readonly mappings: ClusterMapping[] = [];
  readonly #sharedVolume: boolean;
  readonly #world: World;
  readonly #http: HttpSend;
  readonly #bases = new Map<number, number>();
  #poolId = 0;
  /** What an operator tries to say. */
  readonly #services = new Map<string, "fail" | "recover">();
  readonly #newSds: (index: number) => SdsHost;

  constructor(options: ClusterOptions) {
    const { world, random, guards, regionsKeptSet, times = TIMES } = options;
    this.#world = world;
    this.#sharedVolume = options.sharedVolume;
    this.mdm = new MdmHost("mdm", {
      world,
      random,
      guards,
      mdm: {
        auth: "open",
        joinToken: JOIN_TOKEN,
        pgCountMin: PG_COUNT,
        pgCountMax: PG_COUNT,
        times: { ...times, outAfterMs: options.outAfterMs ?? times.outAfterMs },
      },
    });
    const node = { world, random, mdmUrl: this.mdm.url, joinToken: JOIN_TOKEN };
    const scrub = random.fork("scrub").chance(SCRUB_CHANCE) && { scrub: OFTEN_SCRUBBED };
    this.#newSds = (index) => new SdsHost(`sds-${index + 1}`, { ...node, guards, regionsKeptSet, times, ...scrub });
    this.sdss = Array.from({ length: options.sdsCount ?? SDS_COUNT }, (_, index) => this.#newSds(index));
    this.sdcs = Array.from({ length: options.sdcCount }, (_, index) => new SdcHost(`sdc-${index + 1}`, node));
    this.#http = new SimProcess("operator", { world, random }).start().http;
  }

  get cast(): Cast {
    return {
      mdm: this.mdm.name,
      sdss: this.sdss.map(({ name }) => name),
      sdcs: this.sdcs.map(({ name }) => name),
    };
  }

  get hosts(): readonly (MdmHost | SdsHost | SdcHost)[] {
    return [this.mdm, ...this.sdss, ...this.sdcs];
  }

  host(name: string): MdmHost | SdsHost | SdcHost {
    const found = this.hosts.find((host) => host.name === name);
    assert(found !== undefined, `there is a host ${name}`);
    return found;
  }

  /** Starts every process, makes domain, pool, SDSs, SDCs and volumes, and waits until all of it is healthy. */
  async setUp(): Promise<void> {
    for (const host of this.hosts) host.start();
    const processCount = this.sdss.length + this.sdcs.length;
    await this.#until("every process is registered", async () => {
      const { components } = await this.overview();
      return components.filter((component) => component.state === "up").length >= processCount;
    });
    const domain = await this.#create("/pd/create", { name: "pd" });
    this.#poolId = await this.#create("/pool/create", { name: "pool", pd_id: domain, total_capacity_gb: 4 });
    for (const { name } of this.sdss) {
      await this.#create("/sds/add", { name, total_capacity_gb: 2, devices: "blk0", protection_domain_id: domain });
    }
    for (const sdc of this.sdcs) await this.#create("/sdc/add", { name: sdc.name });
    await this.#until("every device is registered", async () => {
      const { sdss } = await this.overview();
      return sdss.every(({ devices }) => devices.every(({ state }) => state === "active"));
    });
    await this.#makeVolumes();
    await this.#until("the cluster is healthy", () => this.isWhole());
    await this.#until(
      "every volume is mapped",
      () => Promise.resolve(this.mappings.every(({ sdc, volumeId }) => sdc.device(volumeId) !== undefined)),
    );
  }

  /** True if every group has all its copies (I24). */
  async isWhole(): Promise<boolean> {
    const { pools } = await this.overview();
    return pools.length === 1 && pools[0]!.pgs.total === PG_COUNT && pools[0]!.pgs.full === PG_COUNT;
  }

  /** One more SDS with a device. */
  async addSds(): Promise<SdsHost> {
    const sds = this.#newSds(this.sdss.length);
    this.sdss.push(sds);
    sds.start();
    await this.#until("it is registered", async () => {
      const { components } = await this.overview();
      return components.some((component) => component.componentId === sds.name && component.state === "up");
    });
    await this.#create("/sds/add", { name: sds.name, total_capacity_gb: 2, devices: "blk0", protection_domain_id: 1 });
    return sds;
  }

  /** Takes an SDS out of service or back, as soon as the MDM is there; the last word counts. */
  async setService(name: string, word: "fail" | "recover"): Promise<void> {
    this.#services.set(name, word);
    while (this.#services.get(name) === word) {
      try {
        const { sdss } = await this.overview();
        const sdsId = sdss.find(({ componentId }) => componentId === name)?.sdsId;
        await this.#post(`/sds/${sdsId}/${word}`, {});
        if (this.#services.get(name) === word) this.#services.delete(name);
      } catch {
        await new Promise<void>((resolve) => this.#world.time.after(250, resolve));
      }
    }
  }

  /** What the MDM says of the cluster. */
  async overview(): Promise<Overview> {
    const answer = await this.#http({ method: "GET", url: `${this.mdm.url}/api/v1/overview`, timeoutMs: 10_000 });
    return overviewSchema.parse(JSON.parse(answer.body));
  }

  get poolId(): PoolId {
    return asId<PoolId>(this.#poolId);
  }

  /** Number of the group, within its pool, that holds a block of a volume. */
  pgIndexOf(volumeId: number, blockIndex: number): number {
    let base = this.#bases.get(volumeId);
    if (base === undefined) {
      const volume = volumeById(this.mdm.context.db, asId<VolumeId>(volumeId));
      assert(volume !== undefined, `volume ${volumeId} exists`);
      this.#bases.set(volumeId, base = baseOf(volume.vtreeId));
    }
    return pgIndexOf(base, Math.floor(blockIndex * BLOCK_BYTES / CHUNK_BYTES), PG_COUNT);
  }

  /** At the end of a run: nothing runs any more. */
  close(): void {
    for (const host of this.hosts) host.close();
  }

  async #makeVolumes(): Promise<void> {
    const count = this.sdcs.length;
    let volumeId = 0;
    for (const [index, sdc] of this.sdcs.entries()) {
      if (index === 0 || !this.#sharedVolume) {
        const body = { name: `volume-${index + 1}`, size_gb: VOLUME_BYTES / GIB, pool_id: this.#poolId };
        volumeId = await this.#create("/vol/create", body);
      }
      await this.#post(`/vol/map?volume_id=${volumeId}&sdc_id=${await this.#sdcIdOf(sdc)}`, {});
      const changes = this.#sharedVolume
        ? { startBytes: VOLUME_BYTES / count * index, endBytes: VOLUME_BYTES / count * (index + 1) }
        : { startBytes: 0, endBytes: VOLUME_BYTES };
      this.mappings.push({ volumeId, sdc, changes });
    }
  }

  /** The MDM binds a record to a process of its choice. */
  async #sdcIdOf(sdc: SdcHost): Promise<number> {
    const { sdcs } = await this.overview();
    const record = sdcs.find(({ componentId }) => componentId === sdc.name);
    assert(record !== undefined, `${sdc.name} has a record`);
    return record.sdcId;
  }

  async #create(path: string, body: object): Promise<number> {
    const { id } = await this.#post(path, body);
    assert(typeof id === "number", `${path} answers with an id`);
    return id;
  }

  async #post(path: string, body: object): Promise<{ readonly id?: unknown }> {
    const answer = await this.#http({
      method: "POST",
      url: this.mdm.url + path,
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(body),
      timeoutMs: 30_000,
    });
    assert(answer.status < 300, `${path} succeeds, not ${answer.status}: ${answer.body}`);
    return JSON.parse(answer.body);
  }

  /** Asks `holds` every 250 ms of true time. */
  async #until(what: string, holds: () => Promise<boolean>): Promise<void> {
    const { time } = this.#world;
    const endMs = time.nowMs + SET_UP_MS_MAX;
    while (!(await holds())) {
      assert(time.nowMs < endMs, `${what} within ${SET_UP_MS_MAX} ms`);
      await new Promise<void>((resolve) => time.after(250, resolve));
    }
  }
}
