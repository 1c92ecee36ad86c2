/**
 * The one cluster of the specification's tests: a bare demo of real processes. Its topology is made on demand, once; volumes and
 * mappings go before each test, so every test begins with a clean slate that keeps the topology.
 *
 * @module
 */
import { assert, assertEquals } from "@std/assert";
import { sleep, systemClock } from "@/shared/clock.ts";
import { denoTransport } from "@/shared/transport_deno.ts";
import { DemoDirectory, type DemoProcess, type DemoState } from "@/tests/support/demo_process.ts";
import { JsonClient, type JsonLine } from "@/tests/support/json_client.ts";

/** What the API's names with `_gb` count. */
export const GIB = 2 ** 30;
/** Processes of the cluster. */
export const SDS_COUNT = 3;
export const SDC_COUNT = 3;
/** Logical capacity of the pool: small, so that it can be exhausted without a byte being written. */
export const POOL_GB = 2;

const POLL_MS = 50;

/** An answer of an HTTP API. */
export interface Answer {
  readonly status: number;
  readonly body: JsonLine;
}

/** Ids of the topology. */
export interface Topology {
  readonly domainId: number;
  readonly poolId: number;
  readonly sdsIds: readonly number[];
  readonly sdcIds: readonly number[];
}

/** See the module comment. */
export class SpecificationCluster implements AsyncDisposable {
  readonly #directory: DemoDirectory;
  readonly #demo: DemoProcess;
  readonly #paused = new Set<number>();
  #domain: Promise<number> | undefined;
  #pool: Promise<number> | undefined;
  #sdss: Promise<number[]> | undefined;
  #sdcs: Promise<number[]> | undefined;

  private constructor(directory: DemoDirectory, demo: DemoProcess) {
    this.#directory = directory;
    this.#demo = demo;
  }

  static async start(): Promise<SpecificationCluster> {
    const directory = new DemoDirectory("--bare", "--sds", String(SDS_COUNT), "--sdc", String(SDC_COUNT));
    try {
      return new SpecificationCluster(directory, await directory.start());
    } catch (error) {
      await directory[Symbol.asyncDispose]();
      throw error;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const pid of this.#paused) this.resume(pid);
    await this.#directory[Symbol.asyncDispose]();
  }

  /** Addresses and pids of the processes. */
  get state(): DemoState {
    return this.#demo.state()!; // the demo was ready when this was made
  }

  /** Makes a process stand still. */
  pause(pid: number): void {
    this.#paused.add(pid);
    Deno.kill(pid, "SIGSTOP");
  }

  /** Lets it go on. */
  resume(pid: number): void {
    Deno.kill(pid, "SIGCONT");
    this.#paused.delete(pid);
  }

  /** One call of the MDM's API, whatever its outcome. */
  async call(method: string, path: string, body?: unknown): Promise<Answer> {
    return await httpCall(method, this.state.mdm.url + path, body);
  }

  /** The body of a call that succeeds. @throws {AssertionError} with the answer when it does not. */
  async ok(method: string, path: string, body?: unknown): Promise<JsonLine> {
    const answer = await this.call(method, path, body);
    assert(answer.status < 300, `${method} ${path}: ${answer.status} ${JSON.stringify(answer.body)}`);
    return answer.body;
  }

  /** Asserts that a call is refused with `status` and that `detail` says `says`. */
  async refused(
    call: { readonly method?: string; readonly path: string; readonly body?: unknown },
    expected: { readonly status: number; readonly says: RegExp },
  ): Promise<void> {
    const { method = "POST", path, body } = call;
    const answer = await this.call(method, path, body);
    assertEquals(answer.status, expected.status, `${method} ${path}: ${JSON.stringify(answer.body)}`);
    assert(expected.says.test(answer.body.detail), answer.body.detail);
  }

  /** The protection domain, made by the first who asks. */
  domain(): Promise<number> {
    return this.#domain ??= this.ok("POST", "/pd/create", { name: "domain" }).then(({ id }) => id);
  }

  /** The pool, without a policy: two copies. */
  pool(): Promise<number> {
    return this.#pool ??= this.domain().then(async (pd_id) =>
      (await this.ok("POST", "/pool/create", { name: "pool", pd_id, total_capacity_gb: POOL_GB })).id
    );
  }

  /** The SDSs, without cluster nodes: each takes a process that has no record yet. */
  sdss(): Promise<number[]> {
    return this.#sdss ??= this.pool().then(async () => {
      const protection_domain_id = await this.domain();
      const ids: number[] = [];
      for (let number = 1; number <= SDS_COUNT; number++) {
        const sds = { name: `sds-${number}`, total_capacity_gb: 4, devices: "blk0", protection_domain_id };
        ids.push((await this.ok("POST", "/sds/add", sds)).id);
      }
      return ids;
    });
  }

  /** The SDCs. */
  sdcs(): Promise<number[]> {
    return this.#sdcs ??= (async () => {
      const ids: number[] = [];
      for (let number = 1; number <= SDC_COUNT; number++) {
        ids.push((await this.ok("POST", "/sdc/add", { name: `sdc-${number}` })).id);
      }
      return ids;
    })();
  }

  /** All of the topology, and no volume. */
  async cleanSlate(): Promise<Topology> {
    const [domainId, poolId, sdsIds, sdcIds] = [
      await this.domain(),
      await this.pool(),
      await this.sdss(),
      await this.sdcs(),
    ];
    for (const { id } of await this.ok("GET", "/vol/list")) {
      for (const { sdc_id } of (await this.ok("GET", `/vol/${id}`)).mappings) await this.unmap(id, sdc_id);
      await this.ok("DELETE", `/vol/${id}`);
    }
    return { domainId, poolId, sdsIds, sdcIds };
  }

  /** A volume in the pool; thin unless `fields` says otherwise. */
  async volume(name: string, size_gb: number, fields: object = {}): Promise<number> {
    const pool_id = await this.pool();
    return (await this.ok("POST", "/vol/create", { name, size_gb, provisioning: "thin", pool_id, ...fields })).id;
  }

  /** A clean slate with one volume, mapped to the first SDC. */
  async mapped(size_gb = 0.0625): Promise<{ readonly volumeId: number; readonly sdcId: number }> {
    const { sdcIds } = await this.cleanSlate();
    const volumeId = await this.volume("volume", size_gb);
    await this.map(volumeId, sdcIds[0]!);
    return { volumeId, sdcId: sdcIds[0]! };
  }

  async map(volumeId: number, sdcId: number, accessMode = "readWrite"): Promise<void> {
    const query = `volume_id=${volumeId}&sdc_id=${sdcId}&access_mode=${accessMode}`;
    assertEquals(await this.ok("POST", `/vol/map?${query}`), { status: "mapped" });
  }

  async unmap(volumeId: number, sdcId: number): Promise<void> {
    assertEquals(await this.ok("POST", `/vol/unmap?volume_id=${volumeId}&sdc_id=${sdcId}`), { status: "unmapped" });
  }

  /** The device port of an SDC, the first unless said otherwise, connected to a volume. The caller closes it. */
  async device(volumeId: number, sdcId?: number): Promise<JsonClient> {
    const id = sdcId ?? (await this.sdcs())[0];
    const records: readonly { id: number; component_id: string }[] = await this.ok("GET", "/sdc/list");
    const processName = records.find((record) => record.id === id)?.component_id;
    const { devicePort } = this.state.sdc.find(({ name }) => name === processName)!; // each record has its process
    const client = await JsonClient.connect(denoTransport, { hostname: "127.0.0.1", port: devicePort });
    const connected = await client.ask({ command: "CONNECT", volume_id: volumeId });
    assertEquals([connected.ok, connected.volume_id], [true, volumeId], connected.error);
    return client;
  }
}

/** One HTTP call with a JSON body. */
export async function httpCall(method: string, url: string, body?: unknown): Promise<Answer> {
  const response = await fetch(url, {
    method,
    headers: { Accept: "application/json", ...(body !== undefined && { "Content-Type": "application/json" }) },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  });
  return { status: response.status, body: await response.json() };
}

/** The first value of `read` that `accept` likes; asks again and again. The test runner's limit ends a hopeless wait. */
export async function eventually<Value>(
  read: () => Promise<Value>,
  accept: (value: Value) => boolean,
): Promise<Value> {
  while (true) {
    const value = await read();
    if (accept(value)) return value;
    await sleep(systemClock, POLL_MS);
  }
}

/** Bytes in base64. */
export function base64(data: Uint8Array): string {
  return Buffer.from(data).toString("base64");
}

/** Bytes that no part of which repeats soon. */
export function pattern(lengthBytes: number): Uint8Array {
  return Uint8Array.from({ length: lengthBytes }, (_, index) => (index * 7919) >> 5);
}
