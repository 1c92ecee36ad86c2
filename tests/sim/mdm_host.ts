/**
 * The MDM of a simulated cluster: the real application over a database that survives its crashes.
 *
 * @module
 */
import { DatabaseSync } from "node:sqlite";
import { createMdm, type Mdm } from "@/mdm/app.ts";
import type { MdmOptions } from "@/mdm/options.ts";
import { preparedDatabase } from "@/mdm/store/database.ts";
import { assert } from "@/shared/errors.ts";
import { ALL_GUARDS, type Guards } from "@/shared/guards.ts";
import { logger } from "@/shared/log.ts";
import { SimProcess, type World } from "@/tests/sim/process.ts";
import type { SeededRandom } from "@/tests/sim/seeded_random.ts";

/** Port of its API. */
export const MDM_PORT = 8001;

/** One host with one MDM. */
export class MdmHost {
  readonly process: SimProcess;
  #sqlite = new DatabaseSync(":memory:");
  #backup: Uint8Array | undefined;
  readonly #options: Partial<MdmOptions>;
  readonly #guards: Guards;
  #mdm: Mdm | undefined;

  constructor(
    name: string,
    options: {
      readonly world: World;
      readonly random: SeededRandom;
      readonly mdm: Partial<MdmOptions>;
      readonly guards?: Guards;
    },
  ) {
    this.process = new SimProcess(name, options);
    this.#options = options.mdm;
    this.#guards = options.guards ?? ALL_GUARDS;
  }

  get name(): string {
    return this.process.name;
  }

  get url(): string {
    return `http://${this.name}:${MDM_PORT}`;
  }

  /** What it knows now; the MDM runs. */
  get context(): Mdm["context"] {
    assert(this.#mdm !== undefined, "the MDM was started");
    return this.#mdm.context;
  }

  start(): void {
    const { clock, random, http, serveHttp } = this.process.start();
    const mdm = createMdm({
      db: preparedDatabase(this.#sqlite),
      clock,
      random,
      send: http,
      log: logger("sim", this.name),
      options: this.#options,
      guards: this.#guards,
    });
    serveHttp(MDM_PORT, (request) => mdm.app.fetch(request));
    this.#mdm = mdm;
  }

  /** Keeps a copy of the database as it is now. */
  backUp(): void {
    this.#backup = this.#sqlite.serialize();
  }

  /** The MDM dies and starts over the copy: whatever it decided since is forgotten. */
  rollBack(): void {
    assert(this.#backup !== undefined, "a copy was made");
    this.process.crash();
    this.#sqlite.close();
    this.#sqlite = new DatabaseSync(":memory:");
    this.#sqlite.deserialize(this.#backup);
    this.start();
  }

  crash(options: { readonly hostDown: boolean }): void {
    this.process.crash(options);
  }

  /** At the end of a run. */
  close(): void {
    this.process.crash();
    this.#sqlite.close();
  }
}
