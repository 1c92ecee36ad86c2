/**
 * Keeps the routes of one volume current: one call for the map at a time, for whoever needs it, again and again at most
 * 250 ms apart while requests wait for it. When the MDM is away, the SDSs are asked for configurations: any member answers.
 *
 * @module
 */
import type { SdcContext } from "@/sdc/context.ts";
import { RouteTable } from "@/sdc/core/route_table.ts";
import type { SdsPeer } from "@/sdc/remote/sds_peer.ts";
import type { VolumeCalls } from "@/sdc/remote/volume_calls.ts";
import { WantedLoop } from "@/sdc/remote/wanted_loop.ts";
import type { PgConfig } from "@/shared/api/pg.ts";
import type { VolumeMap } from "@/shared/api/sdc.ts";
import { StorageError } from "@/shared/errors.ts";

/** Longest pause between two looks at the map while requests wait, in ms. */
export const MAP_PAUSE_MS_MAX = 250;
/** Groups that one get_configs asks for. */
const CONFIGS_PER_CALL_MAX = 4_096;

/** What the routes are kept for. */
export interface VolumeRoutesOwner {
  /** A map came: its SDSs and the volume's size. Before the routes are used. */
  mapArrived(map: VolumeMap): void;
  /** Epoch or SDS of these groups changed; at the first map, of all. */
  routesChanged(pgIndexes: readonly number[]): void;
  /** True while requests wait for a route that works. */
  needsRoutes(): boolean;
  /** Indexes of the groups whose requests wait. */
  suspects(): readonly number[];
  /** The SDSs of the volume. */
  peers(): readonly SdsPeer[];
  fenced(reason: string): void;
}

/** See the module comment. */
export class VolumeRoutes {
  /** Undefined until the first map. */
  table: RouteTable | undefined;
  readonly #context: SdcContext;
  readonly #calls: VolumeCalls;
  readonly #owner: VolumeRoutesOwner;
  readonly #loop: WantedLoop;
  /** The last call at the MDM failed: SDSs are asked beside it. */
  #mdmIsAway = false;

  constructor(context: SdcContext, options: { readonly calls: VolumeCalls; readonly owner: VolumeRoutesOwner }) {
    this.#context = context;
    this.#calls = options.calls;
    this.#owner = options.owner;
    const { clock, random } = context;
    this.#loop = new WantedLoop({ clock, random, pauseMsMax: MAP_PAUSE_MS_MAX, run: () => this.#refresh() });
  }

  /** The routes are in doubt: look for newer ones. */
  want(): void {
    this.#loop.want();
  }

  close(): void {
    this.#loop.close();
  }

  async #refresh(): Promise<boolean> {
    const asked = this.#mdmIsAway ? this.#askMembers() : undefined;
    try {
      const map = await this.#calls.fetchMap();
      this.#mdmIsAway = false;
      this.#adopt(map);
    } catch (error) {
      if (!(error instanceof StorageError)) throw error;
      if (error.code === "fenced") {
        this.#owner.fenced(error.message);
        return false;
      }
      if (!this.#mdmIsAway) this.#context.log.info("Cannot fetch the map: {reason}", { reason: error.message });
      this.#mdmIsAway = true;
      if (asked === undefined) await this.#askMembers();
    }
    await asked;
    return this.table === undefined || this.#owner.needsRoutes();
  }

  #adopt(map: VolumeMap): void {
    this.#owner.mapArrived(map);
    if (this.table === undefined) {
      this.table = new RouteTable(map);
      this.#owner.routesChanged(Array.from({ length: map.pgCount }, (_, index) => index));
    } else {
      this.#changed(this.table.merge(map));
    }
  }

  #changed(pgIndexes: readonly number[]): void {
    if (pgIndexes.length > 0) this.#owner.routesChanged(pgIndexes);
  }

  /** Asks every SDS of the volume for the configurations of the groups in doubt. Never rejects. */
  async #askMembers(): Promise<void> {
    const table = this.table;
    if (table === undefined) return;
    const pgIds = this.#owner.suspects().slice(0, CONFIGS_PER_CALL_MAX).map((pgIndex) => table.pgIds[pgIndex]!);
    if (pgIds.length === 0) return;
    await Promise.all(
      this.#owner.peers().map(async (peer) => {
        const configs = await configsOf(peer, pgIds);
        if (configs !== undefined) this.#changed(table.mergeConfigs(configs));
      }),
    );
  }
}

/** The configurations that an SDS has of these groups; undefined when it cannot be asked now. */
async function configsOf(peer: SdsPeer, pgIds: readonly number[]): Promise<readonly PgConfig[] | undefined> {
  if (peer.lane === undefined) {
    peer.wake();
    return undefined;
  }
  try {
    const answer = await peer.lane.request({ kind: "get_configs", pgIds });
    return answer.kind === "configs" ? answer.configs : undefined;
  } catch (error) {
    if (error instanceof StorageError) return undefined;
    throw error;
  }
}
