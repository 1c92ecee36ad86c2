/**
 * Writes that were given up while nobody knows whether they took effect, or will: a copy of the request may still wait at an
 * SDS. Their blocks stay locked until no such copy can start any more, so that it never lands on top of a newer write: until
 * a newer lane is open at the group's current primary under the current epoch (3.7).
 *
 * @module
 */
import type { SdsPeer } from "@/sdc/remote/sds_peer.ts";
import type { UnknownAttempt, VolumeRequest } from "@/sdc/remote/volume_request.ts";

interface AbandonedWrite {
  readonly request: VolumeRequest;
  readonly attempts: readonly (UnknownAttempt & { readonly pgIndex: number })[];
}

/** The abandoned writes of one volume. */
export class AbandonedWrites {
  #writes: AbandonedWrite[] = [];

  get count(): number {
    return this.#writes.length;
  }

  /** Groups whose lane or route must be renewed before blocks become free. */
  pgIndexes(): readonly number[] {
    return [...new Set(this.#writes.flatMap(({ attempts }) => attempts.map(({ pgIndex }) => pgIndex)))];
  }

  add(write: AbandonedWrite): void {
    this.#writes.push(write);
  }

  /** Takes out the writes that can have no effect any more; `primaryOf` gives the SDS that serves a group now. */
  takeSettled(primaryOf: (pgIndex: number) => SdsPeer | undefined): readonly VolumeRequest[] {
    const isOver = ({ pgIndex, peer, lane }: AbandonedWrite["attempts"][number]) => {
      const primary = primaryOf(pgIndex);
      if (primary?.lane === undefined) return false;
      return primary !== peer || primary.lane.number > lane;
    };
    const settled = this.#writes.filter(({ attempts }) => attempts.every(isOver));
    this.#writes = this.#writes.filter((write) => !settled.includes(write));
    return settled.map(({ request }) => request);
  }

  clear(): void {
    this.#writes = [];
  }
}
