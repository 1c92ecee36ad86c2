/**
 * An SDS of a simulated cluster: the real application over a memory disk and a database that survive its crashes.
 *
 * @module
 */
import { type Sds, startSds } from "@/sds/app.ts";
import type { DeviceLimits } from "@/sds/device/limits.ts";
import type { ReplicaDevice } from "@/sds/replication/replica_device.ts";
import type { Clock } from "@/shared/clock.ts";
import { REGIONS_KEPT_SET, TIMES } from "@/shared/constants.ts";
import { assert } from "@/shared/errors.ts";
import { ALL_GUARDS, type Guards } from "@/shared/guards.ts";
import { logger } from "@/shared/log.ts";
import { SimProcess, type World } from "@/tests/sim/process.ts";
import type { SeededRandom } from "@/tests/sim/seeded_random.ts";
import { MemoryDisk } from "@/tests/support/memory_disk.ts";

const PORTS = { controlPort: 9100, mgmtPort: 9200, dataPort: 9700 } as const;
/** Small batches, so that a run does not spend its time on zeroing, and runs out of slots now and then. */
const LIMITS: Partial<DeviceLimits> = { slotReserveCount: 4, spareBytes: 2 ** 17 };
/** So many SDSs read off the event loop, as if nothing were in the page cache. */
const COLD_CHANCE = 0.3;
const REBUILD_BYTES_PER_SECOND = 100 * 1024 * 1024;
/** Time of an asynchronous disk operation, in ms: this at least, up to this, and now and then up to the last. */
const DISK_MS = { min: 0.1, max: 3, slowChance: 0.02, slow: 150 } as const;

/** How an SDS is started, each time. */
export interface SdsHostOptions {
  readonly world: World;
  readonly random: SeededRandom;
  readonly mdmUrl: string;
  readonly joinToken: string;
  readonly regionsKeptSet?: number;
  readonly guards?: Guards;
}

/** One host with one SDS. */
export class SdsHost {
  readonly process: SimProcess;
  readonly #options: SdsHostOptions;
  /** Holds `sds_local.db`, whose only row that matters is committed with a sync: it loses nothing. */
  readonly #localDisk = new MemoryDisk();
  readonly #disks = new Map<string, MemoryDisk>();
  readonly #random: SeededRandom;
  #bootCount = 1;
  #clock: Clock | undefined;
  #sds: Sds | undefined;

  constructor(
    name: string,
    options: SdsHostOptions,
  ) {
    this.process = new SimProcess(name, options);
    this.#options = options;
    this.#random = options.random.fork(`${name}/disk`);
  }

  get name(): string {
    return this.process.name;
  }

  /** Its devices, as long as it runs. */
  get devices(): readonly ReplicaDevice[] {
    return this.process.running ? this.#sds?.devices.all ?? [] : [];
  }

  start(): void {
    this.#endDisks();
    const { clock, random, transport, http, serveHttp } = this.process.start();
    this.#clock = clock;
    const { mdmUrl, joinToken, guards = ALL_GUARDS } = this.#options;
    const sds = startSds({
      settings: {
        nodeId: this.name,
        mdmUrl,
        advertiseHost: this.name,
        ...PORTS,
        bootId: `${this.name}-boot-${this.#bootCount}`,
        hostId: `${this.name}-host`,
        rebuildBytesPerSecond: REBUILD_BYTES_PER_SECOND,
        regionsKeptSet: this.#options.regionsKeptSet ?? REGIONS_KEPT_SET,
        times: TIMES,
      },
      joinToken,
      clock,
      random,
      transport,
      httpSend: http,
      log: logger("sim", this.name),
      database: this.#localDisk.openDatabase("sds_local.db"),
      limits: { ...LIMITS, coldReadMs: this.#random.chance(COLD_CHANCE) ? 0 : Infinity },
      dataListener: transport.listen({ hostname: this.name, port: PORTS.dataPort }),
      diskOf: (name) => this.#disk(name),
      guards,
    });
    serveHttp(PORTS.controlPort, (request) => sds.control.fetch(request));
    serveHttp(PORTS.mgmtPort, (request) => sds.management.fetch(request));
    this.#sds = sds;
  }

  /** The process ends between two of its steps; what it wrote stays in the page cache, unless its host loses power. */
  crash(options: { readonly hostDown: boolean }): void {
    this.process.crash(options);
    this.#endDisks();
    if (!options.hostDown) return;
    this.#bootCount++;
    for (const disk of this.#disks.values()) disk.powerLoss(this.#random);
  }

  /** SIGTERM: the process stops cleanly and is gone, unless it is killed while it stops. */
  async stop(): Promise<void> {
    const { startCount } = this.process;
    try {
      await this.#sds?.stop();
    } catch (error) {
      // Killed within a disk operation: nobody is left who could stop.
      if (this.process.running) throw error;
    }
    if (this.process.startCount === startCount) this.crash({ hostDown: false });
  }

  /** The process ends within one of the next disk operations, of which a part may be done. */
  crashSoon(): void {
    const disks = [...this.#disks.values()];
    if (disks.length === 0 || !this.process.running) return;
    const disk = this.#random.pick(disks);
    disk.inject({ operations: ["write", "sync"], skip: this.#random.integer(0, 40), times: 1, effect: "crash" });
  }

  /** Takes `crashSoon` back if it has not struck. */
  spareDisks(): void {
    for (const disk of this.#disks.values()) disk.clearFaults();
  }

  /** At the end of a run. */
  close(): void {
    this.crash({ hostDown: false });
  }

  #endDisks(): void {
    for (const disk of [this.#localDisk, ...this.#disks.values()]) disk.crash();
  }

  #disk(name: string): MemoryDisk {
    const known = this.#disks.get(name);
    if (known !== undefined) return known;
    const random = this.#random;
    const disk = new MemoryDisk({
      path: `${this.name}/${name}`,
      clock: this.#forwardedClock(),
      delayMs: () => random.between(DISK_MS.min, random.chance(DISK_MS.slowChance) ? DISK_MS.slow : DISK_MS.max),
      onCrash: () => this.process.crash(),
    });
    this.#disks.set(name, disk);
    return disk;
  }

  /** The disk outlives the process: it takes its time from the clock of whichever incarnation runs. */
  #forwardedClock(): Clock {
    const clock = () => {
      assert(this.#clock !== undefined, "a disk is used by a process that was started");
      return this.#clock;
    };
    return {
      monotonicMs: () => clock().monotonicMs(),
      wallMs: () => clock().wallMs(),
      setTimer: (delayMs, callback) => clock().setTimer(delayMs, callback),
    };
  }
}
