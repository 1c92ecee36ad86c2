/**
 * The data port of an SDS: accepts connections, proves both sides, and hands each to its role: sessions of SDCs, replication
 * links of peers, and the pulses of those links. One that begins with `{` speaks newline JSON instead: `json_port.ts`.
 *
 * @module
 */
import { linkKeyHex, ticketKeyHex } from "@/shared/auth.ts";
import { StorageError } from "@/shared/errors.ts";
import type { PgId, SdcId } from "@/shared/ids.ts";
import { acceptConnections } from "@/shared/net/accept_loop.ts";
import { FrameChannel } from "@/shared/net/frame_channel.ts";
import { HANDSHAKE_MS_MAX, openAsServer } from "@/shared/net/handshake.ts";
import type { Connection, Listener } from "@/shared/transport.ts";
import type { HelloIdentity, LinkClient, SdcClient } from "@/shared/wire/control.ts";
import { JSON_LINE_FIRST_BYTE } from "@/shared/wire/json_lines.ts";
import type { SdsContext } from "@/sds/context.ts";
import { firstBytesOf, withFirstBytes } from "@/sds/data/first_bytes.ts";
import { Grants } from "@/sds/data/grants.ts";
import type { MappingTable, TokenVerdict } from "@/sds/data/handles.ts";
import { JsonPort } from "@/sds/data/json_port.ts";
import type { TokenUses } from "@/sds/data/token_uses.ts";
import type { IoTotals } from "@/sds/io_totals.ts";
import { Session } from "@/sds/data/session.ts";
import type { Group } from "@/sds/replication/group.ts";
import { LinkSession } from "@/sds/replication/link_in.ts";
import { pulseAnswerer } from "@/sds/replication/pulse_answerer.ts";
import type { ReplicaDevice } from "@/sds/replication/replica_device.ts";

/** Connections of the data port at once. */
const CONNECTIONS_MAX = 1024;
/** Bytes of answers that one session may leave unread. */
const SESSION_QUEUED_BYTES_MAX = 64 * 1024 * 1024;

/** What sessions need from the process. */
export interface DataHost {
  readonly context: SdsContext;
  readonly mappings: MappingTable;
  readonly totals: IoTotals;
  readonly grants: Grants;
  groupOf(pgId: PgId): Group | undefined;
  sessionClosed(session: Session): void;
  tokenJudged(verdict: TokenVerdict): void;
}

/** What the server needs. */
export interface DataServerOptions {
  readonly context: SdsContext;
  readonly listener: Listener;
  readonly mappings: MappingTable;
  readonly totals: IoTotals;
  readonly tokenUses: TokenUses;
  readonly devices: () => readonly ReplicaDevice[];
  tokenJudged(verdict: TokenVerdict): void;
}

/** The data port. */
export class DataServer implements DataHost {
  readonly context: SdsContext;
  readonly mappings: MappingTable;
  readonly totals: IoTotals;
  readonly grants = new Grants();
  readonly json: JsonPort;
  readonly #options: DataServerOptions;
  /** Accepted, nothing read yet. */
  readonly #fresh = new Set<Connection>();
  readonly #channels = new Set<FrameChannel>();
  readonly #sessions = new Set<Session>();
  /** The session and lane that count, per SDC. */
  readonly #newest = new Map<SdcId, { sdcSession: number; lane: number; session: Session | undefined }>();
  readonly #abort = new AbortController();

  constructor(options: DataServerOptions) {
    this.#options = options;
    this.context = options.context;
    this.mappings = options.mappings;
    this.totals = options.totals;
    this.json = new JsonPort({
      context: options.context,
      mappings: options.mappings,
      grants: this.grants,
      uses: options.tokenUses,
      devices: options.devices,
      count: (counts) => options.totals.add(counts),
      refused: (code) => options.totals.refused(code),
      tokenJudged: (verdict) => options.tokenJudged(verdict),
    });
    acceptConnections(options.listener, {
      clock: options.context.clock,
      signal: this.#abort.signal,
      onConnection: (connection) => this.#accept(connection),
      onError: (error) => options.context.log.warn("Cannot accept a data connection: {error}", { error }),
    });
  }

  get sessions(): ReadonlySet<Session> {
    return this.#sessions;
  }

  groupOf(pgId: PgId): Group | undefined {
    let found: Group | undefined;
    for (const device of this.#options.devices()) {
      const group = device.groups.get(pgId);
      if (group?.primary !== undefined) return group;
      found ??= group;
    }
    return found;
  }

  sessionClosed(session: Session): void {
    this.#sessions.delete(session);
  }

  tokenJudged(verdict: TokenVerdict): void {
    this.#options.tokenJudged(verdict);
  }

  /** Revokes what is granted under an older mapping generation; resolves when nothing of it runs any more (6.4). */
  async dropRevoked(): Promise<void> {
    await this.grants.dropRevoked(({ volumeId, sdcId }) => this.mappings.generationOf(volumeId, sdcId));
  }

  /** Stops taking requests of SDCs; links to peers go on. */
  async stopSessions(): Promise<void> {
    for (const session of [...this.#sessions]) session.retire("this SDS stops");
    await Promise.all([this.json.stop(), this.grants.idle()]);
  }

  /** Closes everything. */
  close(): void {
    this.#abort.abort();
    this.#options.listener.close();
    for (const connection of this.#fresh) connection.close();
    this.json.close();
    for (const channel of [...this.#channels]) channel.close("this SDS stops");
  }

  #accept(connection: Connection): void {
    const { log, clock, keys } = this.context;
    if (this.#channels.size + this.#fresh.size + this.json.connectionCount >= CONNECTIONS_MAX) {
      log.warn("Refusing a data connection from {peer}: {limit} are open", {
        peer: connection.peer,
        limit: CONNECTIONS_MAX,
      });
      return connection.close();
    }
    if (keys.sdsId === undefined) {
      log.debug("Refusing a data connection from {peer}: this SDS is not part of a cluster yet", {
        peer: connection.peer,
      });
      return connection.close();
    }
    this.#fresh.add(connection);
    firstBytesOf(connection, { clock, waitMs: HANDSHAKE_MS_MAX }).then((firstBytes) => {
      this.#fresh.delete(connection);
      if (firstBytes === undefined) return;
      if (this.#abort.signal.aborted) return connection.close();
      if (firstBytes[0] === JSON_LINE_FIRST_BYTE) return this.json.take(connection, firstBytes);
      this.#acceptFrames(withFirstBytes(connection, firstBytes));
    });
  }

  #acceptFrames(connection: Connection): void {
    const { buffers, log } = this.context;
    const channel = new FrameChannel(connection, {
      buffers,
      queuedBytesMax: SESSION_QUEUED_BYTES_MAX,
      onFault: (error) => log.error("A data connection broke an invariant: {error}", { error }),
    });
    this.#channels.add(channel);
    const { sdsId } = this.context.keys;
    if (sdsId === undefined) channel.close("this SDS is not part of a cluster yet");
    else this.#open(channel, sdsId);
    channel.run().finally(() => this.#channels.delete(channel));
  }

  async #open(channel: FrameChannel, sdsId: NonNullable<SdsContext["keys"]["sdsId"]>): Promise<void> {
    const { clock, random, log } = this.context;
    const failed = (error: unknown) => {
      log.debug("A data connection from {peer} was not opened: {error}", { peer: channel.peer, error });
    };
    let identity: HelloIdentity;
    try {
      identity = await openAsServer(channel, { clock, random, sdsId, keyOf: (client) => this.#keyOf(client) });
    } catch (error) {
      // The handshake closes the channel itself, once the client was told why.
      return failed(error);
    }
    try {
      if (identity.role === "sdc") this.#openSession(channel, identity.client);
      else this.#openLink(channel, identity);
    } catch (error) {
      failed(error);
      channel.close(error instanceof Error ? error.message : String(error));
    }
  }

  /** Keys are derived from what the client says it is: a wrong claim has a key that it does not know. */
  #keyOf(identity: HelloIdentity): string {
    const { nodeKeyHex } = this.context.keys;
    if (identity.role === "sdc") {
      this.#requireNewestLane(identity.client);
      return ticketKeyHex(nodeKeyHex, identity.client);
    }
    this.#deviceOf(identity.client);
    return linkKeyHex(nodeKeyHex, identity.client.fromSdsId);
  }

  #requireNewestLane({ sdcId, sdcSession, lane }: SdcClient): void {
    const newest = this.#newest.get(sdcId);
    if (newest === undefined || sdcSession > newest.sdcSession || !this.context.guards.lanes) return;
    if (sdcSession === newest.sdcSession && lane > newest.lane) return;
    throw new StorageError(
      sdcSession < newest.sdcSession ? "stale_session" : "stale_lane",
      `session ${sdcSession} lane ${lane} of SDC ${sdcId} is not newer than session ${newest.sdcSession} lane ${newest.lane}`,
    );
  }

  /** A newer lane or session makes the older one's unstarted requests void (3.6). */
  #openSession(channel: FrameChannel, client: SdcClient): void {
    this.#requireNewestLane(client);
    const older = this.#newest.get(client.sdcId)?.session;
    const session = new Session(this, { channel, client });
    this.#sessions.add(session);
    this.#newest.set(client.sdcId, { sdcSession: client.sdcSession, lane: client.lane, session });
    if (this.context.guards.lanes) older?.retire("a newer connection of the same SDC opened");
  }

  #deviceOf(client: LinkClient): ReplicaDevice {
    const device = this.#options.devices().find((candidate) => candidate.deviceId === client.toDeviceId);
    if (device === undefined) throw new StorageError("not_found", `device ${client.toDeviceId} is not served here`);
    return device;
  }

  #openLink(channel: FrameChannel, identity: { role: "link" | "pulse"; client: LinkClient }): void {
    const device = this.#deviceOf(identity.client);
    if (device.store.failed !== undefined) {
      throw new StorageError("device_failed", `device ${device.deviceId} has failed`);
    }
    const link = device.linkFrom(identity.client.fromDeviceId);
    if (identity.role === "link") new LinkSession(link, { channel, client: identity.client });
    else channel.handle(pulseAnswerer(link, { channel, client: identity.client }));
  }
}
