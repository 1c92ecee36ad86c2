/**
 * What IO runs under: one mapping generation of a volume for one SDC, as a handle or a single-use token has it, with the count of
 * what was started and has not ended (replication design, section 6.4). A grant outlives the connection that brought it, until
 * nothing runs under it: so a revocation waits for what a closed session has started, and for nothing of other volumes.
 *
 *   open ── revoke ──► revoked ── last operation ended ──► forgotten, once its handle is closed
 *
 * @module
 */
import { assert } from "@/shared/errors.ts";
import type { SdcId, VolumeId } from "@/shared/ids.ts";

/** Whose volume a grant is for, and since when. */
export interface GrantedMapping {
  readonly volumeId: VolumeId;
  readonly sdcId: SdcId;
  readonly mappingGeneration: number;
}

/** Permission to start operations. */
export class Grant {
  readonly mapping: GrantedMapping;
  /** True once the mapping has a newer generation: nothing begins any more. */
  revoked = false;
  readonly #grants: Set<Grant>;
  #runningCount = 0;
  #closed = false;
  #idleWaiters: (() => void)[] = [];

  constructor(grants: Set<Grant>, mapping: GrantedMapping) {
    this.#grants = grants;
    this.mapping = mapping;
    grants.add(this);
  }

  /** Operations that were started and have not ended. */
  get runningCount(): number {
    return this.#runningCount;
  }

  /** An operation starts. */
  begin(): void {
    assert(!this.revoked, "I21: an IO is executed only under a grant that is not revoked");
    this.#runningCount++;
  }

  /** It has ended: nothing of it runs on this SDS. */
  end(): void {
    assert(this.#runningCount > 0, "an operation of a grant ends once");
    if (--this.#runningCount > 0) return;
    if (this.#closed) this.#grants.delete(this);
    for (const resolve of this.#idleWaiters.splice(0)) resolve();
  }

  /** Nobody begins anything under it any more. */
  close(): void {
    this.#closed = true;
    if (this.#runningCount === 0) this.#grants.delete(this);
  }

  /** Resolves when nothing runs; at once if nothing does. */
  idle(): Promise<void> {
    if (this.#runningCount === 0) return Promise.resolve();
    return new Promise((resolve) => this.#idleWaiters.push(resolve));
  }
}

/** All grants of one SDS. */
export class Grants {
  readonly #grants = new Set<Grant>();

  /** Grants that are open, or under which something runs. */
  get size(): number {
    return this.#grants.size;
  }

  /** A new grant; whoever asks has checked that it stands now. */
  open({ volumeId, sdcId, mappingGeneration }: GrantedMapping): Grant {
    return new Grant(this.#grants, { volumeId, sdcId, mappingGeneration });
  }

  /**
   * Revokes the grants of older generations than `generationOf` tells. Resolves when what was started under any revoked one has
   * ended, also under one that an earlier call revoked.
   */
  async dropRevoked(generationOf: (mapping: GrantedMapping) => number | undefined): Promise<void> {
    const revoked = [...this.#grants].filter((grant) => {
      grant.revoked ||= grant.mapping.mappingGeneration < (generationOf(grant.mapping) ?? 0);
      return grant.revoked;
    });
    await Promise.all(revoked.map((grant) => grant.idle()));
  }

  /** Resolves when everything that was started by now has ended. */
  async idle(): Promise<void> {
    await Promise.all([...this.#grants].map((grant) => grant.idle()));
  }
}
