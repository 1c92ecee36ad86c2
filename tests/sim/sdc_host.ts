/**
 * An SDC of a simulated cluster: the real application, without NBD, over a store that survives its crashes.
 *
 * @module
 */
import { BackupFolder } from "@/shared/backup_folder.ts";
import { createSdc, type Sdc } from "@/sdc/app.ts";
import type { BlockDevice } from "@/sdc/block_device.ts";
import { SdcStore } from "@/sdc/store/store.ts";
import { QUEUE_DEPTH, TIMES } from "@/shared/constants.ts";
import { logger } from "@/shared/log.ts";
import type { KeyStore } from "@/shared/node_client.ts";
import { SimProcess, type World } from "@/tests/sim/process.ts";
import type { SeededRandom } from "@/tests/sim/seeded_random.ts";

const PORTS = { controlPort: 8003, mgmtPort: 8004, devicePort: 8005, nbdPort: 10809 } as const;

/** One host with one SDC. */
export class SdcHost {
  readonly process: SimProcess;
  readonly #options: { readonly mdmUrl: string; readonly joinToken: string };
  readonly #store = new SdcStore({ chunks: ":memory:", local: ":memory:" });
  readonly #keys: KeyStore = memoryKeys();
  #sdc: Sdc | undefined;

  constructor(
    name: string,
    options: {
      readonly world: World;
      readonly random: SeededRandom;
      readonly mdmUrl: string;
      readonly joinToken: string;
    },
  ) {
    this.process = new SimProcess(name, options);
    this.#options = options;
  }

  get name(): string {
    return this.process.name;
  }

  /** The mapped volume; undefined while the process is down or stopped, or the volume is not mapped. */
  device(volumeId: number): BlockDevice | undefined {
    if (!this.process.running || this.process.paused) return undefined;
    return this.#sdc?.volumes.openById(volumeId);
  }

  start(): void {
    const { clock, random, transport, http, serveHttp } = this.process.start();
    const { mdmUrl, joinToken } = this.#options;
    const sdc = createSdc({
      clock,
      random,
      transport,
      httpSend: http,
      log: logger("sim", this.name),
      store: this.#store,
      keys: this.#keys,
      backups: new BackupFolder("never-made", clock),
      settings: {
        nodeId: this.name,
        mdmUrl,
        advertiseHost: this.name,
        ...PORTS,
        joinToken,
        bootId: `${this.name}-boot`,
        hostId: `${this.name}-host`,
        times: TIMES,
        queueDepth: QUEUE_DEPTH,
      },
    });
    serveHttp(PORTS.controlPort, (request) => sdc.control.fetch(request));
    serveHttp(PORTS.mgmtPort, (request) => sdc.management.fetch(request));
    this.#sdc = sdc;
  }

  crash(options: { readonly hostDown: boolean }): void {
    this.process.crash(options);
  }

  /** At the end of a run. */
  close(): void {
    this.process.crash();
    this.#store[Symbol.dispose]();
  }
}

function memoryKeys(): KeyStore {
  let key: string | undefined;
  return {
    load: () => key,
    save(nodeKeyHex) {
      key = nodeKeyHex;
    },
  };
}
