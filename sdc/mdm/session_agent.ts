/**
 * The SDC's talk with the MDM: enrolment, registration for a session, heartbeats with the list of mappings. Everything is
 * tried for ever; meanwhile IO goes on with what the SDC has.
 *
 *   enrol ──► register ──► beat each 10 s, and at once when the MDM or a volume asks
 *     ▲          ▲            │ `registered: false`: the session is not the newest, or an operator added this SDC now
 *     │          └────────────┤
 *     └── key refused ────────┘
 *
 * @module
 */
import type { SdcContext } from "@/sdc/context.ts";
import { backoffMs } from "@/sdc/core/retry.ts";
import { type MappedVolumes, noSessionYet } from "@/sdc/mapped_volumes.ts";
import type { SdcIdentity } from "@/sdc/remote/sds_peer.ts";
import type { VolumeCalls } from "@/sdc/remote/volume_calls.ts";
import {
  sdcHeartbeatAnswerSchema,
  type SdcHeartbeatCall,
  type SdcRegisterAnswer,
  sdcRegisterAnswerSchema,
  sessionTokenAnswerSchema,
  volumeMapSchema,
} from "@/shared/api/sdc.ts";
import { sleep } from "@/shared/clock.ts";
import { StorageError } from "@/shared/errors.ts";
import type { VolumeId } from "@/shared/ids.ts";
import type { NodeClient } from "@/shared/node_client.ts";

/** Time between two registrations while no operator has added this process as an SDC, in ms. */
export const UNASSIGNED_MS = 1_000;
/** Longest pause after a failed call, in ms. */
export const RETRY_MS_MAX = 2_000;
/** How long a stop waits for the answer of a silent MDM, in ms. */
export const STOP_MS_MAX = 500;

/** What the agent works with. */
export interface SessionAgentOptions {
  readonly client: NodeClient;
  readonly bootId: string;
  readonly hostId: string;
}

/** How the SDC stands with the MDM. */
export interface AgentStatus {
  readonly identity: SdcIdentity | undefined;
  readonly clusterName: string | undefined;
  /** True if the last call was answered. */
  readonly mdmAnswers: boolean;
}

/** See the module comment. */
export class SessionAgent {
  readonly #context: SdcContext;
  readonly #options: SessionAgentOptions;
  readonly #stopping = new AbortController();
  #volumes: MappedVolumes | undefined;
  #running: Promise<void> | undefined;
  #wake = new AbortController();
  /** Who waits for the end of a round that has not begun. */
  #waiters: (() => void)[] = [];
  #enrolled = false;
  #identity: SdcIdentity | undefined;
  #clusterName: string | undefined;
  #mappingVersion = 0;
  #failures = 0;

  constructor(context: SdcContext, options: SessionAgentOptions) {
    this.#context = context;
    this.#options = options;
  }

  get status(): AgentStatus {
    return { identity: this.#identity, clusterName: this.#clusterName, mdmAnswers: this.#failures === 0 };
  }

  /** Begins to talk; `volumes` follow what the MDM says. */
  start(volumes: MappedVolumes): void {
    this.#volumes = volumes;
    this.#running = this.#run();
  }

  /** Talks to the MDM now; resolves when it answered or did not. */
  refresh(): Promise<void> {
    if (this.#stopping.signal.aborted) return Promise.resolve();
    return new Promise((resolve) => {
      this.#waiters.push(resolve);
      this.#wake.abort();
    });
  }

  /** The calls for one volume. */
  callsFor(volumeId: VolumeId): VolumeCalls {
    const call = (path: string) => this.#volumeCall(path, volumeId);
    return {
      fetchMap: async () => {
        const map = parsed(volumeMapSchema, await call("/internal/v1/sdc/map"));
        if (map.pgs.length === map.pgCount) return map;
        throw new StorageError("unavailable", `Cannot use the map: it has ${map.pgs.length} of ${map.pgCount} groups`);
      },
      fetchToken: async () => parsed(sessionTokenAnswerSchema, await call("/internal/v1/sdc/token")),
    };
  }

  /** Ends the talk; a call under way is waited for at most {@linkcode STOP_MS_MAX}, and its answer ignored after that. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    this.#wake.abort();
    const done = new AbortController();
    await Promise.race([this.#running, sleep(this.#context.clock, STOP_MS_MAX, done.signal)]);
    done.abort();
  }

  async #volumeCall(path: string, volumeId: VolumeId): Promise<unknown> {
    const identity = this.#identity;
    if (identity === undefined) throw noSessionYet();
    try {
      return await this.#options.client.call("POST", path, { sdcSession: identity.sdcSession, volumeId });
    } catch (error) {
      // Another session took over, or the MDM does not know the key any more: the next beat finds out.
      const code = error instanceof StorageError ? error.code : "internal";
      if (code === "stale_session" || code === "unauthorized" || code === "forbidden") this.#wake.abort();
      throw error;
    }
  }

  async #run(): Promise<void> {
    const { clock, random, times } = this.#context;
    while (!this.#stopping.signal.aborted) {
      this.#wake = new AbortController();
      const waiters = this.#waiters.splice(0);
      const succeeded = await this.#round();
      for (const resolve of waiters) resolve();
      if (this.#stopping.signal.aborted) break;
      if (this.#waiters.length > 0) continue;
      const pauseMs = !succeeded
        ? backoffMs(this.#failures, random.fraction(), RETRY_MS_MAX)
        : this.#identity === undefined
        ? UNASSIGNED_MS
        : times.sdcHeartbeatMs;
      await sleep(clock, pauseMs, this.#wake.signal);
    }
    for (const resolve of this.#waiters.splice(0)) resolve();
  }

  /** Does what is next; true if the MDM answered. Never rejects. */
  async #round(): Promise<boolean> {
    const { log } = this.#context;
    try {
      if (!this.#enrolled) {
        await this.#options.client.enrol();
        this.#enrolled = true;
      }
      if (this.#identity === undefined || !await this.#beat()) await this.#register();
      if (this.#failures > 0) log.info("The MDM answers again");
      this.#failures = 0;
      return true;
    } catch (error) {
      if (error instanceof StorageError && (error.code === "unauthorized" || error.code === "forbidden")) {
        this.#enrolled = false;
      }
      const reason = error instanceof Error ? error.message : String(error);
      if (this.#failures++ === 0) log.warning("Cannot talk to the MDM: {reason}", { reason });
      else log.debug("Cannot talk to the MDM: {reason}", { reason });
      return false;
    }
  }

  async #register(): Promise<void> {
    const { bootId, hostId, client } = this.#options;
    const answer = parsed(
      sdcRegisterAnswerSchema,
      await client.call("POST", "/internal/v1/sdc/register", { bootId, hostId }),
    );
    this.#clusterName = answer.clusterName;
    const identity = identityOf(answer);
    if (identity === undefined || this.#stopping.signal.aborted) return;
    this.#identity = identity;
    this.#volumes!.sessionStarted(identity);
    this.#context.log.info("Registered as SDC {sdcId}, session {session}", {
      sdcId: identity.sdcId,
      session: identity.sdcSession,
    });
    this.#follow(answer);
  }

  /** Beats; false when another registration is due. */
  async #beat(): Promise<boolean> {
    const { failures } = this.#volumes!;
    const ioFailures = failures.untold();
    const call: SdcHeartbeatCall = {
      sdcSession: this.#identity?.sdcSession ?? null,
      mappingVersion: this.#mappingVersion,
      io: this.#volumes!.all().map(({ guard, remote: { totals } }) => ({
        volumeId: guard.mapping.volumeId,
        reads: totals.reads,
        writes: totals.writes,
        readBytes: totals.readBytes,
        writtenBytes: totals.writtenBytes,
        errors: totals.errors,
        timedOperations: totals.timedOperations,
        timedMs: totals.timedMs,
      })),
      ...(ioFailures.length > 0 && { ioFailures }),
    };
    const answer = parsed(
      sdcHeartbeatAnswerSchema,
      await this.#options.client.call("POST", "/internal/v1/sdc/heartbeat", call),
    );
    failures.told(ioFailures);
    if (this.#stopping.signal.aborted) return true;
    if (answer.registered) this.#follow(answer);
    return answer.registered;
  }

  #follow(answer: Pick<SdcRegisterAnswer, "mappingVersion" | "mappings">): void {
    this.#mappingVersion = answer.mappingVersion;
    this.#volumes!.apply(answer.mappings);
  }
}

function identityOf(answer: SdcRegisterAnswer): SdcIdentity | undefined {
  const { sdcId, sdcSession } = answer;
  return sdcId === null || sdcSession === null ? undefined : { sdcId, sdcSession };
}

/** What `schema` makes of an answer. @throws {StorageError} `unavailable` for one that no MDM of this version gives. */
function parsed<Output>(
  schema: { safeParse(value: unknown): { success: true; data: Output } | { success: false; error: Error } },
  value: unknown,
): Output {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  throw new StorageError("unavailable", `Cannot read the MDM's answer: ${result.error.message}`, {
    cause: result.error,
  });
}
