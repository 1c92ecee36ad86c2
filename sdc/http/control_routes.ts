/**
 * `/control`: what the MDM tells this SDC. Signed with this node's key. A notice is a hint: the SDC asks the MDM for the list
 * of mappings and follows that.
 *
 * @module
 */
import { Hono } from "hono";
import { z } from "zod";
import { ioRoutes } from "@/sdc/http/io_routes.ts";
import type { MappedVolumes } from "@/sdc/mapped_volumes.ts";
import { type Clock, sleep } from "@/shared/clock.ts";
import { accessModeSchema } from "@/shared/api/sdc.ts";
import { idSchema } from "@/shared/api/pg.ts";
import { parseBody } from "@/shared/http/body.ts";
import { requireNode } from "@/shared/http/node_auth.ts";
import type { ComponentId, VolumeId } from "@/shared/ids.ts";

/** A notice is answered within this time, in ms, also while the MDM is slow to answer what the SDC asks. */
export const NOTICE_WAIT_MS = 1_000;

/** Time between two looks for the new size of a volume, in ms. */
const SIZE_POLL_MS = 5;

const mappedSchema = z.object({
  volume_id: idSchema<VolumeId>(),
  volume_name: z.string().min(1),
  size_bytes: z.number().int().nonnegative(),
  access_mode: accessModeSchema,
});
const unmappedSchema = z.object({ volume_id: idSchema<VolumeId>() });
const planUpdateSchema = z.object({ volume_id: idSchema<VolumeId>() });

/** What the routes act on. */
export interface ControlRouteParts {
  readonly volumes: MappedVolumes;
  readonly clock: Clock;
  /** The node key of a component: only this SDC's own. */
  readonly keyOf: (componentId: ComponentId) => string | undefined;
  /** Asks the MDM for the list of mappings. */
  readonly refresh: () => Promise<void>;
}

/** See the module comment. */
export function controlRoutes(parts: ControlRouteParts): Hono {
  const { volumes, keyOf } = parts;
  const routes = new Hono();
  routes.use(requireNode(keyOf));
  routes.post("/volume_mapped", async (c) => {
    const { volume_id } = await parseBody(c, mappedSchema);
    const wasMapped = volumes.openById(volume_id) !== undefined;
    await withinNotice(parts.clock, async (given) => {
      await parts.refresh();
      await sizeFollowed(parts, { volumeId: volume_id, given });
    });
    return c.json({ status: wasMapped ? "updated" : "mapped", volume_id });
  });
  routes.post("/volume_unmapped", async (c) => {
    const { volume_id } = await parseBody(c, unmappedSchema);
    const wasMapped = volumes.unmapped(volume_id);
    await refreshed(parts);
    return c.json({ status: wasMapped ? "unmapped" : "not_found", volume_id });
  });
  routes.post("/plan_update", async (c) => {
    const { volume_id } = await parseBody(c, planUpdateSchema);
    const volume = volumes.all().find(({ guard }) => guard.mapping.volumeId === volume_id);
    volume?.link.wantMap();
    return c.json({ status: volume === undefined ? "not_found" : "updated", volume_id });
  });
  routes.post("/notice", async (c) => {
    await refreshed(parts);
    return c.json({ status: "ok" });
  });
  routes.route("/io", ioRoutes({ ...parts, refresh: () => refreshed(parts) }));
  routes.get("/mappings", (c) => c.json({ mappings: mappingRows(volumes, parts.clock) }));
  return routes;
}

/** The mappings as both APIs show them. */
export function mappingRows(volumes: MappedVolumes, clock: Clock) {
  const wallMs = clock.wallMs() - clock.monotonicMs();
  return volumes.all().map(({ guard, remote, mappedAtMs }) => {
    const { mapping } = guard;
    const { totals } = remote;
    return {
      volume_id: mapping.volumeId,
      volume_name: mapping.volumeName,
      size_bytes: guard.sizeBytes,
      access_mode: mapping.accessMode,
      state: remote.stopped ?? "serving",
      mapped_at: new Date(mappedAtMs).toISOString(),
      last_io_at: totals.lastIoAtMs < 0 ? null : new Date(wallMs + totals.lastIoAtMs).toISOString(),
      io_count: totals.reads + totals.writes,
      pending_ios: remote.pendingCount,
      retries: remote.retryCount,
      errors: totals.errors,
    };
  });
}

function refreshed({ refresh, clock }: ControlRouteParts): Promise<void> {
  return withinNotice(clock, refresh);
}

/** Does `work`, or leaves it when the time of a notice is over; its signal is aborted then. */
async function withinNotice(clock: Clock, work: (given: AbortSignal) => Promise<void>): Promise<void> {
  const done = new AbortController();
  await Promise.race([work(done.signal), sleep(clock, NOTICE_WAIT_MS, done.signal)]);
  done.abort();
}

/** Waits until a volume that grew is served in its new size, which comes with its next token: who connects next sees it. */
async function sizeFollowed(
  { volumes, clock }: ControlRouteParts,
  { volumeId, given }: { volumeId: VolumeId; given: AbortSignal },
): Promise<void> {
  while (!given.aborted) {
    const guard = volumes.all().find(({ guard }) => guard.mapping.volumeId === volumeId)?.guard;
    if (guard === undefined || guard.sizeBytes >= guard.mapping.sizeBytes) return;
    await sleep(clock, SIZE_POLL_MS, given);
  }
}
