/**
 * One SDS as this SDC session sees it: one connection at a time, opened when something waits for it, opened again when it
 * ends, each time under a higher lane number (3.6). All volumes share it, each with a queue and a handle of its own.
 *
 *   idle ──(wake)──► connecting ──(welcome)──► open ──(closed)──► idle, or connecting if something waits
 *                        └──(failed)──► pause 50..1000 ms ──► connecting while something waits
 *
 * @module
 */
import type { SdcContext } from "@/sdc/context.ts";
import { backoffMs } from "@/sdc/core/retry.ts";
import { Lane, type LaneOwner } from "@/sdc/remote/lane.ts";
import type { VolumeAtSds } from "@/sdc/remote/volume_at_sds.ts";
import type { VolumeMap } from "@/shared/api/sdc.ts";
import { sleep } from "@/shared/clock.ts";
import { StorageError } from "@/shared/errors.ts";
import type { SdcId, SdcSession, SdsId } from "@/shared/ids.ts";
import { FrameChannel } from "@/shared/net/frame_channel.ts";
import { openAsClient } from "@/shared/net/handshake.ts";
import { type Address, addressText, type Connection, type Transport } from "@/shared/transport.ts";

/** Time for a TCP connection to an SDS, in ms. */
export const CONNECT_MS_MAX = 2_000;

/** Where an SDS is, and the key that proves this SDC's session to it. */
export type SdsEndpoint = Pick<VolumeMap["sdss"][number], "sdsId" | "host" | "dataPort" | "keyHex">;

/** Who this SDC is, for HELLO. */
export interface SdcIdentity {
  readonly sdcId: SdcId;
  readonly sdcSession: SdcSession;
}

/** See the module comment. */
export class SdsPeer implements LaneOwner {
  readonly sdsId: SdsId;
  /** Replaced by each newer map; used at the next connection. */
  endpoint: SdsEndpoint;
  readonly #context: SdcContext;
  readonly #identity: SdcIdentity;
  readonly #volumes: VolumeAtSds[] = [];
  readonly #closing = new AbortController();
  #lane: Lane | undefined;
  #laneNumber = 0;
  #connecting = false;
  /** Attempts in a row that ended before the SDS answered a request. */
  #failures = 0;
  /** Which volume's queue is served first; moves on, so that none starves. */
  #turn = 0;
  #runs = new Set<Promise<void>>();

  constructor(context: SdcContext, options: { readonly endpoint: SdsEndpoint; readonly identity: SdcIdentity }) {
    this.#context = context;
    this.#identity = options.identity;
    this.endpoint = options.endpoint;
    this.sdsId = options.endpoint.sdsId;
  }

  /** The open connection. */
  get lane(): Lane | undefined {
    return this.#lane;
  }

  attach(volume: VolumeAtSds): void {
    this.#volumes.push(volume);
  }

  detach(volume: VolumeAtSds): void {
    const index = this.#volumes.indexOf(volume);
    if (index >= 0) this.#volumes.splice(index, 1);
  }

  /** Opens the connection if it is not open; goes on trying while a volume has something waiting. */
  wake(): void {
    if (this.#lane === undefined && !this.#connecting && !this.#closing.signal.aborted) void this.#connect();
  }

  /** Ends the connection, so that the next one has a higher lane. */
  reopen(reason: string): void {
    this.#lane?.close(reason);
    this.wake();
  }

  /** Ends the connection for good and waits until its resources are free. */
  async close(): Promise<void> {
    this.#closing.abort();
    this.#lane?.close("the session ends");
    await Promise.all(this.#runs);
  }

  slotsFreed(): void {
    const count = this.#volumes.length;
    for (let index = 0; index < count && this.#lane !== undefined && this.#lane.freeSlots > 0; index++) {
      this.#volumes[(this.#turn + index) % count]!.pump();
    }
    this.#turn = count === 0 ? 0 : (this.#turn + 1) % count;
  }

  laneClosed(lane: Lane, reason: string): void {
    if (this.#lane !== lane) return;
    this.#lane = undefined;
    this.#failures = lane.answered ? 0 : this.#failures + 1;
    if (!this.#closing.signal.aborted) {
      this.#context.log.info("The connection to SDS {sdsId} ended (lane {lane}): {reason}", {
        sdsId: this.sdsId,
        lane: lane.number,
        reason,
      });
    }
    for (const volume of [...this.#volumes]) volume.laneClosed();
    if (this.#isWanted()) this.wake();
  }

  #isWanted(): boolean {
    return this.#volumes.some((volume) => volume.waitingCount > 0);
  }

  async #connect(): Promise<void> {
    const { clock, random, log } = this.#context;
    const signal = this.#closing.signal;
    this.#connecting = true;
    do {
      if (this.#failures > 0) await sleep(clock, backoffMs(this.#failures - 1, random.fraction()), signal);
      if (signal.aborted) break;
      try {
        await this.#openLane();
        break;
      } catch (error) {
        this.#failures++;
        const fields = { sdsId: this.sdsId, reason: error instanceof Error ? error.message : String(error) };
        if (this.#failures === 1) log.warning("Cannot reach SDS {sdsId}: {reason}", fields);
        else log.debug("Cannot reach SDS {sdsId}: {reason}", fields);
        const fenced = error instanceof StorageError && error.code === "fenced";
        for (const volume of [...this.#volumes]) volume.peerUnreachable(fenced);
      }
    } while (this.#isWanted() && !signal.aborted);
    this.#connecting = false;
    const lane = this.#lane;
    if (lane === undefined) return this.#isWanted() ? this.wake() : undefined;
    for (const volume of [...this.#volumes]) volume.laneOpened(lane);
  }

  async #openLane(): Promise<void> {
    const { clock, random, transport, buffers, queueDepth, log } = this.#context;
    const number = ++this.#laneNumber;
    const { host, dataPort, keyHex } = this.endpoint;
    const connection = await connectWithin(transport, { hostname: host, port: dataPort }, this.#context);
    if (this.#closing.signal.aborted) return connection.close();
    const channel = new FrameChannel(connection, { buffers });
    const run = channel.run();
    this.#runs.add(run);
    run.finally(() => this.#runs.delete(run));
    const abort = () => channel.close("the session ends");
    this.#closing.signal.addEventListener("abort", abort, { once: true });
    try {
      await openAsClient(channel, {
        clock,
        random,
        identity: { role: "sdc", client: { ...this.#identity, lane: number } },
        keyHex,
        serverSdsId: this.sdsId,
        compact: true,
      });
    } finally {
      this.#closing.signal.removeEventListener("abort", abort);
    }
    const lane = new Lane(channel, { number, depth: queueDepth, clock, owner: this });
    channel.handle(lane);
    if (channel.closed || !channel.compact) {
      channel.close("the SDS does not take compact frames");
      throw new StorageError("unavailable", "the connection ended or takes no compact frames");
    }
    this.#lane = lane;
    if (this.#closing.signal.aborted) return lane.close("the session ends");
    log.debug("Connected to SDS {sdsId} at {address}, lane {lane}", {
      sdsId: this.sdsId,
      address: channel.peer,
      lane: number,
    });
  }
}

/** A connection, or an error after {@linkcode CONNECT_MS_MAX}; one that comes later is closed. */
function connectWithin(transport: Transport, address: Address, context: SdcContext): Promise<Connection> {
  const { promise, resolve, reject } = Promise.withResolvers<Connection>();
  let given = false;
  const timer = context.clock.setTimer(CONNECT_MS_MAX, () => {
    given = true;
    reject(new StorageError("unavailable", `${addressText(address)} does not answer within ${CONNECT_MS_MAX} ms`));
  });
  transport.connect(address).then((connection) => {
    timer.cancel();
    if (given) connection.close();
    else resolve(connection);
  }, (error) => {
    timer.cancel();
    reject(error);
  });
  return promise;
}

/** The SDSs of one SDC session, each known once, whatever volumes use it. */
export class SdsPeers {
  readonly #context: SdcContext;
  readonly #identity: SdcIdentity;
  readonly #peers = new Map<SdsId, SdsPeer>();

  constructor(context: SdcContext, identity: SdcIdentity) {
    this.#context = context;
    this.#identity = identity;
  }

  /** The peer of `endpoint`, with that address and key from now on. */
  at(endpoint: SdsEndpoint): SdsPeer {
    const known = this.#peers.get(endpoint.sdsId);
    if (known !== undefined) {
      known.endpoint = endpoint;
      return known;
    }
    const made = new SdsPeer(this.#context, { endpoint, identity: this.#identity });
    this.#peers.set(endpoint.sdsId, made);
    return made;
  }

  /** All SDSs this session met. */
  all(): readonly SdsPeer[] {
    return [...this.#peers.values()];
  }

  /** Ends every connection. */
  async close(): Promise<void> {
    await Promise.all(this.all().map((peer) => peer.close()));
  }
}
