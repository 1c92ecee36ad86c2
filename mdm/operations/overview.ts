/**
 * `GET /api/v1/overview`: the whole cluster in one document (`shared/api/overview.ts`), made in one synchronous stretch.
 *
 * @module
 */
import type { MdmContext } from "@/mdm/context.ts";
import type { DeviceLife } from "@/mdm/live.ts";
import { clusterHealthOf } from "@/mdm/core/health.ts";
import { capacityOf } from "@/mdm/operations/devices.ts";
import { type IoTotals, ioTotals } from "@/mdm/operations/io_totals.ts";
import {
  deviceTally,
  EMPTY_POOL,
  joiningCounts,
  type PoolView,
  poolViews,
  usedBytesOf,
} from "@/mdm/operations/pool_views.ts";
import { beatAgeMs, livenessOfComponent } from "@/mdm/operations/processes.ts";
import { volumeStateOf, volumeUsedBytes } from "@/mdm/operations/volume_views.ts";
import { type ComponentRow, listComponents } from "@/mdm/store/components.ts";
import { type DeviceRow, listDevices } from "@/mdm/store/devices.ts";
import { listDomains } from "@/mdm/store/domains.ts";
import { eventsOfTypeSince, type EventType, newestEvents } from "@/mdm/store/events.ts";
import { listFaultSets } from "@/mdm/store/fault_sets.ts";
import { listMappings, type MappingRow } from "@/mdm/store/mappings.ts";
import { listPools, type PoolRow } from "@/mdm/store/pools.ts";
import { listSdcs, type SdcRow } from "@/mdm/store/sdc.ts";
import { listSds, type SdsRow } from "@/mdm/store/sds.ts";
import { listVolumes, provisionedBytes, type VolumeRow } from "@/mdm/store/volumes.ts";
import {
  type Overview,
  OVERVIEW_EVENTS_MAX,
  type OverviewAlert,
  type OverviewComponent,
  type OverviewPool,
  type OverviewSdc,
  type OverviewSds,
  type OverviewVolume,
} from "@/shared/api/overview.ts";
import type { ComponentId, PoolId } from "@/shared/ids.ts";

/** How long a loss of unflushed writes, or copies that differed, stay among the alerts, in ms. */
const LOSS_SHOWN_MS = 24 * 3_600_000;

export function overviewOf(context: MdmContext): Overview {
  const views = poolViews(context);
  const sdcRows = listSdcs(context.db);
  const totals = ioTotals(context, { sdcIds: sdcRows.map((sdc) => sdc.sdcId) });
  const mappings = listMappings(context.db);
  const devices = listDevices(context.db);
  const faultSets = listFaultSets(context.db);
  const sdss = listSds(context.db).map((sds) => sdsView(context, { sds, devices, totals }));
  const pools = poolsOf(context, views);
  const volumes = listVolumes(context.db);
  return {
    clusterId: context.secrets.clusterId,
    clusterName: context.secrets.clusterName,
    mdmTerm: context.mdmTerm,
    mdmTimeMs: context.time.nowMs(),
    mdmStartedAtMs: context.time.nowMs() - (context.clock.monotonicMs() - context.live.startedAtMs),
    health: clusterHealthOf({
      poolHealths: pools.map((pool) => pool.health),
      hasDevice: devices.some((device) => device.poolId !== null && device.state === "active"),
      allSdsUp: sdss.every((sds) => sds.state === "up"),
    }),
    domains: listDomains(context.db).map(({ domainId, name }) => ({
      domainId,
      name,
      faultSets: faultSets.filter((faultSet) => faultSet.domainId === domainId)
        .map((faultSet) => ({ faultSetId: faultSet.faultSetId, name: faultSet.name })),
    })),
    pools,
    sdss,
    sdcs: sdcRows.map((sdc) => sdcView(context, { sdc, mappings, totals })),
    volumes: volumesOf(context, { volumes, mappings, views, totals }),
    components: listComponents(context.db).map((component) => componentOverview(context, component)),
    events: newestEvents(context.db, OVERVIEW_EVENTS_MAX),
    alerts: alertsOf(context),
  };
}

function poolsOf(context: MdmContext, views: ReadonlyMap<PoolId, PoolView>): OverviewPool[] {
  const joining = joiningCounts(context);
  return listPools(context.db).map((pool) =>
    poolOverview(context, {
      pool,
      view: views.get(pool.poolId) ?? EMPTY_POOL,
      joinsRunning: joining.get(pool.poolId) ?? 0,
    })
  );
}

function poolOverview(
  context: MdmContext,
  options: { pool: PoolRow; view: PoolView; joinsRunning: number },
): OverviewPool {
  const { pool, view } = options;
  const rebuild = context.live.rebuilds.get(pool.poolId);
  return {
    poolId: pool.poolId,
    name: pool.name,
    domainId: pool.domainId,
    protectionPolicy: pool.protectionPolicy,
    copies: pool.copies,
    health: view.health,
    rawCapacityBytes: view.rawCapacityBytes,
    rawUsedBytes: view.rawUsedBytes,
    logicalLimitBytes: pool.limitBytes,
    provisionedBytes: provisionedBytes(context.db, pool.poolId),
    deviceCount: view.devices.length,
    pgs: view.counts,
    rebuild: rebuild === undefined ? null : { ...rebuild, joinsRunning: options.joinsRunning },
  };
}

function lastBeatAgeMs(context: MdmContext, componentId: ComponentId): number | null {
  return context.live.lastBeatMs(componentId) === undefined ? null : Math.max(0, beatAgeMs(context, componentId));
}

function sdsView(
  context: MdmContext,
  options: { sds: SdsRow; devices: readonly DeviceRow[]; totals: IoTotals },
): OverviewSds {
  const { sds } = options;
  return {
    sdsId: sds.sdsId,
    name: sds.name,
    componentId: sds.componentId,
    domainId: sds.domainId,
    faultSetId: sds.faultSetId,
    host: sds.address,
    controlPort: sds.controlPort ?? 0,
    mgmtPort: sds.mgmtPort ?? 0,
    dataPort: sds.dataPort ?? 0,
    state: livenessOfComponent(context, sds.componentId),
    lastBeatAgeMs: lastBeatAgeMs(context, sds.componentId),
    stopping: context.live.sds(sds.sdsId).stopping,
    markedFailed: sds.service === "failed",
    devices: options.devices.filter((device) => device.sdsId === sds.sdsId).map((device) => ({
      deviceId: device.deviceId,
      name: device.name,
      poolId: device.poolId,
      state: device.state,
      capacityBytes: capacityOf(device),
      usedBytes: usedBytesOf(context, device),
      ...deviceTally(context, device.deviceId),
    })),
    io: options.totals.ofSds(sds.sdsId),
  };
}

function sdcView(
  context: MdmContext,
  options: { sdc: SdcRow; mappings: readonly MappingRow[]; totals: IoTotals },
): OverviewSdc {
  const { sdc } = options;
  const metadata: Record<string, unknown> = JSON.parse(sdc.metadataJson);
  const nbdUri = metadata["nbd_uri"];
  const devicePort = metadata["device_port"];
  return {
    sdcId: sdc.sdcId,
    name: sdc.name,
    componentId: sdc.componentId,
    host: sdc.address,
    controlPort: sdc.controlPort ?? 0,
    mgmtPort: sdc.mgmtPort ?? 0,
    devicePort: typeof devicePort === "number" ? devicePort : sdc.dataPort ?? 0,
    nbdUri: typeof nbdUri === "string" ? nbdUri : null,
    state: livenessOfComponent(context, sdc.componentId),
    lastBeatAgeMs: lastBeatAgeMs(context, sdc.componentId),
    mappings: options.mappings.filter((mapping) => mapping.sdcId === sdc.sdcId).map((mapping) => ({
      volumeId: mapping.volumeId,
      accessMode: mapping.accessMode,
      mappedAtMs: mapping.changedAtMs,
    })),
    io: options.totals.ofSdc(sdc.sdcId),
  };
}

function volumesOf(
  context: MdmContext,
  options: {
    volumes: readonly VolumeRow[];
    mappings: readonly MappingRow[];
    views: ReadonlyMap<PoolId, PoolView>;
    totals: IoTotals;
  },
): OverviewVolume[] {
  return options.volumes.map((volume) => ({
    volumeId: volume.volumeId,
    name: volume.name,
    poolId: volume.poolId,
    provisioning: volume.provisioning,
    sizeBytes: volume.sizeBytes,
    usedBytes: volumeUsedBytes(context, volume),
    state: volumeStateOf(volume, options.views.get(volume.poolId) ?? EMPTY_POOL),
    createdAtMs: volume.createdAtMs,
    mappings: options.mappings.filter((mapping) => mapping.volumeId === volume.volumeId)
      .map(({ sdcId, accessMode }) => ({ sdcId, accessMode })),
    io: options.totals.ofVolume(volume.volumeId),
  }));
}

function componentOverview(context: MdmContext, component: ComponentRow): OverviewComponent {
  const ports = { control: component.controlPort, data: component.dataPort, mgmt: component.mgmtPort };
  return {
    componentId: component.componentId,
    componentType: component.componentType,
    host: component.address,
    ports: Object.fromEntries(Object.entries(ports).flatMap(([plane, port]) => port === null ? [] : [[plane, port]])),
    state: livenessOfComponent(context, component.componentId),
    registeredAtMs: component.registeredAtMs,
    lastBeatAgeMs: lastBeatAgeMs(context, component.componentId),
  };
}

/** Conditions that hold now and that only the MDM sees; a loss is shown for a day. */
function alertsOf(context: MdmContext): OverviewAlert[] {
  const sinceMs = context.time.nowMs() - LOSS_SHOWN_MS;
  const losses = (["unflushed_writes_lost", "data_loss_possible", "copies_differed"] as const)
    .flatMap((type) => eventsOfTypeSince(context.db, { type, sinceMs }));
  const refused = [...context.live.refusedPgs.keys()].length === 0
    ? []
    : eventsOfTypeSince(context.db, { type: "epoch_ahead", sinceMs: context.time.nowMs() - LOSS_SHOWN_MS });
  const devices = listDevices(context.db).map(({ deviceId }) => ({ deviceId, life: context.live.device(deviceId) }));
  /** The newest event of each device of which it still holds. */
  const ofDevices = (type: EventType, since: { sinceMs: number; holds: (life: DeviceLife) => boolean }) => {
    const subjects = devices.filter(({ life }) => since.holds(life)).map(({ deviceId }) => `device-${deviceId}`);
    if (subjects.length === 0) return [];
    return eventsOfTypeSince(context.db, { type, ...since }).filter(({ subject }) => subjects.includes(subject));
  };
  const moved = ofDevices("host_confirmation_needed", { sinceMs, holds: (life) => life.refusedHostId !== undefined });
  const damaged = ofDevices("blocks_damaged", { sinceMs: 0, holds: (life) => life.repairs.damagedBlocks > 0 });
  return [...losses, ...refused, ...moved, ...damaged].map((event) => ({
    key: `${event.type}/${event.subject}`,
    severity: event.severity,
    sinceMs: event.atMs,
    subject: event.subject,
    message: event.message,
  }));
}
