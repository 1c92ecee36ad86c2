/**
 * The SDS process.
 *
 * @module
 */
import { BackupFolder } from "@/shared/backup_folder.ts";
import { systemClock } from "@/shared/clock.ts";
import { openDirectory } from "@/shared/disk_deno.ts";
import { fetchSend } from "@/shared/http_client.ts";
import { listenOrExplain, serveHttp } from "@/shared/http/serve.ts";
import { keptToken, MANAGEMENT_TOKEN_FILE } from "@/shared/http/manager_auth.ts";
import { randomUuid, systemRandom } from "@/shared/random.ts";
import { openPrivateDatabase } from "@/shared/private_files.ts";
import { type RoleOptions, runRole } from "@/shared/role_process.ts";
import { readSdsSettings, type SdsSettings } from "@/shared/settings.ts";
import { readJoinToken } from "@/shared/settings/environment.ts";
import { denoTransport } from "@/shared/transport_deno.ts";
import { startSds } from "@/sds/app.ts";

/** Directories of the SDS are for its user only. */
const DIRECTORY_MODE = 0o700;

/** Opens database and listeners and starts the SDS. */
const start: RoleOptions<SdsSettings>["start"] = ({ settings, log }) => {
  makeDirectory(settings.dataDir);
  makeDirectory(settings.storageRoot);
  const hostname = settings.bindHost;
  const { dataPort, controlPort, mgmtPort } = settings;
  const dataListener = listenOrExplain(
    { hostname, port: dataPort, portSetting: "POWERFLEX_SDS_DATA_PORT" },
    () => denoTransport.listen({ hostname, port: dataPort }),
  );
  const stopWanted = Promise.withResolvers<string>();
  const sds = startSds({
    settings,
    joinToken: readJoinToken(settings),
    clock: systemClock,
    random: systemRandom,
    transport: denoTransport,
    httpSend: fetchSend,
    log,
    database: openPrivateDatabase(`${settings.dataDir}/sds_local.db`),
    limits: { backgroundSyncBytes: settings.backgroundSyncBytes, syncTimeoutMs: settings.times.flushTimeoutMs },
    dataListener,
    backups: new BackupFolder(`${settings.dataDir}/backups`, systemClock),
    managementToken: keptToken(`${settings.dataDir}/${MANAGEMENT_TOKEN_FILE}`, () => randomUuid(systemRandom)),
    storageRoot: settings.storageRoot,
    stopWanted: () => stopWanted.resolve("asked at the management port"),
    diskOf(name) {
      const path = `${settings.storageRoot}/${name}`;
      makeDirectory(path);
      return openDirectory(path);
    },
  });
  const control = serveHttp({
    app: sds.control,
    hostname,
    port: controlPort,
    portSetting: "POWERFLEX_SDS_CONTROL_PORT",
  });
  const management = serveHttp({
    app: sds.management,
    hostname,
    port: mgmtPort,
    portSetting: "POWERFLEX_SDS_MGMT_PORT",
  });
  log.info("SDS {nodeId} listens: data {dataPort}, control {controlPort}, management {mgmtPort}", {
    nodeId: settings.nodeId,
    dataPort,
    controlPort,
    mgmtPort,
  });
  return Promise.resolve({
    stopWanted: stopWanted.promise,
    async stop() {
      await sds.stop();
      await control.stop();
      await management.stop();
    },
  });
};

function makeDirectory(path: string): void {
  Deno.mkdirSync(path, { recursive: true, mode: DIRECTORY_MODE });
}

if (import.meta.main) await runRole({ role: "sds", read: readSdsSettings, start });
