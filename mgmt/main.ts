/**
 * Starts MGMT: opens its directory, makes the first user, begins to poll, and serves the pages.
 *
 * @module
 */
import { systemClock } from "@/shared/clock.ts";
import { fetchSend } from "@/shared/http_client.ts";
import { type HttpServer, serveHttp } from "@/shared/http/serve.ts";
import type { Logger } from "@/shared/log.ts";
import { systemRandom } from "@/shared/random.ts";
import { type RunningRole, runRole } from "@/shared/role_process.ts";
import { type MgmtSettings, readMgmtSettings } from "@/shared/settings.ts";
import { readJoinToken } from "@/shared/settings/environment.ts";
import { AlertEngine } from "@/mgmt/alert_engine.ts";
import { createApp } from "@/mgmt/app.ts";
import {
  prepareFirstUser,
  readSecretFile,
  removeOneTimePassword,
  secretKeyOf,
  writeSecretFile,
} from "@/mgmt/auth/first_start.ts";
import { PasswordHasher } from "@/mgmt/auth/passwords.ts";
import { SessionService } from "@/mgmt/auth/session_service.ts";
import { SignIn } from "@/mgmt/auth/sign_in.ts";
import { Enrolment } from "@/mgmt/enrolment.ts";
import { backupFolder, Housekeeping } from "@/mgmt/housekeeping.ts";
import { MdmClient } from "@/mgmt/mdm_client.ts";
import { createMetrics } from "@/mgmt/metrics.ts";
import { Monitor } from "@/mgmt/monitor.ts";
import { Poller } from "@/mgmt/poller.ts";
import { type MgmtStore, openStore } from "@/mgmt/store/store.ts";

const NODE_KEY_FILE = "node_key";

if (import.meta.main) await runRole({ role: "mgmt", read: readMgmtSettings, start: startMgmt });

/** Starts every part of MGMT; resolves when it answers. */
async function startMgmt({ settings, log }: { settings: MgmtSettings; log: Logger }): Promise<RunningRole> {
  Deno.mkdirSync(settings.dataDir, { recursive: true, mode: 0o700 });
  const store = openStore(`${settings.dataDir}/mgmt.db`);
  const hasher = new PasswordHasher(systemRandom);
  await prepareFirstUser({
    store,
    hasher,
    clock: systemClock,
    random: systemRandom,
    directory: settings.dataDir,
    initialPassword: settings.initialPassword,
  });
  const mdm = mdmClient(settings);
  const metrics = createMetrics();
  const alerts = new AlertEngine({ store, clock: systemClock });
  const { pollMs } = settings;
  const monitor = new Monitor({ send: fetchSend, clock: systemClock, pollMs, log, snapshots: store.snapshots });
  const housekeeping = new Housekeeping({ store, clock: systemClock, log, backups: backupFolder(settings.dataDir) });
  const poller = new Poller({
    mdm,
    alerts,
    monitor,
    mdmUrl: settings.mdmUrl,
    clock: systemClock,
    pollMs,
    log,
    remembered: store.topology.load(),
    remember: (snapshot) => store.topology.save(snapshot),
    onPolled: ({ durationMs, ok }) => {
      metrics.polls.inc({ result: ok ? "ok" : "failed" });
      metrics.pollSeconds.observe(durationMs / 1000);
    },
  });
  const sessions = new SessionService({
    users: store.users,
    sessions: store.sessions,
    clock: systemClock,
    random: systemRandom,
    secretKey: settings.secretKey ?? secretKeyOf(settings.dataDir, systemRandom),
  });
  const signIn = new SignIn({
    store,
    sessions,
    hasher,
    clock: systemClock,
    onOneTimePasswordReplaced: () => removeOneTimePassword(settings.dataDir),
  });
  const { auth, guiPort } = settings;
  const app = createApp({
    store,
    sessions,
    signIn,
    poller,
    alerts,
    housekeeping,
    mdm,
    clock: systemClock,
    log,
    metrics,
    auth,
    guiPort,
  });
  const enrolment = new Enrolment({ mdm, clock: systemClock, log });
  await enrolment.start();
  await poller.start();
  housekeeping.start();
  const server = serveHttp({ app, hostname: settings.bindHost, port: guiPort, portSetting: "POWERFLEX_MGMT_GUI_PORT" });
  log.info("Pages at {url}", { url: server.url });
  return { stop: () => stopMgmt({ server, enrolment, poller, monitor, housekeeping, store }) };
}

function mdmClient(settings: MgmtSettings): MdmClient {
  return new MdmClient({
    send: fetchSend,
    mdmUrl: settings.mdmUrl,
    componentId: settings.nodeId,
    address: settings.advertiseHost,
    guiPort: settings.guiPort,
    joinToken: readJoinToken(settings),
    keys: {
      load: () => readSecretFile(settings.dataDir, NODE_KEY_FILE),
      save: (nodeKeyHex) => writeSecretFile(settings.dataDir, NODE_KEY_FILE, nodeKeyHex),
    },
  });
}

async function stopMgmt(
  parts: {
    server: HttpServer;
    enrolment: Enrolment;
    poller: Poller;
    monitor: Monitor;
    housekeeping: Housekeeping;
    store: MgmtStore;
  },
): Promise<void> {
  await parts.server.stop();
  await parts.enrolment[Symbol.asyncDispose]();
  parts.housekeeping.stop();
  await parts.poller.stop();
  await parts.monitor[Symbol.asyncDispose]();
  parts.store[Symbol.dispose]();
}
