/**
 * A process that lives as a role does and serves nothing but what the demo asks of an MDM while it starts. Arguments: its role,
 * a file to which it appends `started NAME` and `stopped NAME`, the names of the processes that are registered, and optionally
 * `refuse`, which makes it end at once.
 *
 * @module
 */
import { Hono } from "hono";
import { serveHttp } from "@/shared/http/serve.ts";
import { runRole } from "@/shared/role_process.ts";
import {
  type Environment,
  type MdmSettings,
  type MgmtSettings,
  readMdmSettings,
  readMgmtSettings,
  readSdcSettings,
  readSdsSettings,
  type Role,
  type SdcSettings,
  type SdsSettings,
} from "@/shared/settings.ts";

type AnySettings = MdmSettings | SdsSettings | SdcSettings | MgmtSettings;

const READERS: Readonly<Record<Role, (environment: Environment) => AnySettings>> = {
  mdm: readMdmSettings,
  sds: readSdsSettings,
  sdc: readSdcSettings,
  mgmt: readMgmtSettings,
};

/** Name and first port of this process. */
function identity(settings: AnySettings): { name: string; port: number } {
  switch (settings.role) {
    case "mdm":
      return { name: "mdm", port: settings.apiPort };
    case "mgmt":
      return { name: "mgmt", port: settings.guiPort };
    default:
      return { name: settings.nodeId, port: settings.controlPort };
  }
}

async function main(): Promise<void> {
  const [role, eventsFile = "", names = "", behaviour = ""] = Deno.args;
  if (behaviour === "refuse") {
    console.error("The fake role refuses to start");
    Deno.exit(2);
  }
  const note = (event: string, name: string) =>
    Deno.writeTextFileSync(eventsFile, `${event} ${name}\n`, { append: true });
  const app = new Hono().get(
    "/cluster/nodes",
    (c) => c.json({ nodes: names.split(",").map((component, index) => ({ id: index + 1, component_id: component })) }),
  );
  await runRole({
    role: role as Role, // the tests name only roles that exist
    read: READERS[role as Role],
    start: ({ settings }) => {
      const { name, port } = identity(settings);
      const server = serveHttp({ app, hostname: "127.0.0.1", port, portSetting: "the fake's port" });
      note("started", name);
      return Promise.resolve({
        stop: async () => {
          await server.stop();
          note("stopped", name);
        },
      });
    },
  });
}

if (import.meta.main) await main();
