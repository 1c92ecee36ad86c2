/**
 * What SDSs know of chunks that they store: checksums and last writes. The MDM keeps no row per chunk, so it asks.
 *
 * @module
 */
import type { MdmContext } from "@/mdm/context.ts";
import type { ChunkPlace } from "@/mdm/operations/volume_layout.ts";
import { sdsById } from "@/mdm/store/sds.ts";
import { type ChunkStatus, chunkStatusAnswerSchema } from "@/shared/api/sds.ts";
import { asId, type SdsId } from "@/shared/ids.ts";

/** An SDS is waited for at most this long, in ms. */
const STATUS_TIMEOUT_MS = 2_000;

/** Statuses by chunk, each of the first current copy within reach. Chunks of an SDS that does not answer are missing. */
export async function chunkStatuses(
  context: MdmContext,
  places: readonly ChunkPlace[],
): Promise<ReadonlyMap<number, ChunkStatus>> {
  const bySds = Map.groupBy(
    places,
    ({ replicas }) => replicas.find((copy) => copy.isCurrent && copy.isAvailable)?.sdsId,
  );
  const answers = await Promise.all(
    [...bySds].map(([sdsId, asked]) =>
      sdsId === undefined ? [] : statusesAt(context, asId<SdsId>(sdsId), asked.map(({ chunkId }) => chunkId))
    ),
  );
  return new Map(answers.flat().map((status) => [status.chunk_id, status]));
}

async function statusesAt(context: MdmContext, sdsId: SdsId, chunkIds: readonly number[]): Promise<ChunkStatus[]> {
  const sds = sdsById(context.db, sdsId);
  if (sds === undefined) return [];
  const call = { path: "/control/chunks", body: { chunk_ids: chunkIds }, timeoutMs: STATUS_TIMEOUT_MS };
  const answer = await context.outbox.call(sds, call);
  if (answer === undefined) return [];
  const parsed = chunkStatusAnswerSchema.safeParse(JSON.parse(answer.body));
  return parsed.success ? parsed.data.chunks : [];
}
