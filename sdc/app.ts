/**
 * Builds one SDC from its parts: tests, the simulator and `main.ts` build the same thing.
 *
 * @module
 */
import { OpenAPIHono } from "@hono/zod-openapi";
import type { SdcContext, SdcTimes } from "@/sdc/context.ts";
import { type DeviceServer, serveDevices } from "@/sdc/device_server/server.ts";
import { controlRoutes } from "@/sdc/http/control_routes.ts";
import { CONTROL_API, MANAGEMENT_API } from "@/sdc/http/documents.ts";
import {
  connectionsOf,
  type ManagementRouteParts,
  managementRoutes,
  metricsDocument,
} from "@/sdc/http/management_routes.ts";
import { sdcMetrics } from "@/sdc/http/metrics.ts";
import { MappedVolumes } from "@/sdc/mapped_volumes.ts";
import { SessionAgent } from "@/sdc/mdm/session_agent.ts";
import { type NbdServer, serveNbd } from "@/sdc/nbd/server.ts";
import { startSampler } from "@/sdc/sampler.ts";
import type { SdcStore } from "@/sdc/store/store.ts";
import { SDC_IO_BODY_BYTES_MAX } from "@/shared/api/sdc_io.ts";
import type { BackupFolder } from "@/shared/backup_folder.ts";
import { BufferPool } from "@/shared/buffers.ts";
import { type Clock, sleep } from "@/shared/clock.ts";
import { describeCommonRoutes, installCommonRoutes } from "@/shared/http/app.ts";
import { serveDocument } from "@/shared/http/api.ts";
import type { HttpSend } from "@/shared/http_client.ts";
import type { ComponentId } from "@/shared/ids.ts";
import type { Logger } from "@/shared/log.ts";
import { type KeyStore, NodeClient } from "@/shared/node_client.ts";
import type { Random } from "@/shared/random.ts";
import type { Listener, Transport } from "@/shared/transport.ts";

/** How long a stop waits for requests under way before it fails them, in ms. */
export const FINISH_MS_MAX = 1_500;

/** What an SDC is made of. */
export interface SdcParts {
  readonly clock: Clock;
  readonly random: Random;
  readonly transport: Transport;
  readonly httpSend: HttpSend;
  readonly log: Logger;
  /** Opened; whoever opened it closes it, after `stop`. */
  readonly store: SdcStore;
  readonly keys: KeyStore;
  readonly settings: SdcAppSettings;
  readonly backups: BackupFolder;
  /** Who shows it may command this SDC at its management listener. */
  readonly managementToken?: string;
  /** Listeners of the front ends; the SDC owns them. The simulator has none. */
  readonly nbdListeners?: readonly Listener[];
  readonly deviceListener?: Listener;
}

/** The settings that matter to the parts. */
export interface SdcAppSettings {
  readonly nodeId: string;
  readonly mdmUrl: string;
  /** Host under which the MDM reaches the control port. */
  readonly advertiseHost: string;
  readonly controlPort: number;
  readonly mgmtPort: number;
  readonly devicePort: number;
  readonly nbdPort: number;
  readonly joinToken: string | undefined;
  readonly bootId: string;
  readonly hostId: string;
  readonly times: SdcTimes;
  readonly queueDepth: number;
}

/** A running SDC. */
export interface Sdc {
  /** `/control`, for the MDM. */
  readonly control: OpenAPIHono;
  /** Health, status, metrics, for MGMT and people. */
  readonly management: OpenAPIHono;
  readonly volumes: MappedVolumes;
  readonly agent: SessionAgent;
  /** Accepts no more clients, lets requests under way finish for {@linkcode FINISH_MS_MAX}, closes everything. */
  stop(): Promise<void>;
}

/** Makes an SDC and starts it: exports of last time are there at once, the MDM is asked from now on. */
export function createSdc(parts: SdcParts): Sdc {
  const { clock, random, transport, log, store, settings } = parts;
  const { times, queueDepth } = settings;
  const buffers = new BufferPool();
  const context: SdcContext = { clock, random, transport, buffers, log, times, queueDepth };
  const client = nodeClientOf(parts);
  const agent = new SessionAgent(context, { client, bootId: settings.bootId, hostId: settings.hostId });
  let stopping = false;
  const report = (message: string) => log.debug("{message}", { message });
  const volumes = new MappedVolumes(context, {
    store,
    clusterName: () => agent.status.clusterName ?? "",
    callsFor: (volumeId) => agent.callsFor(volumeId),
    exportEnded: (name) => void nbd.disconnectExport(name),
    volumeFenced: () => void agent.refresh(),
  });
  const nbd: NbdServer = serveNbd({ listeners: parts.nbdListeners ?? [], exports: volumes, clock, buffers, report });
  const devices: DeviceServer | undefined = parts.deviceListener &&
    serveDevices({ listener: parts.deviceListener, volumes, clock, buffers, report });
  agent.start(volumes);
  const frontEnds = () => ({
    nbdRunning: !stopping && (parts.nbdListeners?.length ?? 0) > 0,
    nbdConnections: nbd.connections().length,
    deviceConnections: devices?.connectionCount() ?? 0,
  });
  const sampler = startSampler({ volumes, store, clock, log, connectionCount: () => connectionsOf(frontEnds()) });
  const shown: ManagementRouteParts = {
    volumes,
    store,
    clock,
    startedAtMs: clock.monotonicMs(),
    ports: {
      nbd: settings.nbdPort,
      control: settings.controlPort,
      mgmt: settings.mgmtPort,
      device: settings.devicePort,
    },
    agent: () => agent.status,
    frontEnds,
    backups: {
      folder: parts.backups,
      access: { managementToken: parts.managementToken, keyOf: ownKey(parts, client) },
      write: (folder) => store.backup(folder),
    },
  };
  return {
    control: controlApp(parts, { agent, volumes, client }),
    management: managementApp(parts, shown),
    volumes,
    agent,
    async stop() {
      stopping = true;
      sampler.cancel();
      const closed = Promise.all([nbd.close(), devices?.close()]);
      const enough = new AbortController();
      await Promise.race([closed, sleep(clock, FINISH_MS_MAX, enough.signal)]);
      enough.abort();
      await Promise.all([volumes.close(), agent.stop(), closed]);
    },
  };
}

function nodeClientOf({ httpSend, keys, settings }: SdcParts): NodeClient {
  const { nodeId, mdmUrl, advertiseHost, controlPort, devicePort, mgmtPort, nbdPort, joinToken } = settings;
  return new NodeClient({
    send: httpSend,
    mdmUrl,
    componentId: nodeId,
    componentType: "SDC",
    address: advertiseHost,
    ports: { control: controlPort, data: devicePort, mgmt: mgmtPort },
    joinToken,
    keys,
    metadata: { nbd_uri: nbdUri(advertiseHost, nbdPort), device_port: devicePort },
  });
}

/** The key of this node and of no other. */
function ownKey({ settings }: SdcParts, client: NodeClient): (componentId: ComponentId) => string | undefined {
  return (componentId) => componentId === settings.nodeId ? client.nodeKeyHex : undefined;
}

/** Where NBD clients connect; an IPv6 address stands in brackets. */
function nbdUri(host: string, port: number): string {
  return `nbd://${host.includes(":") ? `[${host}]` : host}:${port}`;
}

function controlApp(
  parts: SdcParts,
  { agent, volumes, client }: { agent: SessionAgent; volumes: MappedVolumes; client: NodeClient },
): OpenAPIHono {
  const app = new OpenAPIHono({ strict: false });
  const { log, random, clock } = parts;
  const bodyBytesMax = SDC_IO_BODY_BYTES_MAX;
  installCommonRoutes(app, { log, random, notReady: () => notReady(agent), bodyBytesMax });
  app.route(
    "/control",
    controlRoutes({
      volumes,
      clock,
      keyOf: ownKey(parts, client),
      refresh: () => agent.refresh(),
    }),
  );
  describeCommonRoutes(app, { metrics: false });
  serveDocument(app, CONTROL_API);
  return app;
}

function managementApp({ log, random }: SdcParts, shown: ManagementRouteParts): OpenAPIHono {
  const app = new OpenAPIHono({ strict: false });
  installCommonRoutes(app, {
    log,
    random,
    notReady: () => shown.agent().identity === undefined ? "this SDC has no session of the MDM" : undefined,
    metrics: sdcMetrics(shown),
    metricsOtherwise: (c) => c.json(metricsDocument(shown)),
  });
  app.route("/", managementRoutes(shown));
  describeCommonRoutes(app, { metrics: true });
  serveDocument(app, MANAGEMENT_API);
  return app;
}

function notReady(agent: SessionAgent): string | undefined {
  return agent.status.identity === undefined ? "this SDC has no session of the MDM" : undefined;
}
