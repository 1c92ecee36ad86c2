/**
 * An SDS of a simulated cluster: the real application over a memory disk and a database that survive its crashes.
 *
 * @module
 */
import { type Sds, startSds } from "@/sds/app.ts";
import type { ScrubSettings } from "@/sds/replication/scrub.ts";
import type { DeviceLimits } from "@/sds/device/limits.ts";
import type { ReplicaDevice } from "@/sds/replication/replica_device.ts";
import { BackupFolder } from "@/shared/backup_folder.ts";
import type { Clock } from "@/shared/clock.ts";
import { REGIONS_KEPT_SET, TIMES } from "@/shared/constants.ts";
import { CHECKSUMS_FILE, DATA_FILE, INTENTS_FILE } from "@/sds/device/layout.ts";
import { assert, unreachable } from "@/shared/errors.ts";
import { ALL_GUARDS, type Guards } from "@/shared/guards.ts";
import { logger } from "@/shared/log.ts";
import { SimProcess, type World } from "@/tests/sim/process.ts";
import type { SeededRandom } from "@/tests/sim/seeded_random.ts";
import { MemoryDisk } from "@/tests/support/memory_disk.ts";

/** What a manager of a simulated SDS shows. */
export const MANAGEMENT_TOKEN = "token-of-the-manager";
const PORTS = { controlPort: 9100, mgmtPort: 9200, dataPort: 9700 } as const;
/** Small batches, so that a run does not spend its time on zeroing, and runs out of slots now and then. */
const LIMITS: Partial<DeviceLimits> = { slotReserveCount: 4, spareBytes: 2 ** 17 };
/** So many SDSs read off the event loop, as if nothing were in the page cache. */
const COLD_CHANCE = 0.3;
const REBUILD_BYTES_PER_SECOND = 100 * 1024 * 1024;
/** Not within the time of a run, unless a test or story wants it. */
const SCRUB: ScrubSettings = { intervalMs: 7 * 24 * 3_600_000, bytesPerSecond: 100 * 1024 * 1024 };
/** Time of an asynchronous disk operation, in ms: this at least, up to this, and now and then up to the last. */
const DISK_MS = { min: 0.1, max: 3, slowChance: 0.02, slow: 150 } as const;

/** What may go wrong with a disk. A failed write or sync ends its use for ever; lost and misplaced writes and rot are silent. */
export type DiskHarm =
  | { readonly kind: "eio_write" | "eio_sync" | "eio_read" | "lost_write" | "misplaced_write" | "rot" | "full" }
  /** Asynchronous operations end so much later. */
  | { readonly kind: "stall"; readonly forMs: number };

/** Bits that flip at once, anywhere in the data. */
const ROTTEN_BITS = 200;

/** How an SDS is started, each time. */
export interface SdsHostOptions {
  readonly world: World;
  readonly random: SeededRandom;
  readonly mdmUrl: string;
  readonly joinToken: string;
  readonly regionsKeptSet?: number;
  readonly scrub?: ScrubSettings;
  readonly guards?: Guards;
  readonly times?: Record<keyof typeof TIMES, number>;
}

/** One host with one SDS. */
export class SdsHost {
  readonly process: SimProcess;
  /** How often its management listener was asked for a stop. */
  stopWantedCount = 0;
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

  /** Its HTTP applications, as long as it runs. */
  apps() {
    return this.#sds === undefined ? [] : [this.#sds.control, this.#sds.management];
  }

  start(): void {
    this.#endDisks();
    const { clock, random, transport, http, serveHttp } = this.process.start();
    this.#clock = clock;
    const { mdmUrl, joinToken, guards = ALL_GUARDS, times = TIMES } = this.#options;
    const sds = startSds({
      settings: {
        nodeId: this.name,
        mdmUrl,
        advertiseHost: this.name,
        ...PORTS,
        bootId: `${this.name}-boot-${this.#bootCount}`,
        hostId: `${this.name}-host`,
        rebuildBytesPerSecond: REBUILD_BYTES_PER_SECOND,
        scrub: this.#options.scrub ?? SCRUB,
        regionsKeptSet: this.#options.regionsKeptSet ?? REGIONS_KEPT_SET,
        times,
      },
      joinToken,
      clock,
      random,
      transport,
      httpSend: http,
      log: logger("sim", this.name),
      database: this.#localDisk.openDatabase("sds_local.db"),
      limits: {
        ...LIMITS,
        intentClearMs: times.intentClearMs,
        coldReadMs: this.#random.chance(COLD_CHANCE) ? 0 : Infinity,
      },
      dataListener: transport.listen({ hostname: this.name, port: PORTS.dataPort }),
      backups: new BackupFolder("never-made", clock),
      managementToken: MANAGEMENT_TOKEN,
      storageRoot: `${this.name}`,
      stopWanted: () => this.stopWantedCount++,
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

  /** The disk of its first device, which the MDM has assigned. */
  get disk(): MemoryDisk {
    const disk = [...this.#disks.values()][0];
    assert(disk !== undefined, `${this.name} has a device`);
    return disk;
  }

  /** The process ends within one of the next disk operations, of which a part may be done. */
  crashSoon(): void {
    const disks = [...this.#disks.values()];
    if (disks.length === 0 || !this.process.running) return;
    const disk = this.#random.pick(disks);
    disk.inject({ operations: ["write", "sync"], skip: this.#random.integer(0, 40), times: 1, effect: "crash" });
  }

  /** Lets something go wrong with its disk. False: it has none yet, or does not run. */
  harmDisk(harm: DiskHarm): boolean {
    const disk = [...this.#disks.values()][0];
    if (disk === undefined || !this.process.running) return false;
    const random = this.#random;
    switch (harm.kind) {
      case "eio_write":
      case "eio_sync": {
        const file = random.pick([DATA_FILE, CHECKSUMS_FILE, INTENTS_FILE]);
        const operations = [harm.kind === "eio_sync" ? "sync" as const : "write" as const];
        disk.inject({ operations, file, skip: random.integer(0, 10), times: 1, effect: "EIO" });
        return true;
      }
      case "eio_read":
        disk.inject({ operations: ["read"], file: DATA_FILE, skip: random.integer(0, 10), times: 2, effect: "EIO" });
        return true;
      case "lost_write":
      case "misplaced_write": {
        const effect = harm.kind === "lost_write" ? "lost" as const : "misplaced" as const;
        disk.inject({ operations: ["write"], file: DATA_FILE, skip: random.integer(0, 10), times: 1, effect });
        return true;
      }
      case "rot": {
        if (!disk.exists(DATA_FILE)) return false;
        const sizeBytes = disk.sizeOf(DATA_FILE);
        const flip = () => disk.flipBit(DATA_FILE, { positionBytes: random.integer(0, sizeBytes - 1) });
        for (let count = 0; count < ROTTEN_BITS && sizeBytes > 0; count++) flip();
        return true;
      }
      case "full":
        disk.fill(true);
        return true;
      case "stall":
        disk.stall(harm.forMs);
        return true;
      default:
        return unreachable(harm);
    }
  }

  /** Takes back what has not struck. */
  spareDisks(): void {
    for (const disk of this.#disks.values()) {
      disk.clearFaults();
      disk.fill(false);
    }
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
