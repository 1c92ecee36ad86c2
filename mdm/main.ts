/**
 * The MDM process: opens its database, keeps its two tokens beside it, serves until it is told to stop.
 *
 * @module
 */
import { createMdm } from "@/mdm/app.ts";
import { openDatabase } from "@/mdm/store/database.ts";
import { systemClock } from "@/shared/clock.ts";
import { serveHttp } from "@/shared/http/serve.ts";
import { fetchSend } from "@/shared/http_client.ts";
import type { Logger } from "@/shared/log.ts";
import { systemRandom } from "@/shared/random.ts";
import { type RunningRole, runRole } from "@/shared/role_process.ts";
import { type MdmSettings, readMdmSettings } from "@/shared/settings.ts";
import { readJoinToken } from "@/shared/settings/environment.ts";

/** Directory and tokens are for the MDM's user only. */
const DIRECTORY_MODE = 0o700;
const SECRET_MODE = 0o600;

/** Builds and serves the MDM of `settings`. */
function start(settings: MdmSettings, log: Logger): RunningRole {
  Deno.mkdirSync(settings.dataDir, { recursive: true, mode: DIRECTORY_MODE });
  const { clusterName, auth, times, fullJoinsPerSds, deltaJoinsPerSds, joinStartsPerSecond } = settings;
  const joins = { fullJoinsPerSds, deltaJoinsPerSds, joinStartsPerSecond };
  const options = {
    clusterName,
    auth,
    times,
    ...joins,
    joinToken: readJoinToken(settings),
    backupDirectory: `${settings.dataDir}/backups`,
  };
  const db = openDatabase(settings.dbPath);
  const mdm = createMdm({ db, clock: systemClock, random: systemRandom, send: fetchSend, log, options });
  const { secrets, mdmTerm } = mdm.context;
  keepSecret(`${settings.dataDir}/join.token`, secrets.joinToken);
  keepSecret(`${settings.dataDir}/operator.token`, secrets.operatorToken);
  const server = serveHttp({
    app: mdm.app,
    hostname: settings.bindHost,
    port: settings.apiPort,
    portSetting: "POWERFLEX_MDM_API_PORT",
  });
  log.info("Cluster {name} is served at {url}, term {mdmTerm}", {
    name: secrets.clusterName,
    url: server.url,
    mdmTerm,
  });
  return {
    async stop() {
      await mdm.stop();
      await server.stop();
      db.close();
    },
  };
}

/** Writes a token to its file, readable by its user only from the first byte on. */
function keepSecret(path: string, secret: string): void {
  Deno.writeTextFileSync(path, `${secret}\n`, { mode: SECRET_MODE });
  // The mode above counts for a new file only.
  Deno.chmodSync(path, SECRET_MODE);
}

if (import.meta.main) {
  await runRole({
    role: "mdm",
    read: readMdmSettings,
    start: ({ settings, log }) => Promise.resolve().then(() => start(settings, log)),
  });
}
