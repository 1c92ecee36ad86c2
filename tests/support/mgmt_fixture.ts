/**
 * MGMT over a database in memory, a clock that the test moves, and an MDM that says what the test wants.
 *
 * @module
 */
import type { Hono } from "hono";
import { AlertEngine } from "@/mgmt/alert_engine.ts";
import { createApp } from "@/mgmt/app.ts";
import { PasswordHasher } from "@/mgmt/auth/passwords.ts";
import { SessionService } from "@/mgmt/auth/session_service.ts";
import { SignIn } from "@/mgmt/auth/sign_in.ts";
import { type BackupFolder, Housekeeping } from "@/mgmt/housekeeping.ts";
import { MdmClient } from "@/mgmt/mdm_client.ts";
import { createMetrics } from "@/mgmt/metrics.ts";
import { Monitor } from "@/mgmt/monitor.ts";
import { Poller } from "@/mgmt/poller.ts";
import { type MgmtStore, openStore } from "@/mgmt/store/store.ts";
import type { Overview, OverviewSds, PgCounts } from "@/shared/api/overview.ts";
import type { Clock } from "@/shared/clock.ts";
import type { HttpRequest, HttpSend } from "@/shared/http_client.ts";
import {
  asId,
  type DeviceId,
  type FaultSetId,
  type PoolId,
  type ProtectionDomainId,
  type SdcId,
  type SdsId,
  type VolumeId,
} from "@/shared/ids.ts";
import { logger } from "@/shared/log.ts";
import { systemRandom } from "@/shared/random.ts";

const GIB = 1024 ** 3;
/** MDM time of the fixtures. */
export const FIXTURE_TIME_MS = Date.UTC(2026, 10, 23, 18, 3, 12);

/** Counters of no IO. */
export const NO_IO = { reads: 0, writes: 0, readBytes: 0, writtenBytes: 0, errors: 0, timedOperations: 0, timedMs: 0 };

const WHOLE: PgCounts = { total: 128, full: 128, degraded: 0, joining: 0, unavailable: 0 };

/** An SDS `sds-<number>` in a fault set of its own, with one device. */
export function sdsFixture(number: number, change: Partial<OverviewSds> = {}): OverviewSds {
  return {
    sdsId: asId<SdsId>(number),
    name: `sds-${number}`,
    componentId: `sds-${number}`,
    domainId: asId<ProtectionDomainId>(1),
    faultSetId: asId<FaultSetId>(number),
    host: "127.0.0.1",
    controlPort: 9099 + number,
    mgmtPort: 9199 + number,
    dataPort: 9699 + number,
    state: "up",
    lastBeatAgeMs: 400,
    stopping: false,
    markedFailed: false,
    devices: [{
      deviceId: asId<DeviceId>(number),
      name: "blk0",
      poolId: asId<PoolId>(1),
      state: "active",
      capacityBytes: 10 * GIB,
      usedBytes: Math.round(0.7 * GIB),
      pgCount: 85,
      primaryCount: 43,
    }],
    io: NO_IO,
    ...change,
  };
}

/** A healthy cluster of three SDSs, one pool, one client and one mapped volume; `change` replaces top-level fields. */
export function overviewFixture(change: Partial<Overview> = {}): Overview {
  const startedAtMs = FIXTURE_TIME_MS - 3_600_000;
  const component = (componentId: string, componentType: "MDM" | "SDS" | "SDC" | "MGMT", mgmt: number) => ({
    componentId,
    componentType,
    host: "127.0.0.1",
    ports: { mgmt },
    state: "up" as const,
    registeredAtMs: startedAtMs,
    lastBeatAgeMs: 400,
  });
  return {
    clusterId: "c0ffee",
    clusterName: "demo",
    mdmTerm: 3,
    mdmTimeMs: FIXTURE_TIME_MS,
    mdmStartedAtMs: startedAtMs,
    health: "healthy",
    domains: [{
      domainId: asId<ProtectionDomainId>(1),
      name: "domain-1",
      faultSets: [1, 2, 3].map((number) => ({ faultSetId: asId<FaultSetId>(number), name: `rack-${number}` })),
    }],
    pools: [{
      poolId: asId<PoolId>(1),
      name: "pool-1",
      domainId: asId<ProtectionDomainId>(1),
      protectionPolicy: "two_copies",
      copies: 2,
      health: "ok",
      rawCapacityBytes: 30 * GIB,
      rawUsedBytes: Math.round(2.1 * GIB),
      logicalLimitBytes: 10 * GIB,
      provisionedBytes: GIB,
      deviceCount: 3,
      pgs: WHOLE,
      rebuild: null,
    }],
    sdss: [sdsFixture(1), sdsFixture(2), sdsFixture(3)],
    sdcs: [{
      sdcId: asId<SdcId>(1),
      name: "sdc-1",
      componentId: "sdc-1",
      host: "127.0.0.1",
      controlPort: 8003,
      mgmtPort: 8004,
      devicePort: 8005,
      nbdUri: "nbd://127.0.0.1:10809",
      state: "up",
      lastBeatAgeMs: 3_000,
      mappings: [{ volumeId: asId<VolumeId>(1), accessMode: "readWrite", mappedAtMs: startedAtMs }],
      io: NO_IO,
    }],
    volumes: [{
      volumeId: asId<VolumeId>(1),
      name: "demo",
      poolId: asId<PoolId>(1),
      provisioning: "thin",
      sizeBytes: GIB,
      usedBytes: Math.round(0.4 * GIB),
      state: "in_use",
      createdAtMs: startedAtMs,
      mappings: [{ sdcId: asId<SdcId>(1), accessMode: "readWrite" }],
      io: NO_IO,
    }],
    components: [
      component("mdm-1", "MDM", 8001),
      component("sds-1", "SDS", 9200),
      component("sds-2", "SDS", 9201),
      component("sds-3", "SDS", 9202),
      component("sdc-1", "SDC", 8004),
      component("mgmt-1", "MGMT", 5000),
    ],
    events: [
      {
        eventId: 2,
        atMs: startedAtMs + 2_000,
        type: "volume_map",
        severity: "info",
        subject: "demo",
        message: "Volume demo was mapped to sdc-1",
      },
      {
        eventId: 1,
        atMs: startedAtMs,
        type: "sds_state_change",
        severity: "info",
        subject: "sds-1",
        message: "SDS sds-1 came up",
      },
    ],
    alerts: [],
    ...change,
  };
}

/** The cluster `silentMs` after sds-2 fell silent, with `joining` of its 85 groups being rebuilt and `done` of them finished. */
export function degradedFixture(
  facts: { readonly silentMs: number; readonly joining: number; readonly done: number },
): Overview {
  const base = overviewFixture();
  const lacking = 85 - facts.done;
  const pgs = {
    total: 128,
    full: 128 - lacking,
    degraded: lacking - facts.joining,
    joining: facts.joining,
    unavailable: 0,
  };
  return {
    ...base,
    mdmTimeMs: base.mdmTimeMs + facts.silentMs,
    health: "degraded",
    pools: [{
      ...base.pools[0]!,
      health: "degraded",
      pgs,
      rebuild: {
        startedAtMs: base.mdmTimeMs + 5_000,
        groupsTotal: 85,
        joinsRunning: Math.min(facts.joining, 4),
        bytesCopied: facts.done * 9_000_000,
      },
    }],
    sdss: [
      sdsFixture(1),
      sdsFixture(2, { lastBeatAgeMs: facts.silentMs, state: facts.silentMs < 30_000 ? "up" : "stale" }),
      sdsFixture(3),
    ],
    volumes: base.volumes.map((volume) => ({ ...volume, state: "degraded" as const })),
    events: [
      {
        eventId: 3,
        atMs: base.mdmTimeMs + 5_000,
        type: "sds_state_change",
        severity: "warning",
        subject: "sds-2",
        message: "SDS sds-2 is silent; 85 groups lack a copy",
      },
      ...base.events,
    ],
  };
}

/** An MDM that a test plays. */
export interface FakeMdm {
  /** What it answers; `undefined` = it is not there. */
  overview: Overview | undefined;
  readonly requests: HttpRequest[];
  /** What it answers to changes, by method and path without query; `{}` to those that are not here. */
  readonly answers: Map<string, { readonly status: number; readonly body: unknown }>;
  readonly send: HttpSend;
}

/** An MDM that answers `overview`, takes every registration and beat, and notes what it was asked. */
export function fakeMdm(overview: Overview | undefined = overviewFixture()): FakeMdm {
  const requests: HttpRequest[] = [];
  const mdm: FakeMdm = {
    overview,
    requests,
    answers: new Map(),
    send: (request) => {
      requests.push(request);
      if (!mdm.overview) return Promise.reject(new TypeError("Connection refused (os error 111)"));
      const { pathname } = new URL(request.url);
      const answer = mdm.answers.get(`${request.method} ${pathname}`);
      if (answer) return Promise.resolve({ status: answer.status, body: JSON.stringify(answer.body) });
      const body = pathname === "/api/v1/overview"
        ? mdm.overview
        : { status: "registered", component_id: "mgmt-1", cluster_secret: "ab".repeat(32) };
      return Promise.resolve({ status: 200, body: JSON.stringify(body) });
    },
  };
  return mdm;
}

/** Password of the fixture's `admin`. */
export const FIXTURE_PASSWORD = "a horse is not a staple";

/** MGMT as a test uses it. */
export interface MgmtFixture extends AsyncDisposable {
  readonly app: Hono;
  readonly store: MgmtStore;
  readonly mdm: FakeMdm;
  readonly poller: Poller;
  readonly alerts: AlertEngine;
  readonly monitor: Monitor;
  readonly housekeeping: Housekeeping;
  readonly replacedCount: () => number;
}

interface FixtureOptions {
  readonly clock: Clock;
  readonly mdm?: FakeMdm;
  readonly auth?: "token" | "open";
  /** `admin` still has the one-time password {@linkcode FIXTURE_PASSWORD}. */
  readonly oneTime?: boolean;
  readonly store?: MgmtStore;
  readonly pollMs?: number;
  /** Management listeners of the other processes; all are healthy by default. */
  readonly listeners?: HttpSend;
  readonly backups?: BackupFolder;
}

/** Listeners that are all healthy. */
const HEALTHY_LISTENERS: HttpSend = () => Promise.resolve({ status: 200, body: '{"status":"HEALTHY"}' });
const NO_BACKUPS: BackupFolder = { path: "/nowhere", list: () => [], remove: () => {} };

/** Starts MGMT and polls once. */
export async function mgmtFixture(options: FixtureOptions): Promise<MgmtFixture> {
  const { clock, mdm = fakeMdm(), auth = "token", oneTime = false, pollMs = 10_000 } = options;
  const store = options.store ?? openStore(":memory:");
  // Cheap hashes: the cost is tested where hashes are.
  const hasher = new PasswordHasher(systemRandom, { logN: 4, r: 8, p: 1 });
  const passwordHash = await hasher.hash(FIXTURE_PASSWORD);
  store.users.add({ name: "admin", role: "admin", passwordHash, nowMs: clock.wallMs() });
  if (!oneTime) store.users.setPassword(1, { hash: passwordHash, mustChange: false });
  let key: string | undefined;
  const client = new MdmClient({
    send: mdm.send,
    mdmUrl: "http://127.0.0.1:8001",
    componentId: "mgmt-1",
    address: "127.0.0.1",
    guiPort: 5000,
    joinToken: "join",
    keys: { load: () => key, save: (made) => key = made },
  });
  const log = logger("mgmt");
  const alerts = new AlertEngine({ store, clock });
  const { listeners = HEALTHY_LISTENERS, backups = NO_BACKUPS } = options;
  const monitor = new Monitor({ send: listeners, clock, pollMs, log, snapshots: store.snapshots });
  const housekeeping = new Housekeeping({ store, clock, log, backups });
  const poller = new Poller({
    mdm: client,
    alerts,
    monitor,
    mdmUrl: "http://127.0.0.1:8001",
    clock,
    pollMs,
    log,
    remembered: store.topology.load(),
    remember: (snapshot) => store.topology.save(snapshot),
  });
  const sessions = new SessionService({
    users: store.users,
    sessions: store.sessions,
    clock,
    random: systemRandom,
    secretKey: "k".repeat(32),
  });
  let replaced = 0;
  const signIn = new SignIn({ store, sessions, hasher, clock, onOneTimePasswordReplaced: () => replaced++ });
  const metrics = createMetrics();
  const app = createApp({
    ...{ store, sessions, signIn, poller, alerts, housekeeping, mdm: client, clock, log, metrics, auth },
    guiPort: 5000,
  });
  await poller.start();
  await monitor.settled();
  return {
    app,
    store,
    mdm,
    poller,
    alerts,
    monitor,
    housekeeping,
    replacedCount: () => replaced,
    async [Symbol.asyncDispose]() {
      await poller.stop();
      await monitor[Symbol.asyncDispose]();
      store[Symbol.dispose]();
    },
  };
}
