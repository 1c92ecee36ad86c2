/**
 * What connects one volume to the cluster: its routes, its token and its place at each SDS. The volume above only asks for
 * the target of a group.
 *
 * @module
 */
import type { SdcContext } from "@/sdc/context.ts";
import { NO_SDS } from "@/sdc/core/route_table.ts";
import type { SdsPeer, SdsPeers } from "@/sdc/remote/sds_peer.ts";
import { TokenKeeper } from "@/sdc/remote/token_keeper.ts";
import { VolumeAtSds, type VolumeAtSdsOwner } from "@/sdc/remote/volume_at_sds.ts";
import type { VolumeCalls } from "@/sdc/remote/volume_calls.ts";
import { VolumeRoutes, type VolumeRoutesOwner } from "@/sdc/remote/volume_routes.ts";
import type { SessionTokenAnswer, VolumeMap } from "@/shared/api/sdc.ts";
import type { Clock } from "@/shared/clock.ts";
import { CHUNK_BYTES } from "@/shared/constants.ts";
import type { Random } from "@/shared/random.ts";

/** The SDC's session, from its registration on. */
export interface SessionScope {
  readonly peers: SdsPeers;
  /** Half of every opId. */
  readonly opSession: number;
  /** The other half: from 1, never the same twice. */
  nextOpSeq(): number;
}

/** What a link tells the volume above it. */
export interface VolumeLinkUser {
  /** Epoch or SDS of these groups changed; at the first map, of all. */
  routesChanged(pgIndexes: readonly number[]): void;
  /** Requests may go to this SDS under a fresh token. */
  handleOpened(target: VolumeAtSds): void;
  /** Indexes of the groups that requests wait for. */
  suspects(): readonly number[];
  /** True while requests wait for a route that works, besides those that wait at an SDS. */
  needsRoutes(): boolean;
  /** The cluster says that this SDC may not use the volume any more. */
  fenced(reason: string): void;
}

/** See the module comment. */
export class VolumeLink implements VolumeAtSdsOwner, VolumeRoutesOwner {
  readonly routes: VolumeRoutes;
  readonly clock: Clock;
  readonly random: Random;
  /** Size in the newest map. */
  mapSizeBytes = 0;
  /** Size that the newest token covers; 0 before the first. */
  sizeBytes = 0;
  readonly #tokens: TokenKeeper;
  readonly #session: () => SessionScope;
  readonly #targets = new Map<number, VolumeAtSds>();
  #user: VolumeLinkUser | undefined;
  #closed = false;

  /** @param options.session asked when a map is there: calls succeed only after the SDC is registered. */
  constructor(
    context: SdcContext,
    options: { readonly calls: VolumeCalls; readonly session: () => SessionScope },
  ) {
    const { calls } = options;
    this.clock = context.clock;
    this.random = context.random;
    this.#session = options.session;
    this.routes = new VolumeRoutes(context, { calls, owner: this });
    this.#tokens = new TokenKeeper(context, {
      calls,
      owner: { tokenRenewed: (answer) => this.#tokenRenewed(answer), fenced: (reason) => this.fenced(reason) },
    });
  }

  /** Begins to serve `user`: fetches map and token. */
  attach(user: VolumeLinkUser): void {
    this.#user = user;
    this.routes.want();
    this.#tokens.want();
  }

  get opSession(): number {
    return this.#session().opSession;
  }

  nextOpSeq(): number {
    return this.#session().nextOpSeq();
  }

  /** The volume at the SDS that is primary of the group; undefined while none is known. */
  targetOf(pgIndex: number): VolumeAtSds | undefined {
    const sdsId = this.routes.table!.sdsIds[pgIndex]!; // whoever has a pgIndex had the table
    return sdsId === NO_SDS ? undefined : this.#targets.get(sdsId);
  }

  /** As {@linkcode RouteTable.copyCountOf} for a range that is not empty; undefined before the first map too. */
  copyCountOf(range: { readonly offsetBytes: number; readonly lengthBytes: number }): number | undefined {
    const endBytes = range.offsetBytes + range.lengthBytes;
    const [first, last] = [range.offsetBytes, endBytes - 1].map((atBytes) => Math.floor(atBytes / CHUNK_BYTES));
    return this.routes.table?.copyCountOf(first!, last!);
  }

  /** Epoch under which a chunk is asked for now; undefined before the first map. */
  epochOfChunk(chunkIndex: number): number | undefined {
    const { table } = this.routes;
    return table?.epochs[table.pgIndexOfChunk(chunkIndex)];
  }

  targets(): readonly VolumeAtSds[] {
    return [...this.#targets.values()];
  }

  peers(): readonly SdsPeer[] {
    return this.targets().map((target) => target.peer);
  }

  token(): string | undefined {
    return this.#tokens.text;
  }

  wantToken(): void {
    if (!this.#closed) this.#tokens.want();
  }

  wantMap(): void {
    if (!this.#closed) this.routes.want();
  }

  mapArrived(map: VolumeMap): void {
    if (this.#closed) return;
    this.mapSizeBytes = map.sizeBytes;
    for (const endpoint of map.sdss) {
      const peer = this.#session().peers.at(endpoint);
      if (!this.#targets.has(endpoint.sdsId)) this.#targets.set(endpoint.sdsId, new VolumeAtSds(peer, this));
    }
  }

  routesChanged(pgIndexes: readonly number[]): void {
    if (!this.#closed) this.#user?.routesChanged(pgIndexes);
  }

  needsRoutes(): boolean {
    if (this.#closed || this.#user === undefined) return false;
    return this.#user.needsRoutes() ||
      this.targets().some((target) => target.waitingCount > 0 && target.handle === undefined);
  }

  suspects(): readonly number[] {
    return this.#user?.suspects() ?? [];
  }

  handleOpened(target: VolumeAtSds): void {
    if (!this.#closed) this.#user?.handleOpened(target);
  }

  fenced(reason = "an SDS says that this session is revoked"): void {
    if (!this.#closed) this.#user?.fenced(reason);
  }

  /** Gives up token, routes and handles. */
  close(): void {
    this.#closed = true;
    this.routes.close();
    this.#tokens.close();
    for (const target of this.#targets.values()) target.close();
  }

  /** The handles are renewed before the new size shows, so that no request is ahead of its token. */
  #tokenRenewed(answer: SessionTokenAnswer): void {
    for (const target of this.#targets.values()) target.tokenRenewed();
    this.sizeBytes = answer.sizeBytes;
  }
}
