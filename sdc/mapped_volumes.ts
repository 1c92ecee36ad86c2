/**
 * The volumes that are mapped to this SDC, as its front ends see them. They follow the list that the MDM gives with each
 * registration and heartbeat: a volume appears, grows, changes its mode, disappears. After a restart the list of last time
 * serves until the MDM answers, so that clients find their exports and wait.
 *
 * A volume that was stopped (fenced) stays stopped; if the MDM still lists it, a new one takes its place.
 *
 * @module
 */
import type { BlockDevice } from "@/sdc/block_device.ts";
import type { SdcContext } from "@/sdc/context.ts";
import { devicePathOf } from "@/sdc/core/device_path.ts";
import { MappingGuard } from "@/sdc/layers/mapping_guard.ts";
import { RemoteVolume } from "@/sdc/remote/remote_volume.ts";
import { type SdcIdentity, SdsPeers } from "@/sdc/remote/sds_peer.ts";
import type { VolumeCalls } from "@/sdc/remote/volume_calls.ts";
import { emptyTotals, type VolumeEvents, type VolumeTotals } from "@/sdc/remote/volume_events.ts";
import { type SessionScope, VolumeLink } from "@/sdc/remote/volume_link.ts";
import { FailureLog } from "@/sdc/store/failure_log.ts";
import type { SdcStore } from "@/sdc/store/store.ts";
import type { SdcMapping } from "@/shared/api/sdc.ts";
import { tokenIdOf } from "@/shared/auth.ts";
import { assert, StorageError } from "@/shared/errors.ts";
import type { VolumeId } from "@/shared/ids.ts";

/** What the volumes need besides the context. */
export interface MappedVolumesOptions {
  readonly store: SdcStore;
  /** The calls at the MDM for one volume; they fail until the SDC has a session. */
  readonly callsFor: (volumeId: VolumeId) => VolumeCalls;
  /** Name of the cluster; known before the first mapping comes. */
  readonly clusterName: () => string;
  /** An export is gone: its clients are to be disconnected. */
  readonly exportEnded: (name: string) => void;
  /** The cluster fenced a volume: the MDM knows why. */
  readonly volumeFenced: () => void;
}

/** One mapped volume. */
export interface MappedVolume {
  readonly guard: MappingGuard;
  readonly remote: RemoteVolume;
  readonly link: VolumeLink;
  /** When this SDC first saw the mapping, in ms since 1970. */
  readonly mappedAtMs: number;
  /** When this object was made, by the monotonic clock. */
  readonly madeAtMs: number;
  /** Name of the volume as a disk. */
  readonly devicePath: string;
}

/** A volume that was fenced is made again at most this often, in ms, as long as the MDM still lists it. */
export const REMAKE_MS_MIN = 1_000;

/** See the module comment. */
export class MappedVolumes {
  readonly #context: SdcContext;
  readonly #options: MappedVolumesOptions;
  /** What failed and has not been written or told yet. */
  readonly failures: FailureLog;
  readonly #volumes = new Map<VolumeId, MappedVolume>();
  /** Totals of volumes that are not mapped any more. */
  readonly #past: VolumeTotals = emptyTotals();
  #session: SessionScope | undefined;
  readonly #closing = new Set<Promise<void>>();

  constructor(context: SdcContext, options: MappedVolumesOptions) {
    this.#context = context;
    this.#options = options;
    this.failures = new FailureLog(options.store, context.clock);
    for (const { mappedAtMs, devicePath, ...mapping } of options.store.loadMappings()) {
      this.#add(mapping, { mappedAtMs, devicePath });
    }
  }

  /** Names of all exports, in order. */
  list(): readonly string[] {
    return [...this.#volumes.values()].map(({ guard }) => guard.name).sort();
  }

  /** The volume of that name, or undefined when it is not mapped here. */
  open(name: string): BlockDevice | undefined {
    return this.all().find(({ guard }) => guard.name === name)?.guard;
  }

  /** The volume of that id, or undefined when it is not mapped here. */
  openById(volumeId: number): BlockDevice | undefined {
    return this.#volumes.get(volumeId as VolumeId)?.guard; // a number that is no id finds nothing
  }

  /** Id of the session token under which the volume is used; undefined before the first one came. */
  tokenIdOf(volumeId: number): string | undefined {
    const text = this.#volumes.get(volumeId as VolumeId)?.link.token(); // a number that is no id finds nothing
    return text === undefined ? undefined : tokenIdOf(text);
  }

  /** The volume of that id with its parts, or undefined when it is not mapped here. */
  byId(volumeId: VolumeId): MappedVolume | undefined {
    return this.#volumes.get(volumeId);
  }

  all(): readonly MappedVolume[] {
    return [...this.#volumes.values()];
  }

  /** What all volumes did since the process started. */
  totals(): Readonly<VolumeTotals> {
    const sum = { ...this.#past };
    for (const { remote } of this.#volumes.values()) addTotals(sum, remote.totals);
    return sum;
  }

  /**
   * The SDC registered and has a new session. What an older session of this process had under way fails as `fenced`: whoever
   * made the MDM give the session away may have let another host write since.
   */
  sessionStarted(identity: SdcIdentity): void {
    if (this.#session !== undefined) {
      for (const volumeId of [...this.#volumes.keys()]) this.#end(volumeId);
      this.#track(this.#session.peers.close());
    }
    let opSeq = 0;
    this.#session = {
      peers: new SdsPeers(this.#context, identity),
      opSession: identity.sdcSession,
      nextOpSeq: () => ++opSeq,
    };
  }

  /** Follows the MDM's list. */
  apply(mappings: readonly SdcMapping[]): void {
    const listed = new Set(mappings.map(({ volumeId }) => volumeId));
    let changed = false;
    for (const volumeId of [...this.#volumes.keys()]) {
      if (listed.has(volumeId)) continue;
      this.#end(volumeId);
      changed = true;
    }
    for (const mapping of mappings) changed = this.#follow(mapping) || changed;
    if (changed) {
      this.#options.store.saveMappings(
        this.all().map(({ guard, mappedAtMs, devicePath }) => ({ ...guard.mapping, mappedAtMs, devicePath })),
      );
    }
  }

  /** The MDM says that a mapping is gone. True if there was one. */
  unmapped(volumeId: VolumeId): boolean {
    if (!this.#volumes.has(volumeId)) return false;
    this.apply(this.all().map(({ guard }) => guard.mapping).filter((mapping) => mapping.volumeId !== volumeId));
    return true;
  }

  /** Stops every volume and closes every connection. */
  async close(): Promise<void> {
    for (const { remote } of this.#volumes.values()) remote.stop("shutting_down");
    if (this.#session !== undefined) this.#track(this.#session.peers.close());
    await Promise.all(this.#closing);
    this.failures.flush();
  }

  /** True if the list of mappings is another than before. */
  #follow(mapping: SdcMapping): boolean {
    const known = this.#volumes.get(mapping.volumeId);
    if (known === undefined) {
      const devicePath = devicePathOf(this.#options.clusterName(), mapping.volumeId);
      this.#add(mapping, { mappedAtMs: this.#context.clock.wallMs(), devicePath });
      return true;
    }
    const before = known.guard.mapping;
    const madeLately = this.#context.clock.monotonicMs() - known.madeAtMs < REMAKE_MS_MIN;
    const isNew = before.mappingGeneration !== mapping.mappingGeneration;
    if (known.remote.stopped !== undefined && madeLately && !isNew) return false;
    if (known.remote.stopped !== undefined || before.volumeName !== mapping.volumeName) {
      this.#end(mapping.volumeId);
      this.#add(mapping, known);
      return true;
    }
    const changed = isNew || before.sizeBytes !== mapping.sizeBytes || before.accessMode !== mapping.accessMode;
    if (changed) {
      known.guard.update(mapping);
      known.link.wantToken();
      known.link.wantMap();
    }
    return changed;
  }

  #add(mapping: SdcMapping, registered: { readonly mappedAtMs: number; readonly devicePath: string }): void {
    const { volumeId, volumeName } = mapping;
    const { mappedAtMs, devicePath } = registered;
    const link = new VolumeLink(this.#context, {
      calls: this.#options.callsFor(volumeId),
      session: () => {
        assert(this.#session !== undefined, "a map comes after the registration");
        return this.#session;
      },
    });
    const remote = new RemoteVolume(this.#context, { name: volumeName, link, events: this.#eventsOf(mapping) });
    const guard = new MappingGuard(mapping, remote);
    const madeAtMs = this.#context.clock.monotonicMs();
    this.#volumes.set(volumeId, { guard, remote, link, mappedAtMs, madeAtMs, devicePath });
    this.#context.log.info("Volume {name} is mapped ({mode}, {sizeBytes} bytes)", {
      name: volumeName,
      mode: mapping.accessMode,
      sizeBytes: mapping.sizeBytes,
    });
  }

  #end(volumeId: VolumeId): void {
    const { guard, remote } = this.#volumes.get(volumeId)!; // the caller has the id from the map
    this.#volumes.delete(volumeId);
    guard.end("fenced");
    remote.stop("fenced");
    addTotals(this.#past, remote.totals);
    this.#context.log.info("Volume {name} is not mapped any more", { name: guard.name });
    this.#options.exportEnded(guard.name);
  }

  #eventsOf({ volumeId }: SdcMapping): VolumeEvents {
    const { store } = this.#options;
    const kept = store.flushGenerations(volumeId);
    return {
      keptGenerations: () => new Map(kept),
      keepGenerations(generations) {
        const changed = generations.filter(({ pgId, lossGeneration }) => kept.get(pgId) !== lossGeneration);
        if (changed.length === 0) return;
        for (const { pgId, lossGeneration } of changed) kept.set(pgId, lossGeneration);
        store.saveFlushGenerations(volumeId, changed.map(({ pgId, lossGeneration }) => [pgId, lossGeneration]));
      },
      ioFailed: (failure) => {
        const isSaid = this.failures.add({ ...failure, volumeId, atMs: this.#context.clock.wallMs() });
        if (isSaid) this.#context.log.error("{message}", { message: failure.message, code: failure.code });
      },
      fenced: () => this.#options.volumeFenced(),
    };
  }

  #track(work: Promise<void>): void {
    this.#closing.add(work);
    work.finally(() => this.#closing.delete(work));
  }
}

function addTotals(sum: VolumeTotals, more: Readonly<VolumeTotals>): void {
  sum.reads += more.reads;
  sum.writes += more.writes;
  sum.readBytes += more.readBytes;
  sum.writtenBytes += more.writtenBytes;
  sum.errors += more.errors;
  sum.timedOperations += more.timedOperations;
  sum.timedMs += more.timedMs;
  sum.lastIoAtMs = Math.max(sum.lastIoAtMs, more.lastIoAtMs);
}

/** The answer of a call that needs a session, before there is one. */
export function noSessionYet(): StorageError {
  return new StorageError("unavailable", "Cannot ask the MDM: this SDC has no session yet");
}
