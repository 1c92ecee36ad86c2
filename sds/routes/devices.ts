/**
 * `POST /control/device/add`: another folder beneath the storage root becomes a device of this SDS. It is kept in
 * `local_devices`, offered to the MDM with the next registration, and formatted when the MDM has given it an id.
 *
 * @module
 */
import type { OpenAPIHono } from "@hono/zod-openapi";
import { z } from "zod";
import type { LocalStore } from "@/sds/store/local_store.ts";
import { StorageError } from "@/shared/errors.ts";
import { addRoute } from "@/shared/http/api.ts";

const GIB = 1024 ** 3;
/** Devices that one SDS may offer. */
export const LOCAL_DEVICES_MAX = 64;

/** What the route acts on. */
export interface DeviceCommands {
  readonly local: LocalStore;
  readonly storageRoot: string;
  /** Names of the devices that the MDM has assigned. */
  assignedNames(): readonly string[];
  nowMs(): number;
  /** Registers again, with what is offered now. */
  offer(): void;
}

const addQuery = z.object({
  device_name: z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/, "must be a plain name such as blk1"),
  device_path: z.string().min(1),
  capacity_gb: z.coerce.number().positive().max(1_000_000),
});

/** Adds `/device/add`. */
export function addDeviceRoute(routes: OpenAPIHono, commands: DeviceCommands): void {
  addRoute(routes, {
    method: "post",
    path: "/device/add",
    tag: "Devices",
    summary: "Registers a folder beneath the storage root as a device",
    query: addQuery,
    answer: z.object({ id: z.int(), device_name: z.string(), status: z.literal("MAINTENANCE") }),
    refusals: [400, 409],
    handle: ({ query }) => {
      const { local, storageRoot } = commands;
      const { device_name: name, device_path: path, capacity_gb } = query;
      const attempt = `Cannot add device ${name}`;
      const wanted = `${storageRoot}/${name}`;
      if (path !== name && path !== wanted) {
        throw new StorageError("rule_broken", `${attempt}: its path is ${path}, it must be ${wanted}`);
      }
      const known = local.devices();
      if (commands.assignedNames().includes(name) || known.some((device) => device.name === name)) {
        throw new StorageError("conflict", `${attempt}: this SDS has a device of that name`);
      }
      if (known.length >= LOCAL_DEVICES_MAX) {
        throw new StorageError("conflict", `${attempt}: this SDS has ${LOCAL_DEVICES_MAX} devices, the most it may`);
      }
      const capacityBytes = Math.floor(capacity_gb * GIB);
      const id = local.addDevice({ name, path: wanted, capacityBytes, addedAtMs: commands.nowMs() });
      commands.offer();
      // In service once the MDM has given it an id and it is formatted: `GET /mgmt/devices`.
      return { id, device_name: name, status: "MAINTENANCE" as const };
    },
  });
}
