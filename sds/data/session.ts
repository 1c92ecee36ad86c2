/**
 * One data connection of an SDC: its open volumes, its requests, and its answers (replication design, sections 3.4 to 3.7).
 *
 * Hot path: a frame becomes a pooled operation; acknowledgements of one turn leave in one frame.
 *
 * @module
 */
import { BLOCK_BYTES, CHUNK_BYTES, QUEUE_DEPTH } from "@/shared/constants.ts";
import type { SessionToken } from "@/shared/auth.ts";
import { assert, type ErrorCode, StorageError } from "@/shared/errors.ts";
import type { Epoch, NodeId, PgId } from "@/shared/ids.ts";
import type { Frame, FrameChannel, FrameHandler } from "@/shared/net/frame_channel.ts";
import { pgIndexOf } from "@/shared/placement.ts";
import { type SdcClient, type SessionRequest, sessionRequestSchema } from "@/shared/wire/control.ts";
import { FLUSH_ENTRY_BYTES, FRAME_FLAGS, FRAME_KINDS, getUint53, HEADER_FIELDS } from "@/shared/wire/header.ts";
import { type RequestScope, scopeProblem } from "@/sds/core/admission.ts";
import type { DataHost } from "@/sds/data/server.ts";
import { GrantedIo, type IoAnswerer } from "@/sds/data/granted_io.ts";
import { newHandle, requireToken, type VolumeHandle } from "@/sds/data/handles.ts";
import { SessionAnswers } from "@/sds/data/session_answers.ts";
import { checkedData, requireNoPayload } from "@/sds/data/payload.ts";
import { volumeExtents } from "@/sds/data/extents.ts";
import { type FlushEntry, flushGroups, type FlushResult, serveProblem } from "@/sds/replication/flush.ts";
import type { Group } from "@/sds/replication/group.ts";
import { type PrimaryOperation, takeOperation } from "@/sds/replication/primary_operation.ts";
import { type ReadResult, takeRead } from "@/sds/replication/read_operation.ts";

/** Volumes that one session may have open. */
const HANDLES_MAX = 4096;
/** Requests in flight of one session before it is told that it is too busy: twice what a well-behaved SDC sends. */
const IN_FLIGHT_MAX = 2 * QUEUE_DEPTH;

/** A request of the hot path, as its frame says. */
interface RequestFields extends RequestScope {
  readonly requestId: number;
  readonly group: Group | undefined;
  readonly epoch: number;
}

/** A connection of one lane of one SDC session. */
export class Session implements FrameHandler, IoAnswerer {
  readonly client: SdcClient;
  readonly channel: FrameChannel;
  /** False once a newer lane or session came, or the connection ended: requests that have not started are dropped (3.6). */
  alive = true;
  readonly handles: (VolumeHandle | undefined)[] = [];
  readonly #host: DataHost;
  #inFlight = 0;
  readonly #answers: SessionAnswers;

  constructor(host: DataHost, options: { channel: FrameChannel; client: SdcClient }) {
    this.#host = host;
    this.channel = options.channel;
    this.client = options.client;
    this.#answers = new SessionAnswers(options.channel, host.totals);
    this.channel.handle(this);
  }

  /** Ends the session: what was started goes on and holds its locks, nothing is answered. */
  retire(reason: string): void {
    this.alive = false;
    this.channel.close(reason);
  }

  onFrame(frame: Frame): void {
    const { header, headerAt: at } = frame;
    const kind = header.getUint8(at);
    const requestId = header.getUint32(at + HEADER_FIELDS.requestId[0]);
    const handle = this.handles[header.getUint32(at + HEADER_FIELDS.handle[0])];
    const code = this.#handleProblem(handle) ?? (this.#inFlight >= IN_FLIGHT_MAX ? "too_busy" : undefined);
    if (code !== undefined) return this.#answers.refuse(requestId, code);
    switch (kind) {
      case FRAME_KINDS.read:
        return this.#read(frame, handle!);
      case FRAME_KINDS.write:
      case FRAME_KINDS.trim:
      case FRAME_KINDS.write_zeroes:
        return this.#mutate(frame, handle!);
      case FRAME_KINDS.flush:
        return void this.#flush(frame, handle!);
      default:
        throw new StorageError("bad_request", `Cannot serve an SDC: kind is ${kind}`);
    }
  }

  onMessage(message: { readonly kind?: unknown }): void {
    const request = sessionRequestSchema.safeParse(message);
    if (!request.success) {
      const issue = request.error.issues[0]!;
      throw new StorageError("bad_request", `Cannot serve an SDC: ${issue.path.join(".") || "kind"}: ${issue.message}`);
    }
    this.#control(request.data).catch((error) => {
      const known = error instanceof StorageError
        ? error
        : new StorageError("internal", "The SDS failed", { cause: error });
      if (known.code === "internal") this.#host.context.log.error("A session request failed", { error });
      const { code, message } = known;
      this.channel.sendJson({ kind: "refused", requestId: request.data.requestId, code, message });
    });
  }

  onBatchEnd(): void {}

  onClosed(): void {
    this.alive = false;
    for (const index of this.handles.keys()) this.#close(index);
    this.#host.sessionClosed(this);
  }

  #close(index: number): void {
    const handle = this.handles[index];
    if (handle === undefined) return;
    this.#host.totals.closed(handle);
    handle.io.grant.close();
    this.handles[index] = undefined;
  }

  mutationDone(operation: PrimaryOperation, code: ErrorCode | undefined): void {
    const { requestId } = operation.request;
    const { lossGeneration } = operation.role.config;
    this.#end();
    if (!this.alive) return;
    if (code !== undefined) this.#answers.refuse(requestId, code);
    else this.#answers.acknowledge(requestId, lossGeneration);
  }

  readDone(requestId: number, result: ReadResult): void {
    this.#end();
    if (!this.alive) return;
    const { code, bytes, at, lengthBytes } = result;
    if (code !== undefined) this.#answers.refuse(requestId, code);
    else this.#answers.data(requestId, bytes.subarray(at, at + lengthBytes));
  }

  /** A handle serves while its token is valid and its mapping stands (I21). */
  #handleProblem(handle: VolumeHandle | undefined): ErrorCode | undefined {
    if (handle === undefined) return "token_missing";
    if (handle.io.grant.revoked) return "token_expired";
    const { mdmTime, clock } = this.#host.context;
    return mdmTime.accepts(handle.token.expiresAtMs, clock.monotonicMs()) ? undefined : "token_expired";
  }

  #read(frame: Frame, handle: VolumeHandle): void {
    const fields = this.#fields(frame, { mutation: false, removal: false });
    const { requestId } = fields;
    const code = this.#scope(fields, handle) ?? this.#serve(fields, handle);
    if (code !== undefined) return this.#answers.refuse(requestId, code);
    handle.reads++;
    handle.readBytes += fields.lengthBytes;
    this.#beginTimed(handle);
    takeRead().begin(fields.group!, {
      owner: handle.io,
      fields: {
        requestId,
        vtreeId: handle.token.vtreeId,
        nodeId: fields.nodeId as NodeId,
        chunkIndex: fields.chunkIndex,
        offsetBytes: fields.offsetBytes,
        lengthBytes: fields.lengthBytes,
      },
    });
  }

  #mutate(frame: Frame, handle: VolumeHandle): void {
    const { header, headerAt: at } = frame;
    const clientKind = header.getUint8(at);
    const removal = clientKind !== FRAME_KINDS.write;
    const fields = this.#fields(frame, { mutation: true, removal });
    const code = this.#scope(fields, handle) ?? this.#serve(fields, handle);
    if (code !== undefined) return this.#answers.refuse(fields.requestId, code);
    const { device } = fields.group!;
    const operation = takeOperation();
    const dataAt = removal ? requireNoPayload(frame) : checkedData(frame, { ...fields, crcs: operation.crcs });
    handle.writes++;
    handle.writtenBytes += fields.lengthBytes;
    this.#beginTimed(handle);
    const chunk = { vtreeId: handle.token.vtreeId, nodeId: fields.nodeId as NodeId, chunkIndex: fields.chunkIndex };
    operation.init(fields.group!, {
      owner: handle.io,
      fields: {
        kind: clientKind === FRAME_KINDS.write
          ? FRAME_KINDS.replicate
          : clientKind === FRAME_KINDS.trim
          ? FRAME_KINDS.replicate_trim
          : FRAME_KINDS.replicate_zeroes,
        flags: header.getUint8(at + HEADER_FIELDS.flags[0]) & (FRAME_FLAGS.fua | FRAME_FLAGS.noHole),
        requestId: fields.requestId,
        ...chunk,
        region: device.regionOf(fields.group!, chunk),
        offsetBytes: fields.offsetBytes,
        lengthBytes: fields.lengthBytes,
        opSession: header.getUint32(at + HEADER_FIELDS.opSession[0]),
        opSeq: getUint53(header, at + HEADER_FIELDS.opSeq[0]),
        traceId: header.getUint32(at + HEADER_FIELDS.traceId[0]),
      },
    });
    operation.borrow(frame.bytes, dataAt);
    operation.start();
  }

  #begin(handle: VolumeHandle): void {
    assert(this.alive || !this.#host.context.guards.lanes, "I10: no operation of an older lane starts");
    handle.io.grant.begin();
    this.#inFlight++;
  }

  #beginTimed(handle: VolumeHandle): void {
    this.#begin(handle);
    const { totals, context } = this.#host;
    totals.begun(context.clock.monotonicMs());
  }

  /** A read or write is done. */
  #end(): void {
    const { totals, context } = this.#host;
    totals.ended(context.clock.monotonicMs());
    this.#inFlight--;
  }

  #fields(frame: Frame, options: { mutation: boolean; removal: boolean }): RequestFields {
    const { header, headerAt: at } = frame;
    const pgId = header.getUint32(at + HEADER_FIELDS.pgId[0]) as PgId;
    return {
      ...options,
      requestId: header.getUint32(at + HEADER_FIELDS.requestId[0]),
      group: this.#host.groupOf(pgId),
      epoch: header.getUint32(at + HEADER_FIELDS.epoch[0]),
      nodeId: header.getUint32(at + HEADER_FIELDS.nodeId[0]),
      chunkIndex: header.getUint32(at + HEADER_FIELDS.chunkIndex[0]),
      offsetBytes: header.getUint32(at + HEADER_FIELDS.offsetBytes[0]),
      lengthBytes: header.getUint32(at + HEADER_FIELDS.lengthBytes[0]),
    };
  }

  #scope(fields: RequestFields, handle: VolumeHandle): ErrorCode | undefined {
    const { token } = handle;
    return scopeProblem(fields, {
      nodeId: token.nodeId,
      readOnly: token.mode === "readOnly",
      sizeBytes: token.sizeBytes,
    });
  }

  /** Whether this device leads the group under the request's epoch, and the chunk belongs to the group. */
  #serve(fields: RequestFields, handle: VolumeHandle): ErrorCode | undefined {
    const code = serveProblem(fields.group, fields.epoch);
    if (code !== undefined) return code;
    const { pgCount, pgIndex } = fields.group!.primary!.config;
    return pgIndexOf(handle.base, fields.chunkIndex, pgCount) === pgIndex ? undefined : "bad_request";
  }

  async #flush(frame: Frame, handle: VolumeHandle): Promise<void> {
    const { header, headerAt, view } = frame;
    const requestId = header.getUint32(headerAt + HEADER_FIELDS.requestId[0]);
    if (frame.payloadBytes % FLUSH_ENTRY_BYTES !== 0) {
      throw new StorageError(
        "bad_request",
        `Cannot flush: a payload of ${frame.payloadBytes} bytes is no list of groups`,
      );
    }
    const entries: FlushEntry[] = [];
    for (let at = frame.payloadAt; at < frame.payloadAt + frame.payloadBytes; at += FLUSH_ENTRY_BYTES) {
      entries.push({
        pgId: view.getUint32(at) as PgId,
        epoch: view.getUint32(at + 4) as Epoch,
        lossGeneration: view.getUint32(at + 8),
      });
    }
    const { grant } = handle.io;
    this.#begin(handle);
    const results = await this.#flushAll(entries);
    this.#inFlight--;
    if (this.alive) this.#answers.flushed(requestId, results);
    grant.end();
  }

  /** Groups of each device are flushed together. */
  async #flushAll(entries: readonly FlushEntry[]): Promise<FlushResult[]> {
    const byDevice = Map.groupBy(entries, (entry) => this.#host.groupOf(entry.pgId)?.device);
    const results = await Promise.all(
      [...byDevice].map(([device, list]) =>
        device === undefined
          ? list.map((entry): FlushResult => ({ pgId: entry.pgId, code: "not_primary", lossGeneration: 0 }))
          : flushGroups(device, list)
      ),
    );
    return results.flat();
  }

  async #control(request: SessionRequest): Promise<void> {
    const { requestId } = request;
    switch (request.kind) {
      case "open_volume": {
        const token = this.#token(request.token);
        if (this.handles.length >= HANDLES_MAX) {
          throw new StorageError("too_busy", `Cannot open more than ${HANDLES_MAX} volumes`);
        }
        const opened = newHandle(token, this.#granted(token));
        const handle = this.handles.push(opened) - 1;
        this.#host.totals.opened(opened);
        return this.channel.sendJson({ kind: "volume_opened", requestId, handle });
      }
      case "renew_token":
        this.#renew(request.handle, request.token);
        return this.channel.sendJson({ kind: "done", requestId });
      case "close_volume":
        this.#close(request.handle);
        return this.channel.sendJson({ kind: "done", requestId });
      case "get_configs": {
        const configs = request.pgIds.flatMap((pgId) => this.#host.groupOf(pgId)?.config ?? []);
        return this.channel.sendJson({ kind: "configs", requestId, configs });
      }
      case "extents": {
        const writtenHex = await this.#extents(request);
        return this.channel.sendJson({ kind: "extents_answer", requestId, writtenHex });
      }
    }
  }

  #token(text: string) {
    const { context, mappings } = this.#host;
    try {
      const token = requireToken(text, { context, client: this.client, mappings });
      this.#host.tokenJudged({
        tokenId: token.id,
        volumeId: token.volumeId,
        sdcId: this.client.sdcId,
        accepted: true,
        reason: "",
      });
      return token;
    } catch (error) {
      this.#host.tokenJudged({
        tokenId: undefined,
        volumeId: undefined,
        sdcId: this.client.sdcId,
        accepted: false,
        reason: error instanceof StorageError ? error.code : "internal",
      });
      throw error;
    }
  }

  #renew(index: number, text: string): void {
    const token = this.#token(text);
    const handle = this.handles[index];
    if (handle === undefined || handle.token.volumeId !== token.volumeId || handle.token.nodeId !== token.nodeId) {
      throw new StorageError("token_volume", `Cannot renew handle ${index}: it is not open, or for another volume`);
    }
    // What runs under the older generation goes on counting there.
    if (handle.token.mappingGeneration !== token.mappingGeneration) {
      handle.io.grant.close();
      handle.io = this.#granted(token);
    }
    handle.token = token;
  }

  #granted(token: SessionToken): GrantedIo {
    return new GrantedIo(this, this.#host.grants.open(token));
  }

  async #extents(request: SessionRequest & { kind: "extents" }): Promise<string> {
    const handle = this.handles[request.handle];
    const code = this.#handleProblem(handle) ?? serveProblem(this.#host.groupOf(request.pgId), request.epoch) ??
      scopeProblem(
        { ...request, mutation: false, removal: true, offsetBytes: 0, lengthBytes: BLOCK_BYTES },
        { nodeId: handle!.token.nodeId, readOnly: true, sizeBytes: Math.max(CHUNK_BYTES, handle!.token.sizeBytes) },
      );
    if (code !== undefined) {
      throw new StorageError(code, `Cannot tell the extents of chunk ${request.chunkIndex}: ${code}`);
    }
    const { grant } = handle!.io;
    grant.begin();
    try {
      return await volumeExtents(this.#host.groupOf(request.pgId)!, { ...request, vtreeId: handle!.token.vtreeId });
    } finally {
      grant.end();
    }
  }
}
