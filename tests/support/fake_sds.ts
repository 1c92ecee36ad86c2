/**
 * An SDS for tests of the SDC: the real server side of the data path (handshake, frames, tokens, epochs, checksums) over the
 * memory of a {@linkcode FakeCluster}. A script decides per request whether it is served, refused, held back or cut off.
 *
 * @module
 */
import type { FakeCluster, FakeEndpoint } from "@/tests/support/fake_cluster.ts";
import { blockCrc } from "@/shared/checksum.ts";
import { BufferPool } from "@/shared/buffers.ts";
import type { Clock } from "@/shared/clock.ts";
import { BLOCK_BYTES } from "@/shared/constants.ts";
import { type ErrorCode, errorTraits, StorageError } from "@/shared/errors.ts";
import { asId } from "@/shared/ids.ts";
import { type Frame, FrameChannel, type FrameHandler } from "@/shared/net/frame_channel.ts";
import { openAsServer } from "@/shared/net/handshake.ts";
import type { Random } from "@/shared/random.ts";
import type { Listener, Transport } from "@/shared/transport.ts";
import { type SdcClient, sessionRequestSchema } from "@/shared/wire/control.ts";
import {
  blocksTouched,
  COMPACT_HEADER_BYTES,
  encodeCompactHeader,
  FLUSH_ENTRY_BYTES,
  FRAME_FLAGS,
  FRAME_KINDS,
  FRAME_PREFIX_BYTES,
  getUint53,
  HEADER_FIELDS,
  type HeaderValues,
  WRITE_ACK_BYTES,
} from "@/shared/wire/header.ts";

/** A request as the script sees it. */
export interface FakeRequest {
  readonly kind: "read" | "write" | "trim" | "write_zeroes" | "flush";
  readonly sdsId: number;
  readonly lane: number;
  readonly pgId: number;
  readonly epoch: number;
  readonly opSession: number;
  readonly opSeq: number;
  readonly chunkIndex: number;
  readonly offsetBytes: number;
  readonly lengthBytes: number;
}

/**
 * What becomes of a request: served, refused with a code and nothing done, applied and then refused, the connection cut before
 * or after it was applied, held until the promise settles (and then served), or never answered.
 */
export type Reaction =
  | "serve"
  | "ignore"
  | "drop_before"
  | "drop_after"
  | { readonly refuse: ErrorCode; readonly applies?: boolean }
  | { readonly after: Promise<void> };

/** What a fake SDS needs. */
export interface FakeSdsOptions {
  readonly cluster: FakeCluster;
  readonly sdsId: number;
  readonly transport: Transport;
  readonly clock: Clock;
  readonly random: Random;
  readonly hostname?: string;
  /** 0 for any. */
  readonly port?: number;
}

const KIND_OF_NUMBER = new Map<number, FakeRequest["kind"]>([
  [FRAME_KINDS.read, "read"],
  [FRAME_KINDS.write, "write"],
  [FRAME_KINDS.trim, "trim"],
  [FRAME_KINDS.write_zeroes, "write_zeroes"],
  [FRAME_KINDS.flush, "flush"],
]);

/** See the module comment. */
export class FakeSds {
  readonly sdsId: number;
  readonly endpoint: FakeEndpoint;
  /** Decides what becomes of each request. */
  script: (request: FakeRequest) => Reaction = () => "serve";
  /** False: `applied` of the cluster is not written, for long loads. */
  recordsApplied = true;
  /** Lanes in the order in which they were opened. */
  readonly lanes: number[] = [];
  /** Requests served or refused, by kind. */
  readonly counts: Record<FakeRequest["kind"], number> = { read: 0, write: 0, trim: 0, write_zeroes: 0, flush: 0 };
  /** Most requests that one connection had in flight. */
  inFlightMax = 0;
  readonly buffers = new BufferPool();
  readonly options: FakeSdsOptions;
  readonly #listener: Listener;
  readonly #channels = new Set<FrameChannel>();
  readonly #runs = new Set<Promise<void>>();
  readonly #accepting: Promise<void>;

  constructor(options: FakeSdsOptions) {
    this.options = options;
    this.sdsId = options.sdsId;
    const hostname = options.hostname ?? "127.0.0.1";
    this.#listener = options.transport.listen({ hostname, port: options.port ?? 0 });
    const keyHex = String(options.sdsId % 10).repeat(64);
    this.endpoint = { sdsId: options.sdsId, host: hostname, dataPort: this.#listener.port, keyHex };
    options.cluster.endpoints.set(options.sdsId, this.endpoint);
    this.#accepting = this.#acceptAll();
  }

  /** Cuts every connection; the SDC may connect again. */
  cutAll(reason = "the test cuts the connection"): void {
    for (const channel of [...this.#channels]) channel.close(reason);
  }

  /** Stops listening and cuts every connection. */
  async stop(): Promise<void> {
    this.#listener.close();
    this.cutAll("the SDS stops");
    await Promise.all([...this.#runs, this.#accepting]);
  }

  async #acceptAll(): Promise<void> {
    for (let connection = await this.#listener.accept(); connection; connection = await this.#listener.accept()) {
      const channel = new FrameChannel(connection, { buffers: this.buffers });
      this.#channels.add(channel);
      const run = channel.run().finally(() => {
        this.#channels.delete(channel);
        this.#runs.delete(run);
      });
      this.#runs.add(run);
      void this.#open(channel);
    }
  }

  async #open(channel: FrameChannel): Promise<void> {
    const { clock, random } = this.options;
    try {
      const identity = await openAsServer(channel, {
        clock,
        random,
        sdsId: asId(this.sdsId),
        keyOf: () => this.endpoint.keyHex,
      });
      if (identity.role !== "sdc") return channel.close("only SDCs are served");
      this.lanes.push(identity.client.lane);
      channel.handle(new FakeSession(this, channel, identity.client));
    } catch (error) {
      if (!(error instanceof StorageError)) throw error;
    }
  }
}

/** One connection of an SDC. */
class FakeSession implements FrameHandler {
  readonly #sds: FakeSds;
  readonly #cluster: FakeCluster;
  readonly #channel: FrameChannel;
  readonly #client: SdcClient;
  readonly #tokens = new Map<number, string>();
  readonly #acks: number[] = [];
  readonly #running: FakeRequest[] = [];
  #nextHandle = 1;

  constructor(sds: FakeSds, channel: FrameChannel, client: SdcClient) {
    this.#sds = sds;
    this.#cluster = sds.options.cluster;
    this.#channel = channel;
    this.#client = client;
  }

  onMessage(message: { readonly kind?: unknown }): void {
    const request = sessionRequestSchema.parse(message);
    const { requestId } = request;
    const refuse = (code: ErrorCode) => this.#channel.sendJson({ kind: "refused", requestId, code, message: code });
    switch (request.kind) {
      case "open_volume": {
        if (!this.#cluster.acceptsToken(request.token)) return refuse("token_expired");
        const handle = this.#nextHandle++;
        this.#tokens.set(handle, request.token);
        return this.#channel.sendJson({ kind: "volume_opened", requestId, handle });
      }
      case "renew_token":
        if (!this.#cluster.acceptsToken(request.token)) return refuse("token_expired");
        this.#tokens.set(request.handle, request.token);
        return this.#channel.sendJson({ kind: "done", requestId });
      case "close_volume":
        this.#tokens.delete(request.handle);
        return this.#channel.sendJson({ kind: "done", requestId });
      case "get_configs": {
        const groups = request.pgIds.flatMap((pgId) => this.#cluster.group(pgId) ?? []);
        const configs = groups.map((group) => this.#cluster.config(group));
        return this.#channel.sendJson({ kind: "configs", requestId, configs });
      }
      case "extents": {
        const group = this.#cluster.group(request.pgId);
        if (group?.primarySdsId !== this.#sds.sdsId) return refuse("not_primary");
        const writtenHex = this.#cluster.written(request.chunkIndex).toHex();
        return this.#channel.sendJson({ kind: "extents_answer", requestId, writtenHex });
      }
    }
  }

  onFrame(frame: Frame): void {
    const { header, headerAt } = frame;
    const field = (name: keyof typeof HEADER_FIELDS) => header.getUint32(headerAt + HEADER_FIELDS[name][0]);
    const kind = KIND_OF_NUMBER.get(header.getUint8(headerAt));
    if (kind === undefined) throw new StorageError("bad_request", "Cannot take an answer as a request");
    const requestId = field("requestId");
    this.#sds.counts[kind]++;
    const request: FakeRequest = {
      kind,
      sdsId: this.#sds.sdsId,
      lane: this.#client.lane,
      pgId: field("pgId"),
      epoch: field("epoch"),
      opSession: field("opSession"),
      opSeq: getUint53(header, headerAt + HEADER_FIELDS.opSeq[0]),
      chunkIndex: field("chunkIndex"),
      offsetBytes: field("offsetBytes"),
      lengthBytes: field("lengthBytes"),
    };
    this.#running.push(request);
    this.#sds.inFlightMax = Math.max(this.#sds.inFlightMax, this.#running.length);
    const code = kind === "flush" ? this.#handleProblem(field("handle")) : this.#admission(request, field("handle"));
    if (code !== undefined) return this.#refuse(request, requestId, code);
    const reaction = this.#sds.script(request);
    const fua = (header.getUint8(headerAt + 1) & FRAME_FLAGS.fua) !== 0;
    this.#react(reaction, { request, requestId, fua, payload: this.#payloadOf(frame, reaction) });
  }

  /** Held requests outlive the receive buffer. */
  #payloadOf(frame: Frame, reaction: Reaction): Uint8Array {
    const payload = frame.bytes.subarray(frame.payloadAt, frame.payloadAt + frame.payloadBytes);
    return typeof reaction === "object" && "after" in reaction ? payload.slice() : payload;
  }

  #react(reaction: Reaction, work: Work): void {
    if (reaction === "serve") return this.#serve(work);
    if (reaction === "ignore") return;
    if (reaction === "drop_before") return this.#channel.close("the script drops the connection");
    if (reaction === "drop_after") {
      this.#apply(work);
      return this.#channel.close("the script drops the connection");
    }
    if ("after" in reaction) {
      void reaction.after.then(() => {
        if (this.#channel.closed) return;
        this.#serve(work);
        this.onBatchEnd();
      });
      return;
    }
    if (reaction.applies) this.#apply(work);
    this.#refuse(work.request, work.requestId, reaction.refuse);
  }

  #handleProblem(handle: number): ErrorCode | undefined {
    const token = this.#tokens.get(handle);
    if (token === undefined) return "token_missing";
    return this.#cluster.acceptsToken(token) ? undefined : "token_expired";
  }

  #admission(request: FakeRequest, handle: number): ErrorCode | undefined {
    const tokenProblem = this.#handleProblem(handle);
    if (tokenProblem !== undefined) return tokenProblem;
    const group = this.#cluster.group(request.pgId);
    if (group === undefined) return "bad_request";
    if (request.epoch < group.epoch) return "stale_epoch";
    if (request.epoch > group.epoch) return "not_ready";
    return group.primarySdsId === this.#sds.sdsId ? undefined : "not_primary";
  }

  #serve(work: Work): void {
    const { request, requestId } = work;
    if (request.kind === "flush") return this.#flush(work);
    const group = this.#cluster.group(request.pgId)!; // admitted
    if (request.kind === "read") {
      this.#done(request);
      return this.#sendRead(request, requestId);
    }
    const problem = this.#apply(work);
    if (problem !== undefined) return this.#refuse(request, requestId, problem);
    this.#done(request);
    this.#acks.push(requestId, group.lossGeneration);
  }

  #apply(work: Work): ErrorCode | undefined {
    const { request, payload } = work;
    const { kind, chunkIndex, offsetBytes, lengthBytes } = request;
    if (kind === "read" || kind === "flush") return undefined;
    if (kind === "write") {
      const dataAt = 4 * blocksTouched(offsetBytes, lengthBytes);
      if (payload.length !== dataAt + lengthBytes) return "bad_request";
      if (!checksumsMatch(payload, dataAt, request)) return "checksum_mismatch";
      this.#cluster.write(chunkIndex, offsetBytes, payload.subarray(dataAt));
    } else {
      this.#cluster.zero(chunkIndex, offsetBytes, lengthBytes);
    }
    if (!this.#sds.recordsApplied) return undefined;
    this.#cluster.applied.push({ ...request, kind, fua: work.fua });
    return undefined;
  }

  #flush({ request, requestId, payload }: Work): void {
    const view = new DataView(payload.buffer, payload.byteOffset, payload.length);
    const answer = new Uint8Array(payload.length);
    const results = new DataView(answer.buffer);
    for (let at = 0; at < payload.length; at += FLUSH_ENTRY_BYTES) {
      const pgId = view.getUint32(at);
      const group = this.#cluster.group(pgId);
      const code: ErrorCode | undefined = group === undefined
        ? "bad_request"
        : group.primarySdsId !== this.#sds.sdsId
        ? "not_primary"
        : group.epoch !== view.getUint32(at + 4)
        ? "stale_epoch"
        : group.lossGeneration !== view.getUint32(at + 8)
        ? "flush_lost"
        : undefined;
      results.setUint32(at, pgId);
      results.setUint32(at + 4, code === undefined ? 0 : errorTraits(code).wire);
      results.setUint32(at + 8, group?.lossGeneration ?? 0);
    }
    this.#done(request);
    this.#send({ kind: "flush_answer", requestId }, answer);
  }

  #sendRead(request: FakeRequest, requestId: number): void {
    const { chunkIndex, offsetBytes, lengthBytes } = request;
    const data = this.#cluster.chunk(chunkIndex).subarray(offsetBytes, offsetBytes + lengthBytes);
    this.#send({ kind: "read_answer", requestId, lengthBytes }, data);
  }

  #refuse(request: FakeRequest, requestId: number, code: ErrorCode): void {
    this.#done(request);
    const group = this.#cluster.group(request.pgId);
    const { wire: status } = errorTraits(code);
    const epoch = group?.epoch ?? 0;
    this.#send({ kind: "answer", status, requestId, pgId: request.pgId, epoch, lossGeneration: 0 });
  }

  #done(request: FakeRequest): void {
    const index = this.#running.indexOf(request);
    if (index >= 0) this.#running.splice(index, 1);
  }

  #send(values: HeaderValues, payload?: Uint8Array): void {
    if (this.#channel.closed) return;
    const { send } = this.#channel;
    const at = send.reserve(FRAME_PREFIX_BYTES + COMPACT_HEADER_BYTES);
    send.view.setUint32(at, COMPACT_HEADER_BYTES);
    send.view.setUint32(at + 4, payload?.length ?? 0);
    encodeCompactHeader(send.view, at + FRAME_PREFIX_BYTES, values);
    if (payload !== undefined) send.append(payload);
  }

  onBatchEnd(): void {
    if (this.#acks.length === 0) return;
    const payload = new Uint8Array(this.#acks.length / 2 * WRITE_ACK_BYTES);
    const view = new DataView(payload.buffer);
    this.#acks.forEach((value, index) => view.setUint32(4 * index, value));
    this.#acks.length = 0;
    this.#send({ kind: "write_acks" }, payload);
  }

  onClosed(): void {}
}

/** A request with what is needed to carry it out. */
interface Work {
  readonly request: FakeRequest;
  readonly requestId: number;
  readonly fua: boolean;
  readonly payload: Uint8Array;
}

function checksumsMatch(payload: Uint8Array, dataAt: number, request: FakeRequest): boolean {
  const view = new DataView(payload.buffer, payload.byteOffset, payload.length);
  const end = request.offsetBytes + request.lengthBytes;
  let at = request.offsetBytes;
  for (let index = 0; at < end; index++) {
    const next = Math.min(end, (Math.floor(at / BLOCK_BYTES) + 1) * BLOCK_BYTES);
    const start = dataAt + at - request.offsetBytes;
    if (view.getUint32(4 * index) !== blockCrc(payload, start, start + next - at)) return false;
    at = next;
  }
  return true;
}
