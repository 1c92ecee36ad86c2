/**
 * The SDC process: opens its directory, listens for NBD, the device port and HTTP, serves until it is told to stop.
 *
 * @module
 */
import { createSdc } from "@/sdc/app.ts";
import { SdcStore } from "@/sdc/store/store.ts";
import { BackupFolder } from "@/shared/backup_folder.ts";
import { systemClock } from "@/shared/clock.ts";
import { keptToken, MANAGEMENT_TOKEN_FILE } from "@/shared/http/manager_auth.ts";
import { type HttpServer, listenOrExplain, serveHttp } from "@/shared/http/serve.ts";
import { fetchSend } from "@/shared/http_client.ts";
import type { Logger } from "@/shared/log.ts";
import type { KeyStore } from "@/shared/node_client.ts";
import { randomUuid, systemRandom } from "@/shared/random.ts";
import { type RunningRole, runRole } from "@/shared/role_process.ts";
import { readSdcSettings, type SdcSettings } from "@/shared/settings.ts";
import { readJoinToken } from "@/shared/settings/environment.ts";
import type { Listener } from "@/shared/transport.ts";
import { denoTransport } from "@/shared/transport_deno.ts";

/** Directory, key and socket are for the SDC's user only. */
const DIRECTORY_MODE = 0o700;
const SECRET_MODE = 0o600;

/** Builds and serves the SDC of `settings`. */
async function start(settings: SdcSettings, log: Logger): Promise<RunningRole> {
  const { dataDir, bindHost, controlPort, mgmtPort, devicePort, nbdPort, nbdSocket } = settings;
  Deno.mkdirSync(dataDir, { recursive: true, mode: DIRECTORY_MODE });
  const store = new SdcStore({ chunks: `${dataDir}/sdc_chunks.db`, local: `${dataDir}/sdc_local.db` });
  const listen = (port: number, portSetting: string) =>
    listenOrExplain(
      { hostname: bindHost, port, portSetting },
      () => denoTransport.listen({ hostname: bindHost, port }),
    );
  const nbdListener = listen(nbdPort, "POWERFLEX_SDC_NBD_PORT");
  const deviceListener = listen(devicePort, "POWERFLEX_SDC_DEVICE_PORT");
  const sdc = createSdc({
    clock: systemClock,
    random: systemRandom,
    transport: denoTransport,
    httpSend: fetchSend,
    log,
    store,
    backups: new BackupFolder(`${dataDir}/backups`, systemClock),
    managementToken: keptToken(`${dataDir}/${MANAGEMENT_TOKEN_FILE}`, () => randomUuid(systemRandom)),
    keys: keyFile(`${dataDir}/node_key`),
    nbdListeners: [nbdListener, listenOnSocket(nbdSocket)],
    deviceListener,
    settings: {
      ...settings,
      joinToken: readJoinToken(settings),
      bootId: settings.bootId ?? randomUuid(systemRandom),
      hostId: settings.hostId ?? randomUuid(systemRandom),
    },
  });
  const servers: HttpServer[] = [];
  try {
    const place = { hostname: bindHost };
    servers.push(
      serveHttp({ ...place, app: sdc.control, port: controlPort, portSetting: "POWERFLEX_SDC_CONTROL_PORT" }),
      serveHttp({ ...place, app: sdc.management, port: mgmtPort, portSetting: "POWERFLEX_SDC_MGMT_PORT" }),
    );
  } catch (error) {
    await sdc.stop();
    throw error;
  }
  log.info("NBD on {host}:{port} and {socket}", { host: bindHost, port: nbdPort, socket: nbdSocket });
  return {
    async stop() {
      await sdc.stop();
      await Promise.all(servers.map((server) => server.stop()));
      store[Symbol.dispose]();
      removeIfThere(nbdSocket);
    },
  };
}

/** A socket file that a killed process left is replaced; the directory belongs to this process alone. */
function listenOnSocket(path: string): Listener {
  removeIfThere(path);
  return denoTransport.listen({ path });
}

function removeIfThere(path: string): void {
  try {
    Deno.removeSync(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}

/** The node key in a file that only its user reads, from the first byte on. */
function keyFile(path: string): KeyStore {
  return {
    load() {
      try {
        return Deno.readTextFileSync(path).trim();
      } catch (error) {
        if (error instanceof Deno.errors.NotFound) return undefined;
        throw error;
      }
    },
    save(nodeKeyHex) {
      Deno.writeTextFileSync(path, `${nodeKeyHex}\n`, { mode: SECRET_MODE });
    },
  };
}

if (import.meta.main) {
  await runRole({
    role: "sdc",
    read: readSdcSettings,
    start: ({ settings, log }) => start(settings, log),
  });
}
