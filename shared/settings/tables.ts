/**
 * Every setting of every role, declared once. A process reads the table of its role and the common one; it accepts the names
 * of all of them, so that one environment file can serve a whole host.
 *
 * @module
 */
import { JOIN_LIMITS, QUEUE_DEPTH, REGIONS_KEPT_SET, REGIONS_PER_PG } from "@/shared/constants.ts";
import { PORTS, SDS_PER_HOST_MAX } from "@/shared/port_numbers.ts";
import { choice, host, httpUrl, integer, path, port, type SettingTable, text } from "@/shared/settings/declare.ts";
import { TIME_SETTINGS } from "@/shared/settings/timing.ts";

/** Roles of a process. */
export const ROLES = ["mdm", "sds", "sdc", "mgmt"] as const;
/** What a process is. */
export type Role = typeof ROLES[number];

/** Longest path of a unix socket on Linux, in bytes. */
export const SOCKET_PATH_BYTES_MAX = 107;

const NODE_NAME = { pattern: /^[A-Za-z0-9][A-Za-z0-9._-]{1,63}$/, accepts: "2 to 64 letters, digits, `.`, `_`, `-`" };

const COMMON_SETTINGS = {
  componentRole: choice("POWERFLEX_COMPONENT_ROLE", {
    about: "What this process is meant to be; refused when it is started as something else.",
    fallback: "any",
    words: ["any", ...ROLES],
  }),
  clusterName: text("POWERFLEX_CLUSTER_NAME", {
    about: "Name of the cluster, for people.",
    fallback: "powerflex",
    pattern: /^[\w .-]{1,64}$/,
    accepts: "1 to 64 letters, digits, spaces, `.`, `_`, `-`",
  }),
  dataDir: path("POWERFLEX_DATA_DIR", {
    about: "Directory of this process: its databases, keys and, of an SDS, its devices. No two processes share one.",
    fallback: undefined,
    fallbackText: "`.powerflex/` and `mdm`, `mgmt`, or the name under which the SDS or SDC registers",
  }),
  mdmAddress: text("POWERFLEX_MDM_ADDRESS", {
    about: "Host of the MDM, if its address is not given by POWERFLEX_MDM_BASE_URL.",
    fallback: "127.0.0.1",
    pattern: /^[A-Za-z0-9[][A-Za-z0-9.:\]-]{0,252}$/,
    accepts: "a host name or an address",
  }),
  mdmApiPort: port("POWERFLEX_MDM_API_PORT", { about: "TCP port of the MDM's HTTP API.", fallback: PORTS.mdmApi }),
  mdmBaseUrl: httpUrl("POWERFLEX_MDM_BASE_URL", {
    about: "Address of the MDM's HTTP API, for all other roles.",
    fallback: undefined,
    fallbackText: "made of POWERFLEX_MDM_ADDRESS and POWERFLEX_MDM_API_PORT",
  }),
  bindHost: host("POWERFLEX_BIND_HOST", {
    about: "Address on which the listeners of any role wait; `0.0.0.0` for all.",
    fallback: "127.0.0.1",
  }),
  advertiseHost: host("POWERFLEX_ADVERTISE_HOST", {
    about: "Host under which others reach this process. Needed when it listens on all addresses.",
    fallback: undefined,
    fallbackText: "the address on which it listens",
  }),
  network: text("POWERFLEX_NET", {
    about:
      "Further hosts or networks this process may reach, separated by commas; becomes part of its network permission.",
    fallback: undefined,
    pattern: /^[A-Za-z0-9.:/[\]*,-]{1,1024}$/,
    accepts: "hosts and CIDR networks, separated by commas",
  }),
  auth: choice("POWERFLEX_AUTH", {
    about: "`open` leaves the MDM's operator API and MGMT's read-only health pages without login; loopback only.",
    fallback: "token",
    words: ["token", "open"],
  }),
  joinToken: text("POWERFLEX_JOIN_TOKEN", {
    about: "Token with which a new process enrols; made by the MDM at its first start.",
    fallback: undefined,
    accepts: "the token's text",
    secret: true,
  }),
  joinTokenFile: path("POWERFLEX_JOIN_TOKEN_FILE", {
    about: "File that holds the join token.",
    fallback: undefined,
  }),
  bootId: text("POWERFLEX_BOOT_ID", {
    about: "Identity of the host's current boot (Linux: /proc/sys/kernel/random/boot_id).",
    fallback: undefined,
    fallbackText: "random at each start, which is safe: more is compared after a restart",
    pattern: /^[A-Za-z0-9-]{8,64}$/,
    accepts: "8 to 64 letters, digits, `-`",
  }),
  hostId: text("POWERFLEX_HOST_ID", {
    about: "Identity of the host (Linux: /etc/machine-id).",
    fallback: undefined,
    fallbackText: "random at each start",
    pattern: /^[A-Za-z0-9-]{8,64}$/,
    accepts: "8 to 64 letters, digits, `-`",
  }),
  logLevel: choice("POWERFLEX_LOG_LEVEL", {
    about: "Least important messages that are logged.",
    fallback: "info",
    words: ["trace", "debug", "info", "warning", "error"],
  }),
  logFormat: choice("POWERFLEX_LOG_FORMAT", {
    about: "Form of the log on standard error: lines for people, or one JSON object per line.",
    fallback: "pretty",
    words: ["pretty", "json"],
  }),
  stopWithStdin: choice("POWERFLEX_STOP_WITH_STDIN", {
    about: "`on` stops the process when its standard input ends, and leaves Ctrl-C to whoever holds the other end.",
    fallback: "off",
    words: ["off", "on"],
  }),
  ioMode: choice("POWERFLEX_IO_MODE", {
    about: "Kept for compatibility: data always travels over the network path, whichever is chosen.",
    fallback: "network_prefer_local",
    words: ["network_prefer_local", "network_only"],
  }),
  writeAckPolicy: choice("POWERFLEX_WRITE_ACK_POLICY", {
    about: "When a write is acknowledged: `all` = when all current members of its group have it. `quorum` is refused.",
    fallback: "all",
    words: ["all", "quorum"],
  }),
  sdsControlBasePort: port("POWERFLEX_CONTROL_BASE_PORT", {
    about: "Control port of SDS 0; SDS n adds n.",
    fallback: PORTS.sdsControlBase,
  }),
  sdsMgmtBasePort: port("POWERFLEX_MGMT_BASE_PORT", {
    about: "Management port of SDS 0; SDS n adds n.",
    fallback: PORTS.sdsMgmtBase,
  }),
  sdsDataBasePort: port("POWERFLEX_DATA_BASE_PORT", {
    about: "Data port of SDS 0; SDS n adds n.",
    fallback: PORTS.sdsDataBase,
  }),
} satisfies SettingTable;

const MDM_SETTINGS = {
  mdmBindHost: host("POWERFLEX_MDM_BIND_HOST", {
    about: "Address on which the MDM listens.",
    fallback: undefined,
    fallbackText: "POWERFLEX_BIND_HOST",
  }),
  dbPath: path("POWERFLEX_DB_PATH", {
    about: "The MDM's database.",
    fallback: undefined,
    fallbackText: "`powerflex.db` in the data directory",
  }),
  fullJoinsPerSds: integer("POWERFLEX_FULL_JOINS_PER_SDS", {
    about: "Copies of whole groups that one SDS gives, and that it takes, at a time.",
    fallback: JOIN_LIMITS.fullJoinsPerSds,
    min: 1,
    max: 64,
    unit: "",
  }),
  deltaJoinsPerSds: integer("POWERFLEX_DELTA_JOINS_PER_SDS", {
    about: "Returning copies of groups that one SDS gives, and that it takes, at a time.",
    fallback: JOIN_LIMITS.deltaJoinsPerSds,
    min: 1,
    max: 1024,
    unit: "",
  }),
  joinStartsPerSecond: integer("POWERFLEX_JOIN_STARTS_PER_SECOND", {
    about:
      "Copies of groups that are begun in one pool per second: each makes clients fetch a part of their map again.",
    fallback: JOIN_LIMITS.joinStartsPerSecond,
    min: 1,
    max: 4096,
    unit: "1/s",
  }),
} satisfies SettingTable;

const SDS_SETTINGS = {
  sdsIndex: integer("POWERFLEX_SDS_INDEX", {
    about: "Number of this SDS on its host; added to the base ports.",
    fallback: 0,
    min: 0,
    max: SDS_PER_HOST_MAX - 1,
    unit: "",
  }),
  sdsNodeId: text("POWERFLEX_SDS_NODE_ID", {
    about: "Name under which this SDS registers.",
    fallback: undefined,
    fallbackText: "`sds-` and POWERFLEX_SDS_INDEX + 1",
    ...NODE_NAME,
  }),
  sdsBindHost: host("POWERFLEX_SDS_BIND_HOST", {
    about: "Address on which the SDS listens.",
    fallback: undefined,
    fallbackText: "POWERFLEX_BIND_HOST",
  }),
  sdsControlPort: port("POWERFLEX_SDS_CONTROL_PORT", {
    about: "TCP port on which the MDM calls this SDS.",
    fallback: undefined,
    fallbackText: "POWERFLEX_CONTROL_BASE_PORT + POWERFLEX_SDS_INDEX",
  }),
  sdsMgmtPort: port("POWERFLEX_SDS_MGMT_PORT", {
    about: "TCP port for MGMT and people.",
    fallback: undefined,
    fallbackText: "POWERFLEX_MGMT_BASE_PORT + POWERFLEX_SDS_INDEX",
  }),
  sdsDataPort: port("POWERFLEX_SDS_DATA_PORT", {
    about: "TCP port of the data path.",
    fallback: undefined,
    fallbackText: "POWERFLEX_DATA_BASE_PORT + POWERFLEX_SDS_INDEX",
  }),
  sdsStorageRoot: path("POWERFLEX_SDS_STORAGE_ROOT", {
    about: "Directory that holds this SDS's devices, one folder or mount each.",
    fallback: undefined,
    fallbackText: "`devices` in the data directory",
  }),
  rebuildMibPerSecond: integer("POWERFLEX_REBUILD_BANDWIDTH", {
    about: "Rate at which this SDS copies data for joins.",
    fallback: 100,
    min: 1,
    max: 100_000,
    unit: "MiB/s",
  }),
  scrubIntervalHours: integer("POWERFLEX_SCRUB_INTERVAL", {
    about: "Time after which every stored block is read on all copies again, compared, and mended where one is bad.",
    fallback: 168,
    min: 1,
    max: 8_760,
    unit: "hours",
  }),
  scrubMibPerSecond: integer("POWERFLEX_SCRUB_BANDWIDTH", {
    about: "Rate at which a device of this SDS scrubs, as primary.",
    fallback: 10,
    min: 1,
    max: 100_000,
    unit: "MiB/s",
  }),
  regionsKeptSet: integer("POWERFLEX_REGIONS_KEPT_SET", {
    about:
      "Regions of write intents per placement group, written last, that stay set: a copy that returns compares them all.",
    fallback: REGIONS_KEPT_SET,
    min: 0,
    max: REGIONS_PER_PG,
    unit: "",
  }),
  backgroundSyncMib: integer("POWERFLEX_BACKGROUND_SYNC", {
    about: "Unsynced data of a device after which it is synced in the background.",
    fallback: 64,
    min: 1,
    max: 65_536,
    unit: "MiB",
  }),
} satisfies SettingTable;

const SDC_SETTINGS = {
  sdcNodeId: text("POWERFLEX_SDC_NODE_ID", {
    about: "Name under which this SDC registers.",
    fallback: "sdc-1",
    ...NODE_NAME,
  }),
  sdcBindHost: host("POWERFLEX_SDC_BIND_HOST", {
    about: "Address on which the SDC listens.",
    fallback: undefined,
    fallbackText: "POWERFLEX_BIND_HOST",
  }),
  sdcControlPort: port("POWERFLEX_SDC_CONTROL_PORT", {
    about: "TCP port on which the MDM calls this SDC.",
    fallback: PORTS.sdcControl,
  }),
  sdcMgmtPort: port("POWERFLEX_SDC_MGMT_PORT", {
    about: "TCP port for MGMT and people.",
    fallback: PORTS.sdcMgmt,
  }),
  sdcDevicePort: port("POWERFLEX_SDC_DEVICE_PORT", {
    about: "TCP port of the block devices as JSON lines.",
    fallback: PORTS.sdcDevice,
    aliases: ["POWERFLEX_SDC_SERVICE_PORT"],
  }),
  sdcNbdPort: port("POWERFLEX_SDC_NBD_PORT", {
    about: "TCP port of the block devices by NBD.",
    fallback: PORTS.sdcNbd,
  }),
  sdcNbdSocket: path("POWERFLEX_SDC_NBD_SOCKET", {
    about: "Unix socket of the block devices by NBD, faster than TCP for clients of the same host.",
    fallback: undefined,
    fallbackText: "`nbd.sock` in the data directory",
    bytesMax: SOCKET_PATH_BYTES_MAX,
  }),
  queueDepth: integer("POWERFLEX_QUEUE_DEPTH", {
    about: "Requests in flight from this SDC to one SDS.",
    fallback: QUEUE_DEPTH,
    min: 1,
    max: QUEUE_DEPTH,
    unit: "",
  }),
} satisfies SettingTable;

const MGMT_SETTINGS = {
  guiBindHost: host("POWERFLEX_GUI_BIND_HOST", {
    about: "Address on which MGMT listens.",
    fallback: undefined,
    fallbackText: "POWERFLEX_BIND_HOST",
  }),
  guiPort: port("POWERFLEX_MGMT_GUI_PORT", {
    about: "TCP port of the web pages.",
    fallback: PORTS.mgmtGui,
    aliases: ["POWERFLEX_GUI_PORT"],
  }),
  mgmtNodeId: text("POWERFLEX_MGMT_NODE_ID", {
    about: "Name under which MGMT registers.",
    fallback: "mgmt-1",
    ...NODE_NAME,
  }),
  secretKey: text("POWERFLEX_SECRET_KEY", {
    about: "Key that protects sessions and forms; at least 32 characters.",
    fallback: undefined,
    fallbackText: "made at the first start and kept in the data directory",
    pattern: /^.{32,}$/,
    accepts: "at least 32 characters",
    secret: true,
  }),
  pollMs: integer("POWERFLEX_MGMT_POLL_MS", {
    about: "Time between two polls of the other components.",
    fallback: 10_000,
    min: 500,
    max: 600_000,
    unit: "ms",
  }),
  initialPassword: text("POWERFLEX_MGMT_INITIAL_PASSWORD", {
    about: "One-time password of `admin` at the first start; must be changed at the first sign-in.",
    fallback: undefined,
    fallbackText: "random, said once in the log",
    pattern: /^.{12,128}$/,
    accepts: "12 to 128 characters",
    secret: true,
  }),
} satisfies SettingTable;

/** The tables by the heading under which `docs/configuration.md` shows them. */
export const TABLES = {
  common: COMMON_SETTINGS,
  mdm: MDM_SETTINGS,
  sds: SDS_SETTINGS,
  sdc: SDC_SETTINGS,
  mgmt: MGMT_SETTINGS,
  times: TIME_SETTINGS,
} as const;
