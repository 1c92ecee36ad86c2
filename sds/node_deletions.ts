/**
 * Deleting the chunks of a deleted volume (replication design, section 7.3): each primary removes them from its groups, chunk by
 * chunk, as replicated whole-chunk trims, and reports the groups in which none is left. Repeating it is harmless.
 *
 * @module
 */
import type { SdsHeartbeatAnswer, SdsHeartbeatCall } from "@/shared/api/sds.ts";
import { CHUNK_BYTES } from "@/shared/constants.ts";
import type { ErrorCode } from "@/shared/errors.ts";
import type { NodeId, PgId } from "@/shared/ids.ts";
import { FRAME_KINDS } from "@/shared/wire/header.ts";
import type { SdsContext } from "@/sds/context.ts";
import { type ChunkId, chunkKey } from "@/sds/device/chunk.ts";
import type { DeviceSet } from "@/sds/device_set.ts";
import type { Group } from "@/sds/replication/group.ts";
import type { OperationOwner } from "@/sds/replication/mutation.ts";
import { takeOperation } from "@/sds/replication/primary_operation.ts";

/** Chunks deleted of one group before others have their turn. */
const BATCH = 64;

type Deletion = SdsHeartbeatAnswer["nodeDeletions"][number];

/** The deletions that the MDM asks for. */
export class NodeDeletions {
  readonly #context: SdsContext;
  readonly #devices: DeviceSet;
  #wanted: readonly Deletion[] = [];
  #running = false;
  #stopped = false;
  readonly #finished = new Map<NodeId, Set<PgId>>();

  constructor(options: { context: SdsContext; devices: DeviceSet }) {
    this.#context = options.context;
    this.#devices = options.devices;
  }

  /** Takes the list of the last heartbeat answer. */
  set(wanted: readonly Deletion[]): void {
    this.#wanted = wanted;
    if (wanted.length > 0 && !this.#running && !this.#stopped) this.#run();
  }

  /** Groups in which nothing is left, per node: for the next heartbeat. */
  finished(): SdsHeartbeatCall["deletedNodes"] {
    return [...this.#finished].map(([nodeId, pgIds]) => ({ nodeId, pgIds: [...pgIds] }));
  }

  /** The MDM has answered a beat that carried these. */
  taken(reported: SdsHeartbeatCall["deletedNodes"]): void {
    for (const { nodeId } of reported) this.#finished.delete(nodeId);
  }

  stop(): void {
    this.#stopped = true;
  }

  async #run(): Promise<void> {
    this.#running = true;
    for (const deletion of this.#wanted) {
      for (const device of this.#devices.all) {
        for (const group of device.groups.values()) {
          if (this.#stopped) return;
          const role = group.primary;
          if (!role?.mayServe() || role.config.poolId !== deletion.poolId) continue;
          if (await this.#deleteIn(group, deletion)) this.#note(deletion.nodeId, group.pgId);
        }
      }
    }
    this.#running = false;
  }

  #note(nodeId: NodeId, pgId: PgId): void {
    const pgIds = this.#finished.get(nodeId) ?? new Set();
    this.#finished.set(nodeId, pgIds.add(pgId));
  }

  /** True if no chunk of the node is left in the group. */
  async #deleteIn(group: Group, deletion: Deletion): Promise<boolean> {
    const { store } = group.device;
    while (true) {
      const chunks = store.listPgChunks(group.storage!, { afterKey: chunkKey(deletion.nodeId, 0) - 1, limit: BATCH })
        .filter((chunk) => chunk.nodeId === deletion.nodeId);
      if (chunks.length === 0) return true;
      for (const chunk of chunks) {
        const code = await deleteChunk(group, chunk);
        if (code === undefined && !this.#stopped) continue;
        this.#context.log.debug("Deleting a volume's chunks goes on later", { pgId: group.pgId, code });
        return false;
      }
    }
  }
}

/** A whole-chunk trim through the group's write path. */
function deleteChunk(group: Group, chunk: ChunkId): Promise<ErrorCode | undefined> {
  if (!group.primary?.mayServe()) return Promise.resolve("not_ready");
  return new Promise((resolve) => {
    const owner: OperationOwner = {
      alive: true,
      operationDone: (_operation, code) => resolve(code),
      operationEnded() {},
    };
    const operation = takeOperation();
    operation.init(group, {
      owner,
      fields: {
        kind: FRAME_KINDS.replicate_trim,
        flags: 0,
        requestId: 0,
        vtreeId: chunk.vtreeId,
        nodeId: chunk.nodeId,
        chunkIndex: chunk.chunkIndex,
        region: chunk.region,
        offsetBytes: 0,
        lengthBytes: CHUNK_BYTES,
        opSession: 0,
        opSeq: 0,
        traceId: 0,
      },
    });
    operation.start();
  });
}
