/**
 * One SDS, built from its capabilities: `main.ts` passes those of the host, tests and the simulator theirs.
 *
 * @module
 */
import { OpenAPIHono } from "@hono/zod-openapi";
import type { DatabaseSync } from "node:sqlite";
import type { IoCounts } from "@/shared/api/sds.ts";
import type { BackupFolder } from "@/shared/backup_folder.ts";
import { BufferPool } from "@/shared/buffers.ts";
import { type Clock, sleep, type Timer } from "@/shared/clock.ts";
import type { Disk } from "@/shared/disk.ts";
import { serveDocument } from "@/shared/http/api.ts";
import { describeCommonRoutes, installCommonRoutes } from "@/shared/http/app.ts";
import { ALL_GUARDS, type Guards } from "@/shared/guards.ts";
import type { HttpSend } from "@/shared/http_client.ts";
import type { DeviceId } from "@/shared/ids.ts";
import type { Logger } from "@/shared/log.ts";
import { NodeClient } from "@/shared/node_client.ts";
import type { Random } from "@/shared/random.ts";
import { randomUuid } from "@/shared/random.ts";
import type { SdsSettings } from "@/shared/settings.ts";
import type { Listener, Transport } from "@/shared/transport.ts";
import { PeerDirectory, type SdsContext, SdsKeys } from "@/sds/context.ts";
import { MdmTime } from "@/sds/core/mdm_time.ts";
import { MappingTable, type TokenVerdict } from "@/sds/data/handles.ts";
import { DataServer } from "@/sds/data/server.ts";
import { TokenUses } from "@/sds/data/token_uses.ts";
import type { DeviceLimits } from "@/sds/device/limits.ts";
import { DeviceSet } from "@/sds/device_set.ts";
import { Heart } from "@/sds/heart.ts";
import { IoTotals } from "@/sds/io_totals.ts";
import { sdsMetrics } from "@/sds/metrics.ts";
import { MdmAgent } from "@/sds/mdm_agent.ts";
import { NodeDeletions } from "@/sds/node_deletions.ts";
import { controlRoutes } from "@/sds/routes/control.ts";
import { CONTROL_API, MANAGEMENT_API } from "@/sds/routes/documents.ts";
import { type ManagementFacts, type ManagementParts, managementRoutes, statsOf } from "@/sds/routes/management.ts";
import { sdsTables } from "@/sds/routes/tables.ts";
import { LocalStore } from "@/sds/store/local_store.ts";

/** A verdict on a token waits at most this long to be written to the ring. */
const RING_FLUSH_MS = 1_000;
/** At a clean stop: quiet time of the links after which peers need this SDS no more. */
const STOP_QUIET_MS = 300;

/** What an SDS is made of. */
export interface SdsParts {
  readonly settings: Pick<
    SdsSettings,
    | "nodeId"
    | "mdmUrl"
    | "advertiseHost"
    | "controlPort"
    | "mgmtPort"
    | "dataPort"
    | "bootId"
    | "hostId"
    | "rebuildBytesPerSecond"
    | "scrub"
    | "regionsKeptSet"
    | "times"
  >;
  readonly joinToken: string | undefined;
  readonly clock: Clock;
  readonly random: Random;
  readonly transport: Transport;
  readonly httpSend: HttpSend;
  readonly log: Logger;
  /** `sds_local.db`, open. */
  readonly database: DatabaseSync;
  readonly limits: Partial<DeviceLimits>;
  readonly dataListener: Listener;
  /** Only simulations switch any off. */
  readonly guards?: Guards;
  readonly backups: BackupFolder;
  /** Who shows it may command this SDS at its management listener. */
  readonly managementToken?: string;
  /** Directory of the devices' folders. */
  readonly storageRoot: string;
  /** Somebody asks this process to stop cleanly; returns at once. */
  stopWanted(): void;
  /** The folder of a device beneath the storage root. */
  diskOf(name: string): Disk;
}

/** A running SDS. */
export interface Sds {
  readonly control: OpenAPIHono;
  readonly management: OpenAPIHono;
  readonly devices: DeviceSet;
  /** Why it cannot serve yet. */
  notReady(): string | undefined;
  /** Stops cleanly: drains, clears intents, syncs, and marks its devices clean (5.5). */
  stop(): Promise<void>;
}

/** Builds and starts an SDS; it finds its way to the MDM by itself. */
export function startSds(parts: SdsParts): Sds {
  const context = contextOf(parts);
  const local = new LocalStore(parts.database);
  const mappings = new MappingTable();
  const startedMs = parts.clock.monotonicMs();
  const agentOf = (): MdmAgent => agent;
  const devices = new DeviceSet({
    context,
    limits: parts.limits,
    diskOf: parts.diskOf,
    host: {
      changePgs: (call) => agentOf().changePgs(call),
      configurationsChanged: () => agentOf().wake(),
      // Who stops takes nothing over: when all stop together, a group would be left with one member of two equal copies.
      mdmIsAlive: () => agentOf().mdmIsAlive && !agentOf().stopping,
      clientOperations: () => totals.servedOperations,
    },
  });
  let ring: Timer | undefined;
  const noteToken = (verdict: TokenVerdict): void => {
    local.note({ ...verdict, atMs: parts.clock.wallMs() });
    ring ??= parts.clock.setTimer(RING_FLUSH_MS, () => {
      ring = undefined;
      local.flush();
    });
  };
  const deletions = new NodeDeletions({ context, devices });
  const totals = new IoTotals();
  const tokenUses = new TokenUses((use) => local.noteUse({ ...use, atMs: parts.clock.wallMs() }));
  const data = new DataServer({
    context,
    listener: parts.dataListener,
    mappings,
    totals,
    tokenUses,
    devices: () => devices.all,
    tokenJudged: noteToken,
  });
  const agent: MdmAgent = new MdmAgent({
    context,
    client: clientOf(parts, local),
    devices,
    mappings,
    deletions,
    tokenUses,
    ioCounts: (): IoCounts[] => totals.counts(),
    served: () => ({ operations: totals.servedOperations, timeMs: totals.servedMs(parts.clock.monotonicMs()) }),
    offeredDevices: () => local.devices().map(({ name, capacityBytes }) => ({ name, capacityBytes })),
    mappingsChanged: () => data.dropRevoked(),
    registered: () => {},
  });
  const notReady = (): string | undefined => {
    if (!agent.isRegistered) return "this SDS is not registered at the MDM";
    if (context.keys.sdsId === undefined) return "nobody has added this SDS at the MDM so far";
    return devices.all.some(({ store }) => store.failed === undefined) ? undefined : "none of its devices is online";
  };
  const folderOf = (deviceId: DeviceId) => {
    const name = devices.nameOf(deviceId) ?? "";
    return { name, path: `${parts.storageRoot}/${name}` };
  };
  const control = new OpenAPIHono({ strict: false });
  installCommonRoutes(control, { log: parts.log, notReady, random: parts.random });
  control.route(
    "/control",
    controlRoutes({
      keyOf: () => context.keys.nodeKeyHex || undefined,
      requireTerm: (term) => agent.requireTerm(term),
      notice: () => agent.wake(),
      peerDead: (call) => devices.all.forEach((device) => device.peerDead(call)),
      revoke: async (call) => {
        mappings.replace(call.mappings, call.mappingVersion);
        await data.dropRevoked();
      },
      scrub: (poolId) => devices.all.forEach((device) => device.scrub.ask(poolId)),
      revokeTokens: (tokens) => tokenUses.heard(context.mdmTime, tokens),
      chunks: {
        devices: () => devices.all,
        folderOf,
        volumeOfNode: (nodeId) => totals.volumeOfNode.get(nodeId),
        wake: () => agent.wake(),
      },
      devices: {
        local,
        storageRoot: parts.storageRoot,
        assignedNames: () => devices.all.map(({ deviceId }) => devices.nameOf(deviceId) ?? ""),
        nowMs: () => parts.clock.wallMs(),
        offer: () => agent.registerAgain(),
      },
    }),
  );
  describeCommonRoutes(control, { metrics: false });
  serveDocument(control, CONTROL_API);
  const facts = (): ManagementFacts => ({
    sdsId: context.keys.sdsId,
    componentId: parts.settings.nodeId,
    uptimeMs: parts.clock.monotonicMs() - startedMs,
    mdmSilentMs: agent.lastAnsweredMs,
    devices: devices.all.map((device) => ({ device, ...folderOf(device.deviceId) })),
    brokenDevices: devices.broken(),
    waitingDevices: local.devices().filter(({ name }) =>
      !devices.all.some(({ deviceId }) => devices.nameOf(deviceId) === name)
    ),
    totals: { ...totals.sum(), errors: totals.errors },
    tokensConsumed: tokenUses.consumedCount,
    pendingAcks: tokenUses.untoldCount,
    volumeOfNode: (nodeId) => totals.volumeOfNode.get(nodeId),
  });
  const management = managementApp(parts, {
    notReady,
    facts,
    tables: sdsTables({ local, tokenUses, peers: context.peers, facts, ioCounts: () => totals.counts() }),
    backups: {
      folder: parts.backups,
      access: { managementToken: parts.managementToken, keyOf: () => context.keys.nodeKeyHex || undefined },
      write: (folder) => local.backup(folder),
    },
    stop: () => parts.stopWanted(),
  });
  // A process that comes back is called by the MDM before it has enrolled again.
  context.keys.nodeKeyHex = local.load() ?? "";
  agent.start();
  const stop = async () => {
    await stopCleanly({ context, agent, data, devices, deletions });
    ring?.cancel();
    local.close();
  };
  return { control, management, devices, notReady, stop };
}

function managementApp(
  { log, random }: SdsParts,
  options: ManagementParts & { readonly notReady: () => string | undefined },
): OpenAPIHono {
  const app = new OpenAPIHono({ strict: false });
  installCommonRoutes(app, {
    log,
    random,
    notReady: options.notReady,
    metrics: sdsMetrics(() => options.facts()),
    metricsOtherwise: (c) => c.json(statsOf(options.facts())),
  });
  app.route("/", managementRoutes(options));
  describeCommonRoutes(app, { metrics: true });
  serveDocument(app, MANAGEMENT_API);
  return app;
}

function contextOf(parts: SdsParts): SdsContext {
  const { settings, clock, random, transport, httpSend, log } = parts;
  const { times } = settings;
  return {
    clock,
    random,
    transport,
    httpSend,
    log,
    times,
    heart: new Heart(clock, Math.min(times.heartbeatMs, times.sdsHeartbeatMs)),
    buffers: new BufferPool(),
    rebuildBytesPerSecond: settings.rebuildBytesPerSecond,
    scrub: settings.scrub,
    regionsKeptSet: settings.regionsKeptSet,
    bootId: settings.bootId ?? randomUuid(random),
    hostId: settings.hostId ?? randomUuid(random),
    mdmTime: new MdmTime({ silentMs: times.mdmSilentMs, outageGraceMs: times.mdmOutageGraceMs }),
    peers: new PeerDirectory(),
    keys: new SdsKeys(),
    guards: parts.guards ?? ALL_GUARDS,
  };
}

function clientOf(parts: SdsParts, local: LocalStore): NodeClient {
  const { settings } = parts;
  return new NodeClient({
    send: parts.httpSend,
    mdmUrl: settings.mdmUrl,
    componentId: settings.nodeId,
    componentType: "SDS",
    address: settings.advertiseHost,
    ports: { control: settings.controlPort, data: settings.dataPort, mgmt: settings.mgmtPort },
    joinToken: parts.joinToken,
    keys: local,
  });
}

interface StopParts {
  readonly context: SdsContext;
  readonly agent: MdmAgent;
  readonly data: DataServer;
  readonly devices: DeviceSet;
  readonly deletions: NodeDeletions;
}

/**
 * Clean stop (5.5): tell the MDM, which asks for every group to be handed over and for this SDS to be removed from the others;
 * meanwhile clear intents. Then stop admitting and drain, keep answering peers that stop too, close every link, wait for what was
 * started, sync, and mark the devices clean. Groups that nobody took within half of `stopMs` are taken over by their
 * secondaries, which are told that their primary has stopped.
 */
async function stopCleanly(parts: StopParts): Promise<void> {
  const { context, agent, data, devices, deletions } = parts;
  const { clock, times } = context;
  const deadlineMs = clock.monotonicMs() + times.stopMs;
  const stopped = new AbortController();
  deletions.stop();
  // Neither a write that waits for a silent member nor a silent peer holds up the stop: what runs still ends with its role.
  const within = async (work: Promise<unknown>): Promise<void> => {
    const done = new AbortController();
    const lateMs = Math.max(0, deadlineMs - clock.monotonicMs());
    await Promise.race([work, sleep(clock, lateMs, done.signal)]);
    done.abort();
  };
  const halfMs = times.stopMs / 2;
  const left = Promise.race([agent.leave(), sleep(clock, halfMs, stopped.signal)]);
  // What is clear of intents when the others go on alone need not be copied when this SDS is back.
  await within(Promise.all([left, clearAll(devices)]));
  const quiet = () => sleep(clock, Math.max(0, Math.min(STOP_QUIET_MS, deadlineMs - clock.monotonicMs())));
  await within(data.stopSessions());
  // Peers that stop at the same time settle too, then everybody's round finds nothing dirty, then they run theirs through us.
  await within(Promise.all(devices.all.map((device) => device.settle())));
  await quiet();
  await within(Promise.all(devices.all.map((device) => device.clearIntents(0))));
  await quiet();
  await agent.stop();
  await within(Promise.all(devices.all.map((device) => device.release(device.groups.values()))));
  data.close();
  await Promise.all(devices.all.map((device) => device.stop()));
  await devices.close({ clean: true });
  stopped.abort();
}

async function clearAll(devices: DeviceSet): Promise<void> {
  await Promise.all(devices.all.map((device) => device.settle()));
  await Promise.all(devices.all.map((device) => device.clearIntents(0)));
}
