/**
 * A real cluster on hosts of its own: each process in a network namespace with one address, all joined by a bridge in another
 * namespace, which also has a leg to the test. Links are cut, in one direction or both, by rules of nftables in the namespace that
 * then hears nothing; nothing is reset, packets are just lost.
 *
 * Needs root, `ip` and `nft`. Only the namespaces and one interface with random names are made; all go at the end.
 *
 * @module
 */
import { ensureTopology } from "@/scripts/demo/topology.ts";
import { MdmApi } from "@/scripts/demo/mdm_api.ts";
import { parseDemoOptions } from "@/scripts/demo/options.ts";
import { type DemoPlan, type Member, membersOf, planOf } from "@/scripts/demo/plan.ts";
import { roleCommand } from "@/scripts/roles.ts";
import { denoTransport } from "@/shared/transport_deno.ts";
import { type MdmAddress, until } from "@/tests/support/group_view.ts";
import { NbdClient } from "@/tests/support/nbd_client.ts";
import { result, run } from "@/tests/support/programs.ts";

/** Programs without which there is no such cluster. */
export const NETWORK_PROGRAMS = ["ip", "nft"] as const;

const START_MS_MAX = 30_000;
const STOP_MS_MAX = 20_000;
/** The bridge's leg to the test has the last address of the network. */
const TEST_HOST = 254;

/** See the module comment. */
export class NetworkCluster implements AsyncDisposable {
  readonly dir: string = Deno.makeTempDirSync();
  /** Begins the names of all namespaces and interfaces; at most 6 characters. */
  readonly #prefix = `pf${crypto.getRandomValues(new Uint16Array(1))[0]!.toString(16)}`;
  readonly #network = `10.${200 + random(50)}.${random(250)}`;
  readonly #plan: DemoPlan;
  readonly #processes = new Map<string, Deno.ChildProcess>();
  #token = "";

  private constructor(sdsCount: number) {
    const parsed = parseDemoOptions(["--data-dir", this.dir, "--sds", String(sdsCount)]);
    if (parsed.kind !== "options") throw new Error("The options of the demo changed");
    this.#plan = planOf(parsed.options, { dir: this.dir, temporaryDir: this.dir, hostIdentity: {} });
  }

  /** A healthy cluster with `sdsCount` SDSs and a mapped volume. */
  static async start(sdsCount = 3): Promise<NetworkCluster> {
    const cluster = new NetworkCluster(sdsCount);
    try {
      await cluster.#start();
      return cluster;
    } catch (error) {
      await cluster[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** The MDM, as the operator asks it from the test's leg of the bridge. */
  get mdm(): MdmAddress {
    return { url: this.#mdmUrl, headers: { Authorization: `Bearer ${this.#token}` } };
  }

  get sdsNames(): string[] {
    return this.#plan.sds.map(({ name }) => name);
  }

  /** `hearer` hears nothing more that `speaker` says. */
  async cut(speaker: string, hearer: string): Promise<void> {
    await this.#in(hearer, [
      "nft",
      "add",
      "rule",
      "inet",
      "cut",
      "heard",
      "ip",
      "saddr",
      this.#addressOf(speaker),
      "drop",
    ]);
  }

  /** Neither hears the other. */
  async cutBoth(one: string, other: string): Promise<void> {
    await Promise.all([this.cut(one, other), this.cut(other, one)]);
  }

  /** Every cut is undone. */
  async heal(): Promise<void> {
    await Promise.all(this.#names.map((name) => this.#in(name, ["nft", "flush", "chain", "inet", "cut", "heard"])));
  }

  /** kill -9. */
  async kill(name: string): Promise<void> {
    const process = this.#processes.get(name);
    if (process === undefined) throw new Error(`${name} does not run`);
    process.kill("SIGKILL");
    await process.status;
    this.#processes.delete(name);
  }

  /** Starts a process that was killed. */
  startAgain(name: string): void {
    this.#spawn(membersOf(this.#plan).find((member) => member.name === name)!);
  }

  /** Makes one more volume in the pool of the demo. @throws {Error} with the MDM's words when it refuses. */
  async addVolume(name: string): Promise<void> {
    const api = new MdmApi(this.#mdmUrl, { headers: this.mdm.headers! });
    const pool = (await api.overview()).pools[0]!;
    await api.create("/vol/create", { name, size_gb: 1, provisioning: "thin", pool_id: pool.poolId });
  }

  /** An NBD connection in transmission, by the SDC's unix socket; the caller closes it. */
  open = async (): Promise<NbdClient> => {
    const client = new NbdClient(await denoTransport.connect({ path: this.#plan.sdc[0]!.nbdSocket }));
    await client.go("demo");
    return client;
  };

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.#processes.values()].map(stopped));
    for (const name of [...this.#names, "switch"]) await result("ip", ["netns", "delete", this.#namespace(name)]);
    await Deno.remove(this.dir, { recursive: true });
  }

  get #names(): string[] {
    return this.#members.map(({ name }) => name);
  }

  get #members(): Member[] {
    return [this.#plan.mdm, ...this.#plan.sds, ...this.#plan.sdc];
  }

  get #mdmUrl(): string {
    return `http://${this.#addressOf("mdm")}:${this.#plan.mdm.ports[0]!.port}`;
  }

  #addressOf(name: string): string {
    return `${this.#network}.${1 + this.#names.indexOf(name)}`;
  }

  #namespace(name: string): string {
    return `${this.#prefix}-${name}`;
  }

  async #in(name: string, command: readonly string[]): Promise<void> {
    await run("ip", ["netns", "exec", this.#namespace(name), ...command]);
  }

  async #start(): Promise<void> {
    await this.#layCables();
    this.#spawn(this.#plan.mdm);
    const tokenFile = `${this.#plan.mdm.dir}/operator.token`;
    await until({ limitMs: START_MS_MAX, problem: () => "The MDM did not start" }, async () => {
      this.#token = (await Deno.readTextFile(tokenFile)).trim();
      return (await fetch(`${this.#mdmUrl}/healthz`)).ok;
    });
    for (const member of [...this.#plan.sds, ...this.#plan.sdc]) this.#spawn(member);
    const api = new MdmApi(this.#mdmUrl, { headers: this.mdm.headers! });
    const names = [...this.#plan.sds, ...this.#plan.sdc].map(({ name }) => name);
    await until({ limitMs: START_MS_MAX, problem: () => "Not every process registered" }, async () => {
      const nodes = await api.clusterNodes();
      return names.every((name) => nodes.has(name));
    });
    await ensureTopology(this.#plan, api);
    await until({ limitMs: START_MS_MAX, problem: () => "The volume is not served" }, async () => {
      (await this.open()).connection.close();
      return true;
    });
  }

  /** One bridge, and a cable from it to every namespace and to the test. */
  async #layCables(): Promise<void> {
    const bridge = this.#namespace("switch");
    await run("ip", ["netns", "add", bridge]);
    await run("ip", ["-n", bridge, "link", "add", "br0", "type", "bridge"]);
    await run("ip", ["-n", bridge, "link", "set", "br0", "up"]);
    for (const [index, name] of this.#names.entries()) {
      const namespace = this.#namespace(name);
      await run("ip", ["netns", "add", namespace]);
      const port = `port${index}`;
      await run("ip", ["-n", bridge, "link", "add", port, "type", "veth", "peer", "name", "eth0", "netns", namespace]);
      await run("ip", ["-n", bridge, "link", "set", port, "master", "br0", "up"]);
      await run("ip", ["-n", namespace, "address", "add", `${this.#addressOf(name)}/24`, "dev", "eth0"]);
      for (const device of ["eth0", "lo"]) await run("ip", ["-n", namespace, "link", "set", device, "up"]);
      await this.#in(name, [
        "nft",
        "add table inet cut; add chain inet cut heard { type filter hook input priority 0 ; }",
      ]);
    }
    const leg = `${this.#prefix}-test`;
    await run("ip", ["link", "add", leg, "type", "veth", "peer", "name", "test", "netns", bridge]);
    await run("ip", ["-n", bridge, "link", "set", "test", "master", "br0", "up"]);
    await run("ip", ["address", "add", `${this.#network}.${TEST_HOST}/24`, "dev", leg]);
    await run("ip", ["link", "set", leg, "up"]);
  }

  #spawn(member: Member): void {
    const environment = {
      ...member.environment,
      ...this.#joinToken(member),
      POWERFLEX_AUTH: "token",
      POWERFLEX_BIND_HOST: this.#addressOf(member.name),
      POWERFLEX_MDM_BASE_URL: this.#mdmUrl,
      POWERFLEX_NET: `${this.#network}.0/24`,
      POWERFLEX_LOG_LEVEL: "debug",
      POWERFLEX_BOOT_ID: `boot-${this.#prefix}`,
      POWERFLEX_HOST_ID: `host-${member.name}`,
    };
    const { executable, args, cwd } = roleCommand(member.role, environment);
    Deno.mkdirSync(`${this.dir}/log`, { recursive: true });
    const shell = ["sh", "-c", 'log=$1; shift; exec "$@" >> "$log" 2>&1', "sh", `${this.dir}/log/${member.name}.log`];
    const process = new Deno.Command("ip", {
      args: ["netns", "exec", this.#namespace(member.name), ...shell, executable, ...args],
      cwd,
      env: environment,
      stdin: "null",
    }).spawn();
    this.#processes.set(member.name, process);
  }

  #joinToken(member: Member): Record<string, string> {
    if (member.role === "mdm") return {};
    return { POWERFLEX_JOIN_TOKEN: Deno.readTextFileSync(`${this.#plan.mdm.dir}/join.token`).trim() };
  }
}

function random(limit: number): number {
  return crypto.getRandomValues(new Uint32Array(1))[0]! % limit;
}

/** Ends a process, by force if it does not stop. */
async function stopped(process: Deno.ChildProcess): Promise<void> {
  const kill = (signal: Deno.Signal) => {
    try {
      process.kill(signal);
    } catch (error) {
      if (!(error instanceof TypeError)) throw error; // it has ended
    }
  };
  kill("SIGTERM");
  const limit = setTimeout(() => kill("SIGKILL"), STOP_MS_MAX);
  await process.status;
  clearTimeout(limit);
}
