/**
 * What a demo consists of: its processes with their directories, ports and settings. A function of the options; nothing is
 * opened here.
 *
 * @module
 */
import type { DemoOptions } from "@/scripts/demo/options.ts";
import { PORTS } from "@/shared/port_numbers.ts";
import type { Role } from "@/shared/settings.ts";
import { SOCKET_PATH_BYTES_MAX } from "@/shared/settings/tables.ts";

/** A TCP port of a process and what it is for. */
export interface PlannedPort {
  readonly use: string;
  readonly port: number;
}

/** One process. */
export interface Member {
  /** Its folder, its log and its executable are named so, and it registers so: `sds-1`. */
  readonly name: string;
  readonly role: Role;
  readonly dir: string;
  readonly ports: readonly PlannedPort[];
  /** Its settings, but for the secrets. */
  readonly environment: Readonly<Record<string, string>>;
}

/** An SDS and its ports. */
export interface SdsMember extends Member {
  readonly controlPort: number;
  readonly mgmtPort: number;
  readonly dataPort: number;
}

/** An SDC, its ports and its socket. */
export interface SdcMember extends Member {
  readonly controlPort: number;
  readonly mgmtPort: number;
  readonly devicePort: number;
  readonly nbdPort: number;
  readonly nbdSocket: string;
}

/** The whole demo. */
export interface DemoPlan {
  readonly options: DemoOptions;
  /** Absolute. */
  readonly dir: string;
  readonly mdm: Member;
  readonly mdmUrl: string;
  readonly sds: readonly SdsMember[];
  readonly sdc: readonly SdcMember[];
  readonly mgmt: Member;
  readonly mgmtUrl: string;
}

/** All listeners of the demo wait here. */
export const DEMO_HOST = "127.0.0.1";

/** Ports that each further SDC adds to those of the one before. */
const SDC_PORT_STEP = 10;

/** Copies are made again after this time, so that healing can be watched; a clean stop takes no longer than this. */
const DEMO_TIMES = { POWERFLEX_OUT_AFTER_MS: "60s", POWERFLEX_STOP_MS: "2s" };

/** Where the plan stands on the host. */
export interface PlanPlace {
  /** The data directory from the root on. */
  readonly dir: string;
  /** For sockets whose path in the data directory would be too long. */
  readonly temporaryDir: string;
  readonly hostIdentity: Readonly<Record<string, string>>;
  /** Settings of time that replace those of the demo. */
  readonly times?: Readonly<Record<string, string>>;
}

/** The plan for `options`. */
export function planOf(options: DemoOptions, place: PlanPlace): DemoPlan {
  const offset = (port: number) => port + options.portOffset;
  const mdmUrl = `http://${DEMO_HOST}:${offset(PORTS.mdmApi)}`;
  const shared: Record<string, string> = {
    ...DEMO_TIMES,
    ...place.times,
    ...place.hostIdentity,
    POWERFLEX_CLUSTER_NAME: "demo",
    POWERFLEX_AUTH: "open",
    POWERFLEX_BIND_HOST: DEMO_HOST,
    POWERFLEX_MDM_BASE_URL: mdmUrl,
    POWERFLEX_MDM_API_PORT: String(offset(PORTS.mdmApi)),
    POWERFLEX_CONTROL_BASE_PORT: String(offset(PORTS.sdsControlBase)),
    POWERFLEX_MGMT_BASE_PORT: String(offset(PORTS.sdsMgmtBase)),
    POWERFLEX_DATA_BASE_PORT: String(offset(PORTS.sdsDataBase)),
    POWERFLEX_SDC_CONTROL_PORT: String(offset(PORTS.sdcControl)),
    POWERFLEX_SDC_MGMT_PORT: String(offset(PORTS.sdcMgmt)),
    POWERFLEX_SDC_DEVICE_PORT: String(offset(PORTS.sdcDevice)),
    POWERFLEX_SDC_NBD_PORT: String(offset(PORTS.sdcNbd)),
    POWERFLEX_MGMT_GUI_PORT: String(offset(PORTS.mgmtGui)),
  };
  const member = (name: string, role: Role, own: { ports: PlannedPort[]; environment?: Record<string, string> }) => ({
    name,
    role,
    dir: `${place.dir}/${name}`,
    ports: own.ports,
    environment: { ...shared, POWERFLEX_DATA_DIR: `${place.dir}/${name}`, ...own.environment },
  });
  const count = (length: number) => Array.from({ length }, (_, index) => index);
  return {
    options,
    dir: place.dir,
    mdmUrl,
    mdm: member("mdm", "mdm", { ports: [{ use: "MDM", port: offset(PORTS.mdmApi) }] }),
    sds: count(options.sdsCount).map((index) => sdsMember(index, { offset, member })),
    sdc: count(options.sdcCount).map((index) => sdcMember(index, { offset, member, place })),
    mgmt: member("mgmt", "mgmt", { ports: [{ use: "dashboard", port: offset(PORTS.mgmtGui) }] }),
    mgmtUrl: `http://${DEMO_HOST}:${offset(PORTS.mgmtGui)}`,
  };
}

interface MemberParts {
  readonly offset: (port: number) => number;
  readonly member: (
    name: string,
    role: Role,
    own: { ports: PlannedPort[]; environment?: Record<string, string> },
  ) => Member;
}

function sdsMember(index: number, { offset, member }: MemberParts): SdsMember {
  const name = `sds-${index + 1}`;
  const controlPort = offset(PORTS.sdsControlBase) + index;
  const mgmtPort = offset(PORTS.sdsMgmtBase) + index;
  const dataPort = offset(PORTS.sdsDataBase) + index;
  const ports = [
    { use: `${name} control`, port: controlPort },
    { use: `${name} management`, port: mgmtPort },
    { use: `${name} data`, port: dataPort },
  ];
  const environment = { POWERFLEX_SDS_INDEX: String(index), POWERFLEX_SDS_NODE_ID: name };
  return { ...member(name, "sds", { ports, environment }), controlPort, mgmtPort, dataPort };
}

function sdcMember(index: number, { offset, member, place }: MemberParts & { readonly place: PlanPlace }): SdcMember {
  const name = `sdc-${index + 1}`;
  const shifted = (port: number) => offset(port) + index * SDC_PORT_STEP;
  const controlPort = shifted(PORTS.sdcControl);
  const mgmtPort = shifted(PORTS.sdcMgmt);
  const devicePort = shifted(PORTS.sdcDevice);
  const nbdPort = shifted(PORTS.sdcNbd);
  const nbdSocket = socketPath(`${place.dir}/${name}/nbd.sock`, `${place.temporaryDir}/powerflex-nbd-${nbdPort}.sock`);
  const ports = [
    { use: `${name} control`, port: controlPort },
    { use: `${name} management`, port: mgmtPort },
    { use: `${name} device`, port: devicePort },
    { use: `${name} NBD`, port: nbdPort },
  ];
  const environment = {
    POWERFLEX_SDC_NODE_ID: name,
    POWERFLEX_SDC_CONTROL_PORT: String(controlPort),
    POWERFLEX_SDC_MGMT_PORT: String(mgmtPort),
    POWERFLEX_SDC_DEVICE_PORT: String(devicePort),
    POWERFLEX_SDC_NBD_PORT: String(nbdPort),
    POWERFLEX_SDC_NBD_SOCKET: nbdSocket,
  };
  return { ...member(name, "sdc", { ports, environment }), controlPort, mgmtPort, devicePort, nbdPort, nbdSocket };
}

function socketPath(wanted: string, short: string): string {
  return new TextEncoder().encode(wanted).length <= SOCKET_PATH_BYTES_MAX ? wanted : short;
}

/** All processes, in the order in which they start. */
export function membersOf(plan: DemoPlan): readonly Member[] {
  return [plan.mdm, ...plan.sds, ...plan.sdc, plan.mgmt];
}

/** Groups in the order in which they stop: who uses others first. */
export function stopOrder(plan: DemoPlan): readonly (readonly Member[])[] {
  return [[...plan.sdc, plan.mgmt], plan.sds, [plan.mdm]];
}

/** What is wrong with the ports of a plan, one sentence each. */
export function planProblems(plan: DemoPlan): string[] {
  const owners = new Map<number, string>();
  const problems: string[] = [];
  for (const { use, port } of membersOf(plan).flatMap(({ ports }) => ports)) {
    const other = owners.get(port);
    if (other !== undefined) {
      problems.push(`Port ${port} would be that of ${other} and of ${use}: start fewer processes`);
    }
    if (port > 65_535) problems.push(`Port ${port} of ${use} is above 65535: choose a smaller --port-offset`);
    owners.set(port, use);
  }
  return problems;
}
