/**
 * `/snapshot`: promised, refused so far with what is missing.
 *
 * @module
 */
import { OpenAPIHono } from "@hono/zod-openapi";
import { z } from "zod";
import type { MdmContext } from "@/mdm/context.ts";
import { requireVolume } from "@/mdm/operations/volumes.ts";
import { idField, namedShape, nameField, statusShape, volumeIdField } from "@/mdm/routes/fields.ts";
import { StorageError } from "@/shared/errors.ts";
import { addRoute } from "@/shared/http/api.ts";

const common = { tag: "Snapshots", refusals: [501] } as const;

export function snapshotRoutes(context: MdmContext): OpenAPIHono {
  const routes = new OpenAPIHono();
  addRoute(routes, {
    ...common,
    method: "post",
    path: "/create",
    summary: "Refused: snapshots do not exist yet",
    body: z.object({ volume_id: volumeIdField, name: nameField, writable: z.boolean().default(false) }),
    answer: namedShape,
    handle: ({ body }) =>
      refuse(`create snapshot ${body.name} of volume ${requireVolume(context, body.volume_id).name}`),
  });
  addRoute(routes, {
    ...common,
    method: "get",
    path: "/list",
    summary: "Refused: snapshots do not exist yet",
    answer: z.array(namedShape),
    handle: () => refuse("list snapshots"),
  });
  addRoute(routes, {
    ...common,
    method: "delete",
    path: "/{id}",
    summary: "Refused: snapshots do not exist yet",
    params: z.object({ id: idField() }),
    answer: statusShape("deleted"),
    handle: ({ params }) => refuse(`delete snapshot ${params.id}`),
  });
  return routes;
}

function refuse(attempt: string): never {
  throw new StorageError("unsupported", `Cannot ${attempt}: snapshots do not exist yet`);
}
