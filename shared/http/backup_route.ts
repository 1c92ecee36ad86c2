/**
 * The route that has a node back up its databases while it runs.
 *
 * @module
 */
import type { OpenAPIHono } from "@hono/zod-openapi";
import { z } from "zod";
import type { BackupFolder } from "@/shared/backup_folder.ts";
import { addRoute } from "@/shared/http/api.ts";
import { type ManagerAccess, requireManager } from "@/shared/http/manager_auth.ts";

/** What a backup is made with. */
export interface BackupRouteParts {
  readonly access: ManagerAccess;
  readonly folder: BackupFolder;
  /** Writes complete copies of the databases into a folder that is there; gives the names of the files. */
  write(folder: string): Promise<readonly string[]>;
}

/** Adds `POST {path}`. */
export function addBackupRoute(routes: OpenAPIHono, options: BackupRouteParts & { readonly path: string }): void {
  routes.use(options.path, requireManager(options.access));
  addRoute(routes, {
    method: "post",
    path: options.path,
    tag: "Management",
    summary: "Backs up the databases of this node, in its own directory",
    answer: z.object({
      status: z.literal("complete"),
      path: z.string(),
      files: z.array(z.object({ name: z.string(), size_bytes: z.int() })),
    }),
    refusals: [409],
    handle: async () => {
      const { path, files } = await options.folder.make((folder) => options.write(folder));
      return {
        status: "complete" as const,
        path,
        files: files.map(({ name, sizeBytes }) => ({ name, size_bytes: sizeBytes })),
      };
    },
  });
}
