/**
 * The registry of processes: enrolment with the join token, return visits, topology, heartbeats of processes that have no
 * internal one.
 *
 * @module
 */
import { createHash } from "node:crypto";
import { type MdmContext, recordEvent } from "@/mdm/context.ts";
import { componentStatusOf } from "@/mdm/core/health.ts";
import { announce } from "@/mdm/operations/pgs.ts";
import { beatAgeMs, livenessOfComponent } from "@/mdm/operations/processes.ts";
import { newNodeKeyHex } from "@/mdm/secrets.ts";
import { raiseCounter } from "@/mdm/store/cluster_config.ts";
import {
  bindClusterNode,
  clusterNodeByName,
  clusterNodeOfComponent,
  freeNodeMatching,
  upsertClusterNode,
} from "@/mdm/store/cluster_nodes.ts";
import {
  componentById,
  type ComponentFacts,
  type ComponentRow,
  type ComponentType,
  deleteComponent,
  insertComponent,
  listComponents,
  setComponentStatus,
  updateComponent,
} from "@/mdm/store/components.ts";
import { sdcOfComponent } from "@/mdm/store/sdc.ts";
import { devicesOfSds } from "@/mdm/store/devices.ts";
import { sdsOfComponent } from "@/mdm/store/sds.ts";
import { equalText } from "@/shared/auth.ts";
import { assert, StorageError } from "@/shared/errors.ts";
import type { ComponentId } from "@/shared/ids.ts";

export interface RegisterRequest extends ComponentFacts {
  /** Join token that the caller showed, in a header or a field. */
  readonly joinToken: string | undefined;
  /** SHA-256 of node key and component id, in hexadecimal, on return visits. */
  readonly authToken: string | undefined;
}

/** The component, and whether it enrolled with this call (or again, with the join token) or only came back. */
export interface Registration {
  readonly component: ComponentRow;
  readonly firstTime: boolean;
}

/** What proves a return visit. */
export function authTokenOf(nodeKeyHex: string, componentId: string): string {
  return createHash("sha256").update(nodeKeyHex + componentId).digest("hex");
}

/**
 * Registers a process: with the join token, or as one that enrolled before.
 *
 * @throws {StorageError} `forbidden` without a valid proof, `conflict` if the name belongs to a process of another type.
 */
export function registerComponent(context: MdmContext, request: RegisterRequest): Registration {
  const known = componentById(context.db, request.componentId);
  checkProof(context, { request, known });
  if (known !== undefined && known.componentType !== request.componentType) {
    throw new StorageError(
      "conflict",
      `Cannot register ${request.componentId} as ${request.componentType}: it is registered as ${known.componentType}`,
    );
  }
  const atMs = context.time.nowMs();
  const moved = known !== undefined &&
    (["address", "controlPort", "dataPort"] as const).some((field) => known[field] !== request[field]);
  context.db.transaction(() => {
    if (known === undefined) {
      const { componentId } = request;
      const nodeKeyHex = newNodeKeyHex(context.secrets, { componentId, random: context.random });
      insertComponent(context.db, { ...request, nodeKeyHex, atMs });
      recordRegistration(context, { request, isNew: true });
    } else if (
      moved || known.status !== "ACTIVE" || JSON.stringify(known.metadata) !== JSON.stringify(request.metadata)
    ) {
      updateComponent(context.db, { ...request, atMs });
    }
    if (moved) {
      recordRegistration(context, { request, isNew: false });
      raiseCounter(context.db, "config_version");
    }
    bindToNode(context, { request, atMs });
  });
  context.live.beat(request.componentId, context.clock.monotonicMs());
  if (moved) tellPeers(context, request.componentId);
  const component = componentById(context.db, request.componentId);
  assert(component !== undefined, "a row that was just committed is there");
  return { component, firstTime: known === undefined };
}

function recordRegistration(context: MdmContext, options: { request: RegisterRequest; isNew: boolean }): void {
  const { componentId, componentType, address, controlPort } = options.request;
  const place = `${address}:${controlPort ?? 0}`;
  const message = `${componentType} ${componentId} ${options.isNew ? "enrolled from" : "moved to"} ${place}`;
  recordEvent(context, { type: "component_registered", severity: "info", subject: componentId, message });
}

function checkProof(context: MdmContext, options: { request: RegisterRequest; known: ComponentRow | undefined }): void {
  const { request, known } = options;
  const { joinToken, authToken, componentId } = request;
  if (joinToken !== undefined && equalText(joinToken, context.secrets.joinToken)) return;
  const attempt = `Cannot register ${componentId}`;
  if (known === undefined) {
    throw new StorageError("forbidden", `${attempt}: a process that enrols needs the join token of the cluster`);
  }
  if (authToken === undefined || !equalText(authToken, authTokenOf(known.nodeKeyHex, componentId))) {
    throw new StorageError(
      "forbidden",
      `${attempt}: auth_token does not prove the key that it was given, nor is there a join token`,
    );
  }
}

/** Gives the process a cluster node: the one it has, a free one with its address and port, else one of its own name. */
function bindToNode(context: MdmContext, options: { request: RegisterRequest; atMs: number }): void {
  const { request, atMs } = options;
  const { componentId, address, controlPort, dataPort } = request;
  const facts = { address, controlPort, dataPort, capabilities: [request.componentType], atMs, metadata: {} };
  const own = clusterNodeOfComponent(context.db, componentId);
  if (own !== undefined) {
    if (
      own.nodeId === componentId &&
      (own.address !== address || own.controlPort !== controlPort || own.dataPort !== dataPort)
    ) {
      upsertClusterNode(context.db, { ...facts, nodeId: componentId, name: componentId, componentId });
    }
    return;
  }
  const component = componentById(context.db, componentId);
  assert(component !== undefined, "the component was just recorded");
  const free = freeNodeMatching(context.db, component);
  if (free !== undefined) return bindClusterNode(context.db, free.id, componentId);
  // A node of that name elsewhere belongs to somebody else's plan; the process gets one that says whose it is.
  const taken = clusterNodeByName(context.db, componentId) !== undefined;
  const nodeId = taken ? `${componentId}@${address}:${controlPort ?? dataPort ?? 0}` : componentId;
  upsertClusterNode(context.db, { ...facts, nodeId, name: componentId, componentId });
}

function tellPeers(context: MdmContext, componentId: ComponentId): void {
  const sds = sdsOfComponent(context.db, componentId);
  if (sds === undefined) return;
  const poolIds = devicesOfSds(context.db, sds.sdsId).flatMap((device) => device.poolId ?? []);
  announce(context, { poolIds, except: sds.sdsId });
}

/** All registered processes, in order of registration. */
export function allComponents(context: MdmContext): ComponentRow[] {
  return listComponents(context.db);
}

/** @throws {StorageError} `not_found`. */
export function requireComponent(context: MdmContext, componentId: string): ComponentRow {
  const component = componentById(context.db, componentId);
  if (component === undefined || component.status === "UNREGISTERED") {
    throw new StorageError("not_found", `There is no component ${componentId}`);
  }
  return component;
}

/** ACTIVE processes of one type. */
export function activePeers(context: MdmContext, type: ComponentType): ComponentRow[] {
  return listComponents(context.db).filter((component) =>
    component.componentType === type && livenessOfComponent(context, component.componentId) === "up"
  );
}

/** Notes that a process lives. @throws {StorageError} `not_found`. */
export function noteHeartbeat(context: MdmContext, componentId: string): void {
  const component = requireComponent(context, componentId);
  context.live.beat(component.componentId, context.clock.monotonicMs());
}

/** Forgets a process; one that an operator made a record for stays known, with its key, but is not listed. */
export function unregisterComponent(context: MdmContext, componentId: string): void {
  const component = requireComponent(context, componentId);
  const hasRecord = sdsOfComponent(context.db, component.componentId) !== undefined ||
    sdcOfComponent(context.db, component.componentId) !== undefined;
  context.db.transaction(() => {
    if (hasRecord) {
      setComponentStatus(context.db, component.componentId, { status: "UNREGISTERED", lastHeartbeatAtMs: null });
    } else deleteComponent(context.db, component.componentId);
  });
  context.live.forget(component.componentId);
}

/** One process as the predecessor's API shows it. */
export interface ComponentView {
  readonly component_id: string;
  readonly component_type: ComponentType;
  readonly address: string;
  readonly ports: { readonly control: number | null; readonly data: number | null; readonly mgmt: number | null };
  readonly status: "ACTIVE" | "STALE" | "DOWN";
  readonly registered_at: string;
  readonly last_heartbeat_at: string | null;
  readonly metadata: Readonly<Record<string, unknown>>;
}

/** `component` with its status and the time of its last beat now. */
export function componentView(context: MdmContext, component: ComponentRow): ComponentView {
  const beatMs = context.live.lastBeatMs(component.componentId);
  const heardAtMs = beatMs === undefined
    ? component.lastHeartbeatAtMs
    : context.time.nowMs() - beatAgeMs(context, component.componentId);
  return {
    component_id: component.componentId,
    component_type: component.componentType,
    address: component.address,
    ports: { control: component.controlPort, data: component.dataPort, mgmt: component.mgmtPort },
    status: componentStatusOf(livenessOfComponent(context, component.componentId)),
    registered_at: new Date(component.registeredAtMs).toISOString(),
    last_heartbeat_at: heardAtMs === null ? null : new Date(heardAtMs).toISOString(),
    metadata: component.metadata,
  };
}
