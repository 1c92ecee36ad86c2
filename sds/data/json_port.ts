/**
 * The newline-JSON side of the data port: its connections, their limits, and what a request does. From the check of the token to
 * the begin of the IO is one synchronous stretch, so a segment is used at most once, and a revocation that was answered lets
 * nothing begin after it.
 *
 * @module
 */
import type { IoCounts } from "@/shared/api/sds.ts";
import { FRAGMENT_BYTES_MAX } from "@/shared/constants.ts";
import { type ErrorCode, errorTraits, StorageError } from "@/shared/errors.ts";
import type { SingleUseToken } from "@/shared/io_token.ts";
import type { Connection } from "@/shared/transport.ts";
import { type JsonAnswer, type JsonRequest, parseJsonRequest } from "@/shared/wire/json_lines.ts";
import type { Grants } from "@/sds/data/grants.ts";
import type { TokenVerdict } from "@/sds/data/handles.ts";
import { readRange, writeRange } from "@/sds/data/json_io.ts";
import { failureOf, JsonSession, readAnswer } from "@/sds/data/json_session.ts";
import {
  type AskedRange,
  type GrantedSegment,
  requireIoToken,
  requireSegment,
  type TokenJudge,
} from "@/sds/data/json_token.ts";

/** Connections at once; the rest of the data port's are for SDCs and peers. */
export const JSON_CONNECTIONS_MAX = 256;
/** Room for lines of all connections beyond what each begins with, in bytes. */
export const JSON_LINES_BYTES_MAX = 128 * 1024 * 1024;
/** Fragments of reads and writes under way at once; a request that would exceed it is refused and uses nothing up. */
export const JSON_FRAGMENTS_MAX = 256;

/** What the port works with. */
export interface JsonPortOptions extends TokenJudge {
  readonly grants: Grants;
  count(counts: IoCounts): void;
  /** A request was refused or failed. */
  refused(code: ErrorCode): void;
  tokenJudged(verdict: TokenVerdict): void;
}

/** See the module comment. */
export class JsonPort {
  readonly #options: JsonPortOptions;
  readonly #sessions = new Set<JsonSession>();
  readonly #running = new Set<Promise<unknown>>();
  #lineBytes = 0;
  #fragments = 0;
  #stopping = false;

  constructor(options: JsonPortOptions) {
    this.#options = options;
  }

  /** Room that lines hold now, beyond what each connection begins with. */
  get lineBytes(): number {
    return this.#lineBytes;
  }

  get connectionCount(): number {
    return this.#sessions.size;
  }

  /** Serves a connection until it ends. Never rejects. */
  async take(connection: Connection, firstBytes: Uint8Array): Promise<void> {
    const { context } = this.#options;
    if (this.#sessions.size >= JSON_CONNECTIONS_MAX) return connection.close();
    const session = new JsonSession(connection, {
      clock: context.clock,
      firstBytes,
      mayGrow: (byBytes) => this.#mayGrow(byBytes),
      serve: (line) => this.#serve(line),
    });
    this.#sessions.add(session);
    await session.run();
    this.#sessions.delete(session);
  }

  /** Begins nothing more; resolves when everything that has begun has ended. */
  async stop(): Promise<void> {
    this.#stopping = true;
    await Promise.allSettled(this.#running);
  }

  /** Ends all connections. */
  close(): void {
    this.#stopping = true;
    for (const session of [...this.#sessions]) session.close();
  }

  #mayGrow(byBytes: number): boolean {
    if (byBytes > 0 && this.#lineBytes + byBytes > JSON_LINES_BYTES_MAX) return false;
    this.#lineBytes += byBytes;
    return true;
  }

  async #serve(line: Readonly<Record<string, unknown>>): Promise<JsonAnswer> {
    let token: SingleUseToken | undefined;
    try {
      if (this.#stopping) throw new StorageError("shutting_down", "Cannot serve the line: this SDS stops");
      const request = parseJsonRequest(line);
      try {
        token = requireIoToken(request, this.#options);
        if (request.action === "init_volume") return initAnswer(request.volume_id);
        const work = this.#begin(request, token);
        this.#judged(token, "");
        this.#running.add(work);
        return await work.finally(() => this.#running.delete(work));
      } catch (error) {
        if (error instanceof StorageError && isTokenCode(error.code)) this.#judged(token, error.code);
        throw error;
      }
    } catch (error) {
      if (error instanceof StorageError) {
        this.#options.refused(error.code);
        return failureOf(error);
      }
      this.#options.context.log.error("A request of the JSON port failed", { error });
      return failureOf(new StorageError("internal", "Cannot serve the line: the SDS failed"));
    }
  }

  /** Checks the rest and begins. @throws {StorageError} when refused, at once. */
  #begin(request: Exclude<JsonRequest, { action: "init_volume" }>, token: SingleUseToken): Promise<JsonAnswer> {
    const { uses } = this.#options;
    const data = request.action === "write" ? dataOf(request.data_b64) : undefined;
    const asked: AskedRange = {
      chunkId: request.chunk_id,
      offsetBytes: request.offset_bytes,
      lengthBytes: data?.length ?? (request.action === "read" ? request.length_bytes : 0),
    };
    const granted = requireSegment(token, asked, this.#options);
    const fragments = Math.ceil(asked.lengthBytes / FRAGMENT_BYTES_MAX) + 1;
    if (this.#fragments + fragments > JSON_FRAGMENTS_MAX) {
      throw new StorageError("too_busy", `Cannot serve the line: ${this.#fragments} fragments are under way`);
    }
    uses.use({ tokenId: token.token_id, expiresAtMs: token.expires_at_ms }, granted.segmentIndex);
    const grant = this.#options.grants.open({
      volumeId: token.volume_id,
      sdcId: token.sdc_id,
      mappingGeneration: token.mapping_generation,
    });
    grant.begin();
    grant.close();
    this.#fragments += fragments;
    return this.#run({ token, asked, granted, data }).finally(() => {
      this.#fragments -= fragments;
      grant.end();
    });
  }

  async #run(
    io: { token: SingleUseToken; asked: AskedRange; granted: GrantedSegment; data: Uint8Array | undefined },
  ): Promise<JsonAnswer> {
    const { token, asked, granted, data } = io;
    const { context, uses } = this.#options;
    const { segment, group } = granted;
    const { offsetBytes, lengthBytes } = asked;
    const range = {
      vtreeId: token.vtree_id,
      nodeId: token.node_id,
      chunkIndex: segment.chunk_index,
      offsetBytes,
      lengthBytes,
    };
    const startMs = context.clock.monotonicMs();
    const into = data ?? new Uint8Array(lengthBytes);
    const code = await (data === undefined ? readRange(group, range, into) : writeRange(group, range, data));
    const done = code === undefined;
    const errorMessage = done ? "" : failureText(token, code);
    uses.done({
      tokenId: token.token_id,
      chunkId: asked.chunkId,
      success: done,
      bytesProcessed: done ? lengthBytes : 0,
      errorMessage,
      durationMs: Math.max(0, context.clock.monotonicMs() - startMs),
    });
    if (!done) throw new StorageError(code, errorMessage);
    this.#count(token, lengthBytes);
    return data === undefined
      ? readAnswer(into, segment.epoch)
      : { ok: true, bytes_written: lengthBytes, generation: segment.epoch };
  }

  #count(token: SingleUseToken, bytes: number): void {
    const isRead = token.operation === "read";
    this.#options.count({
      volumeId: token.volume_id,
      sdcId: token.sdc_id,
      reads: isRead ? 1 : 0,
      writes: isRead ? 0 : 1,
      readBytes: isRead ? bytes : 0,
      writtenBytes: isRead ? 0 : bytes,
    });
  }

  /** For the ring of tokens; a token that is none of the MDM's has no name worth keeping. */
  #judged(token: SingleUseToken | undefined, reason: string): void {
    this.#options.tokenJudged({
      tokenId: token?.token_id,
      volumeId: token?.volume_id,
      sdcId: token?.sdc_id ?? 0,
      accepted: reason === "",
      reason,
    });
  }
}

function isTokenCode(code: ErrorCode): boolean {
  return code.startsWith("token_");
}

function initAnswer(volumeId: number): JsonAnswer {
  return { ok: true, volume_id: volumeId, message: "nothing to do: chunks are made by the first write" };
}

/** @throws {StorageError} `bad_request` for text that is not the canonical base64 of anything. */
function dataOf(base64: string): Uint8Array {
  const data = Buffer.from(base64, "base64");
  if (data.toString("base64") === base64) return data;
  throw new StorageError("bad_request", "Cannot serve the line: data_b64 is not base64");
}

function failureText(token: SingleUseToken, code: ErrorCode): string {
  const effect = token.operation === "write" && code !== "pool_full" ? "; parts of it may be written" : "";
  const next = errorTraits(code).retry === "never" ? "" : "; ask for a new token and try again";
  return `Cannot finish the ${token.operation}: ${code}${effect}${next}`;
}
