/**
 * The settings of each role, read from `POWERFLEX_*` variables, checked, and completed with what follows from them. Reading
 * is a function of its argument; `shared/settings/environment.ts` brings the process's own environment.
 *
 * @module
 */
import { assert } from "@/shared/errors.ts";
import {
  bindProblems,
  clusterPortProblems,
  type ClusterPorts,
  type NamedHost,
  type NamedPort,
  ownPortProblems,
  portRangeProblems,
} from "@/shared/settings/checks.ts";
import type { Setting, ValuesOf } from "@/shared/settings/declare.ts";
import { type Environment, readTable, SettingsError, unknownNames } from "@/shared/settings/read.ts";
import { type Role, ROLES, SOCKET_PATH_BYTES_MAX, TABLES } from "@/shared/settings/tables.ts";
import { timeProblems, type Times } from "@/shared/settings/timing.ts";

export { type Environment, type Role, ROLES, SettingsError, type Times };

/** What every process knows. */
export interface CommonSettings {
  readonly clusterName: string;
  /** Directory of this process; may not exist yet. */
  readonly dataDir: string;
  /** `http://host:port` of the MDM. */
  readonly mdmUrl: string;
  /** Address on which all listeners of this process wait. */
  readonly bindHost: string;
  /** Host under which others reach them. */
  readonly advertiseHost: string;
  readonly auth: "token" | "open";
  readonly joinToken: string | undefined;
  readonly joinTokenFile: string | undefined;
  readonly bootId: string | undefined;
  readonly hostId: string | undefined;
  readonly logLevel: "trace" | "debug" | "info" | "warning" | "error";
  readonly logFormat: "pretty" | "json";
  /** The process stops when its standard input ends, and does not heed SIGINT. */
  readonly stopWithStdin: boolean;
  readonly times: Times;
}

/** Settings of the MDM. */
export interface MdmSettings extends CommonSettings {
  readonly role: "mdm";
  readonly apiPort: number;
  readonly dbPath: string;
  /** Joins at a time per SDS and direction. */
  readonly fullJoinsPerSds: number;
  readonly deltaJoinsPerSds: number;
  /** Joins begun per second and pool. */
  readonly joinStartsPerSecond: number;
}

/** Settings of one SDS. */
export interface SdsSettings extends CommonSettings {
  readonly role: "sds";
  readonly nodeId: string;
  readonly controlPort: number;
  readonly mgmtPort: number;
  readonly dataPort: number;
  /** Directory of the devices. */
  readonly storageRoot: string;
  readonly rebuildBytesPerSecond: number;
  /** Time between two scrubs of a block, and how fast they go. */
  readonly scrub: { readonly intervalMs: number; readonly bytesPerSecond: number };
  readonly backgroundSyncBytes: number;
  readonly regionsKeptSet: number;
}

/** Settings of one SDC. */
export interface SdcSettings extends CommonSettings {
  readonly role: "sdc";
  readonly nodeId: string;
  readonly controlPort: number;
  readonly mgmtPort: number;
  readonly devicePort: number;
  readonly nbdPort: number;
  /** Path of the unix socket. */
  readonly nbdSocket: string;
  readonly queueDepth: number;
}

/** Settings of MGMT. */
export interface MgmtSettings extends CommonSettings {
  readonly role: "mgmt";
  readonly nodeId: string;
  readonly guiPort: number;
  readonly secretKey: string | undefined;
  readonly pollMs: number;
  readonly initialPassword: string | undefined;
}

/** @throws {SettingsError} naming every mistake. */
export function readMdmSettings(environment: Environment): MdmSettings {
  const reading = readingOf("mdm", environment);
  const { values } = reading;
  const bind = bindOf(reading, "POWERFLEX_MDM_BIND_HOST", values.mdm.mdmBindHost);
  const common = commonOf(reading, { bind, name: "mdm" });
  return finished(reading, {
    ...common,
    role: "mdm",
    apiPort: values.common.mdmApiPort,
    dbPath: values.mdm.dbPath ?? `${common.dataDir}/powerflex.db`,
    fullJoinsPerSds: values.mdm.fullJoinsPerSds,
    deltaJoinsPerSds: values.mdm.deltaJoinsPerSds,
    joinStartsPerSecond: values.mdm.joinStartsPerSecond,
  });
}

/** @throws {SettingsError} naming every mistake. */
export function readSdsSettings(environment: Environment): SdsSettings {
  const reading = readingOf("sds", environment);
  const { sds } = reading.values;
  const { control, mgmt, data } = sdsPorts(reading);
  reading.problems.push(...portRangeProblems([control, mgmt, data]), ...ownPortProblems([control, mgmt, data]));
  const nodeId = sds.sdsNodeId ?? `sds-${sds.sdsIndex + 1}`;
  const bind = bindOf(reading, "POWERFLEX_SDS_BIND_HOST", sds.sdsBindHost);
  const common = commonOf(reading, { bind, name: nodeId });
  return finished(reading, {
    ...common,
    role: "sds",
    nodeId,
    controlPort: control.port,
    mgmtPort: mgmt.port,
    dataPort: data.port,
    storageRoot: sds.sdsStorageRoot ?? `${common.dataDir}/devices`,
    rebuildBytesPerSecond: sds.rebuildMibPerSecond * 1024 * 1024,
    scrub: {
      intervalMs: sds.scrubIntervalHours * 3_600_000,
      bytesPerSecond: sds.scrubMibPerSecond * 1024 * 1024,
    },
    backgroundSyncBytes: sds.backgroundSyncMib * 1024 * 1024,
    regionsKeptSet: sds.regionsKeptSet,
  });
}

/** @throws {SettingsError} naming every mistake. */
export function readSdcSettings(environment: Environment): SdcSettings {
  const reading = readingOf("sdc", environment);
  const { sdc } = reading.values;
  reading.problems.push(...ownPortProblems(sdcPorts(reading)));
  const bind = bindOf(reading, "POWERFLEX_SDC_BIND_HOST", sdc.sdcBindHost);
  const common = commonOf(reading, { bind, name: sdc.sdcNodeId });
  return finished(reading, {
    ...common,
    role: "sdc",
    nodeId: sdc.sdcNodeId,
    controlPort: sdc.sdcControlPort,
    mgmtPort: sdc.sdcMgmtPort,
    devicePort: sdc.sdcDevicePort,
    nbdPort: sdc.sdcNbdPort,
    nbdSocket: sdc.sdcNbdSocket ?? socketIn(common.dataDir, reading.problems),
    queueDepth: sdc.queueDepth,
  });
}

/** @throws {SettingsError} naming every mistake. */
export function readMgmtSettings(environment: Environment): MgmtSettings {
  const reading = readingOf("mgmt", environment);
  const { mgmt } = reading.values;
  const bind = bindOf(reading, "POWERFLEX_GUI_BIND_HOST", mgmt.guiBindHost);
  const common = commonOf(reading, { bind, name: "mgmt" });
  return finished(reading, {
    ...common,
    role: "mgmt",
    nodeId: mgmt.mgmtNodeId,
    guiPort: mgmt.guiPort,
    secretKey: mgmt.secretKey,
    pollMs: mgmt.pollMs,
    initialPassword: mgmt.initialPassword,
  });
}

/** All names that are settings, aliases included. */
export function settingNames(): string[] {
  return Object.values(TABLES).flatMap((table) => Object.values<Setting<unknown>>(table))
    .flatMap(({ name, aliases }) => [name, ...aliases]);
}

type AllValues = { readonly [Table in keyof typeof TABLES]: ValuesOf<(typeof TABLES)[Table]> };

interface Reading {
  readonly role: Role;
  readonly values: AllValues;
  readonly problems: string[];
}

/** Reads every table, whatever the role: a mistake in a shared environment file is one for all who read it. */
function readingOf(role: Role, environment: Environment): Reading {
  const problems = unknownNames(environment, settingNames());
  const source = { environment, problems };
  const values: AllValues = {
    common: readTable(TABLES.common, source),
    mdm: readTable(TABLES.mdm, source),
    sds: readTable(TABLES.sds, source),
    sdc: readTable(TABLES.sdc, source),
    mgmt: readTable(TABLES.mgmt, source),
    times: readTable(TABLES.times, source),
  };
  const { componentRole, writeAckPolicy } = values.common;
  if (componentRole !== "any" && componentRole !== role) {
    problems.push(`POWERFLEX_COMPONENT_ROLE is "${componentRole}", but this process is started as ${role}: unset it`);
  }
  if (writeAckPolicy === "quorum") {
    problems.push(
      `POWERFLEX_WRITE_ACK_POLICY is "quorum", which is refused: a write that one current member of its group lacks would be ` +
        `lost with the others, so it is acknowledged when all have it; set it to all`,
    );
  }
  const reading = { role, values, problems };
  problems.push(...clusterPortProblems(clusterPortsOf(reading)), ...timeProblems(values.times));
  return reading;
}

function sdcPorts({ values: { sdc } }: Reading): NamedPort[] {
  return [
    { use: "the SDC's control API", setting: "POWERFLEX_SDC_CONTROL_PORT", port: sdc.sdcControlPort },
    { use: "the SDC's management API", setting: "POWERFLEX_SDC_MGMT_PORT", port: sdc.sdcMgmtPort },
    { use: "the SDC's device port", setting: "POWERFLEX_SDC_DEVICE_PORT", port: sdc.sdcDevicePort },
    { use: "the SDC's NBD port", setting: "POWERFLEX_SDC_NBD_PORT", port: sdc.sdcNbdPort },
  ];
}

function sdsPorts({ values: { common, sds } }: Reading): { control: NamedPort; mgmt: NamedPort; data: NamedPort } {
  const named = (own: number | undefined, base: number, name: { own: string; base: string; use: string }) => ({
    use: `the SDS's ${name.use}`,
    setting: own === undefined ? `${name.base} + POWERFLEX_SDS_INDEX` : name.own,
    port: own ?? base + sds.sdsIndex,
  });
  return {
    control: named(sds.sdsControlPort, common.sdsControlBasePort, {
      own: "POWERFLEX_SDS_CONTROL_PORT",
      base: "POWERFLEX_CONTROL_BASE_PORT",
      use: "control API",
    }),
    mgmt: named(sds.sdsMgmtPort, common.sdsMgmtBasePort, {
      own: "POWERFLEX_SDS_MGMT_PORT",
      base: "POWERFLEX_MGMT_BASE_PORT",
      use: "management API",
    }),
    data: named(sds.sdsDataPort, common.sdsDataBasePort, {
      own: "POWERFLEX_SDS_DATA_PORT",
      base: "POWERFLEX_DATA_BASE_PORT",
      use: "data path",
    }),
  };
}

function clusterPortsOf(reading: Reading): ClusterPorts {
  const { common, mgmt } = reading.values;
  return {
    mdmApi: { use: "the MDM's API", setting: "POWERFLEX_MDM_API_PORT", port: common.mdmApiPort },
    sdsDataBase: {
      use: "the data path of SDS 0",
      setting: "POWERFLEX_DATA_BASE_PORT",
      port: common.sdsDataBasePort,
    },
    sdsData: sdsPorts(reading).data,
    sdc: sdcPorts(reading),
    gui: { use: "MGMT's pages", setting: "POWERFLEX_MGMT_GUI_PORT", port: mgmt.guiPort },
  };
}

function bindOf(reading: Reading, setting: string, own: string | undefined): NamedHost {
  return own === undefined
    ? { setting: "POWERFLEX_BIND_HOST", host: reading.values.common.bindHost }
    : { setting, host: own };
}

function commonOf(reading: Reading, own: { readonly bind: NamedHost; readonly name: string }): CommonSettings {
  const { values: { common, times }, problems } = reading;
  const { bind, name } = own;
  problems.push(...bindProblems(bind, { auth: common.auth, advertiseHost: common.advertiseHost }));
  return {
    clusterName: common.clusterName,
    dataDir: common.dataDir ?? `.powerflex/${name}`,
    mdmUrl: common.mdmBaseUrl ?? `http://${hostInUrl(common.mdmAddress)}:${common.mdmApiPort}`,
    bindHost: bind.host,
    advertiseHost: common.advertiseHost ?? bind.host,
    auth: common.auth,
    joinToken: common.joinToken,
    joinTokenFile: common.joinTokenFile,
    bootId: common.bootId,
    hostId: common.hostId,
    logLevel: common.logLevel,
    logFormat: common.logFormat,
    stopWithStdin: common.stopWithStdin === "on",
    times,
  };
}

function hostInUrl(host: string): string {
  return host.includes(":") && !host.startsWith("[") ? `[${host}]` : host;
}

function socketIn(dataDir: string, problems: string[]): string {
  const path = `${dataDir}/nbd.sock`;
  const bytes = new TextEncoder().encode(path).length;
  if (bytes > SOCKET_PATH_BYTES_MAX) {
    problems.push(
      `POWERFLEX_DATA_DIR makes the NBD socket ${path} of ${bytes} bytes, but a socket's path has at most ` +
        `${SOCKET_PATH_BYTES_MAX}: set POWERFLEX_SDC_NBD_SOCKET to a shorter one`,
    );
  }
  return path;
}

function finished<Settings extends { readonly role: Role }>(reading: Reading, settings: Settings): Settings {
  if (reading.problems.length > 0) throw new SettingsError(reading.problems);
  assert(settings.role === reading.role, "settings are read for the role they are made for");
  return settings;
}
