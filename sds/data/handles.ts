/**
 * Volumes that SDC sessions have opened with a token, and what a token must be for that (replication design, sections 6.2 to
 * 6.4). The HMAC is checked once per open or renewal; each IO then checks the handle (I21).
 *
 * @module
 */
import { openToken, type SessionToken } from "@/shared/auth.ts";
import type { MappingGeneration } from "@/shared/api/sds.ts";
import { StorageError } from "@/shared/errors.ts";
import type { SdcId, VolumeId } from "@/shared/ids.ts";
import { baseOf } from "@/shared/placement.ts";
import type { SdcClient } from "@/shared/wire/control.ts";
import type { SdsContext } from "@/sds/context.ts";
import type { GrantedIo } from "@/sds/data/granted_io.ts";

/** What a handle allows, and what was done with it. */
export interface VolumeHandle {
  token: SessionToken;
  readonly base: number;
  /** Under what its operations run, and who hears of them. */
  io: GrantedIo;
  reads: number;
  writes: number;
  readBytes: number;
  writtenBytes: number;
}

/** A token that was looked at, for the audit ring. */
export interface TokenVerdict {
  readonly tokenId: string | undefined;
  readonly volumeId: number | undefined;
  readonly sdcId: number;
  readonly accepted: boolean;
  readonly reason: string;
}

/** Newest mapping generation of each volume and SDC: a restart forgets no revocation, since the MDM tells all at registration. */
export class MappingTable {
  #generations = new Map<string, number>();
  version = -1;

  replace(mappings: readonly MappingGeneration[], version: number): void {
    for (const mapping of mappings) this.#raise(mapping);
    this.version = Math.max(this.version, version);
  }

  /** The generation that a token must have at least; undefined if the MDM never told of the mapping. */
  generationOf(volumeId: VolumeId, sdcId: SdcId): number | undefined {
    return this.#generations.get(`${volumeId}/${sdcId}`);
  }

  #raise({ volumeId, sdcId, mappingGeneration }: MappingGeneration): void {
    const key = `${volumeId}/${sdcId}`;
    this.#generations.set(key, Math.max(mappingGeneration, this.#generations.get(key) ?? 0));
  }
}

/** Checks a token for a session. @throws {StorageError} with the reason: nothing was opened. */
export function requireToken(
  text: string,
  options: { context: SdsContext; client: SdcClient; mappings: MappingTable },
): SessionToken {
  const { context, client, mappings } = options;
  const attempt = "Cannot open the volume";
  if (text === "") throw new StorageError("token_missing", `${attempt}: the request carries no token`);
  const opened = openToken(text, context.keys.tokenKeys);
  if (opened.kind === "refused") throw new StorageError(opened.code, `${attempt}: ${opened.reason}`);
  const { token } = opened;
  if (token.sdcId !== client.sdcId || token.sdcSession !== client.sdcSession) {
    throw new StorageError(
      "token_session",
      `${attempt}: the token is for session ${token.sdcSession} of SDC ${token.sdcId}, this is session ${client.sdcSession} of SDC ${client.sdcId}`,
    );
  }
  if (!context.mdmTime.accepts(token.expiresAtMs, context.clock.monotonicMs())) {
    throw new StorageError("token_expired", `${attempt}: the token expired at ${token.expiresAtMs} ms of MDM time`);
  }
  const generation = mappings.generationOf(token.volumeId, token.sdcId);
  if (generation !== undefined && token.mappingGeneration < generation) {
    throw new StorageError(
      "token_expired",
      `${attempt}: the token is of mapping generation ${token.mappingGeneration}, the mapping is at ${generation}`,
    );
  }
  return token;
}

export function newHandle(token: SessionToken, io: GrantedIo): VolumeHandle {
  return { token, base: baseOf(token.vtreeId), io, reads: 0, writes: 0, readBytes: 0, writtenBytes: 0 };
}
