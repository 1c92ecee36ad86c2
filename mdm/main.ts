/**
 * The MDM process: reads its settings, opens the database, serves until SIGTERM or SIGINT.
 *
 * @module
 */
import { createMdm } from "@/mdm/app.ts";
import { openDatabase } from "@/mdm/store/database.ts";
import { systemClock } from "@/shared/clock.ts";
import { fetchSend } from "@/shared/http_client.ts";
import { serveHttp } from "@/shared/http/serve.ts";
import { logger, startLogging } from "@/shared/log.ts";
import { systemRandom } from "@/shared/random.ts";
import { readMdmSettings } from "@/shared/settings.ts";
import { readJoinToken, settingsOrExit } from "@/shared/settings/environment.ts";

/** Directories and files of the MDM are for its user only. */
const DIRECTORY_MODE = 0o700;
const SECRET_MODE = 0o600;

/** Writes a secret beside the database, unless the file says the same already. */
function keepSecret(path: string, secret: string): void {
  Deno.writeTextFileSync(path, `${secret}\n`, { mode: SECRET_MODE });
  Deno.chmodSync(path, SECRET_MODE);
}

async function main(): Promise<void> {
  const settings = settingsOrExit(readMdmSettings);
  startLogging(settings);
  const log = logger("mdm");
  Deno.mkdirSync(settings.dataDir, { recursive: true, mode: DIRECTORY_MODE });
  const db = openDatabase(settings.dbPath);
  const { clusterName, auth, times } = settings;
  const joinToken = readJoinToken(settings);
  const options = { clusterName, auth, times, joinToken };
  const mdm = createMdm({ db, clock: systemClock, random: systemRandom, send: fetchSend, log, options });
  keepSecret(`${settings.dataDir}/join.token`, mdm.context.secrets.joinToken);
  keepSecret(`${settings.dataDir}/operator.token`, mdm.context.secrets.operatorToken);
  const server = serveHttp({
    app: mdm.app,
    hostname: settings.bindHost,
    port: settings.apiPort,
    portSetting: "POWERFLEX_MDM_API_PORT",
  });
  log.info("MDM of cluster {clusterName} serves {url}, term {mdmTerm}", {
    clusterName: mdm.context.secrets.clusterName,
    url: server.url,
    mdmTerm: mdm.context.mdmTerm,
  });
  console.log(`READY mdm ${server.url}`);
  await new Promise<void>((resolve) => {
    Deno.addSignalListener("SIGTERM", resolve);
    Deno.addSignalListener("SIGINT", resolve);
  });
  await server.stop();
  await mdm.stop();
  db.close();
  Deno.exit(0);
}

if (import.meta.main) await main();
