/**
 * What a single-use token must be for a request of the JSON port (replication design, sections 6.2 to 6.4). Every IO is checked
 * in full, before anything else is done with it; a refusal uses nothing up.
 *
 * @module
 */
import { type IoSegment, openIoToken, type SingleUseToken } from "@/shared/io_token.ts";
import { type ErrorCode, StorageError } from "@/shared/errors.ts";
import { sameIncarnation } from "@/shared/ids.ts";
import { baseOf, pgIndexOf } from "@/shared/placement.ts";
import type { JsonRequest } from "@/shared/wire/json_lines.ts";
import type { SdsContext } from "@/sds/context.ts";
import type { MappingTable } from "@/sds/data/handles.ts";
import type { TokenUses } from "@/sds/data/token_uses.ts";
import { serveProblem } from "@/sds/replication/flush.ts";
import type { Group } from "@/sds/replication/group.ts";
import type { ReplicaDevice } from "@/sds/replication/replica_device.ts";

/** What tokens are judged by. */
export interface TokenJudge {
  readonly context: SdsContext;
  readonly mappings: MappingTable;
  readonly uses: TokenUses;
  devices(): readonly ReplicaDevice[];
}

/** A range of one chunk, as a request asks for it. */
export interface AskedRange {
  readonly chunkId: number;
  readonly offsetBytes: number;
  readonly lengthBytes: number;
}

/** What a good token gives. */
export interface GrantedSegment {
  readonly segment: IoSegment;
  readonly segmentIndex: number;
  readonly group: Group;
}

const ATTEMPT = "Cannot serve the line";

/** Form, signature, life, volume and operation. @throws {StorageError} with the reason. */
export function requireIoToken(request: JsonRequest, judge: TokenJudge): SingleUseToken {
  const { context, mappings, uses } = judge;
  if (request.token === undefined || request.token === null) refuse("token_missing", "it carries no token");
  const opened = openIoToken(request.token, context.keys.tokenKeys);
  if (opened.kind === "refused") refuse(opened.code, opened.reason);
  const { token } = opened;
  if (!context.mdmTime.accepts(token.expires_at_ms, context.clock.monotonicMs())) {
    refuse("token_expired", `the token expired at ${token.expires_at_ms} ms of MDM time`);
  }
  if (uses.isRevoked(token.token_id)) refuse("token_revoked", `token ${token.token_id} was revoked`);
  const generation = mappings.generationOf(token.volume_id, token.sdc_id);
  if (generation !== undefined && token.mapping_generation < generation) {
    refuse(
      "token_expired",
      `the token is of mapping generation ${token.mapping_generation}, the mapping is at ${generation}`,
    );
  }
  if (token.volume_id !== request.volume_id) {
    refuse("token_volume", `the token is for volume ${token.volume_id}, the request for ${request.volume_id}`);
  }
  if (request.action !== "init_volume" && request.action !== token.operation) {
    refuse("token_mode", `the token is for ${token.operation}, the request is ${request.action}`);
  }
  return token;
}

/** Range, target and use, and whether the chunk is served here now. @throws {StorageError} with the reason. */
export function requireSegment(token: SingleUseToken, asked: AskedRange, judge: TokenJudge): GrantedSegment {
  const segmentIndex = token.io_plan.segments.findIndex((segment) => segment.chunk_id === asked.chunkId);
  const segment = token.io_plan.segments[segmentIndex];
  if (segment === undefined) refuse("token_range", `chunk ${asked.chunkId} is not in the token's plan`);
  const { segment_offset_bytes: startBytes, segment_length_bytes: lengthBytes } = segment;
  if (asked.offsetBytes < startBytes || asked.offsetBytes + asked.lengthBytes > startBytes + lengthBytes) {
    refuse(
      "token_range",
      `the token allows ${lengthBytes} bytes at ${startBytes} of chunk ${asked.chunkId}, ` +
        `the request is ${asked.lengthBytes} bytes at ${asked.offsetBytes}`,
    );
  }
  const device = requireTarget(segment, judge);
  if (judge.uses.isUsed(token.token_id, segmentIndex)) {
    refuse("token_used", `token ${token.token_id} was used for chunk ${asked.chunkId} before`);
  }
  const group = device.groups.get(segment.pg_id);
  const code = serveProblem(group, segment.epoch);
  if (code !== undefined) {
    refuse(code, `group ${segment.pg_id} is not served here under epoch ${segment.epoch}; ask for a new plan`);
  }
  const { pgCount, pgIndex } = group!.primary!.config;
  if (pgIndexOf(baseOf(token.vtree_id), segment.chunk_index, pgCount) !== pgIndex) {
    refuse("bad_request", `chunk ${asked.chunkId} is not of group ${segment.pg_id}`);
  }
  return { segment, segmentIndex, group: group! };
}

function requireTarget(segment: IoSegment, judge: TokenJudge): ReplicaDevice {
  const { sdsId } = judge.context.keys;
  const here = segment.targets.filter((target) => target.sds_id === sdsId);
  for (const target of here) {
    const device = judge.devices().find((candidate) => candidate.deviceId === target.device_id);
    if (device !== undefined && sameIncarnation(device.incarnation, target.incarnation)) return device;
  }
  refuse(
    "token_target",
    here.length === 0
      ? `the token is for SDS ${segment.targets.map((target) => target.sds_id).join(", ")}, this is SDS ${sdsId}`
      : "the token is for an earlier start of this SDS, or for a device that is not served here",
  );
}

function refuse(code: ErrorCode, reason: string): never {
  throw new StorageError(code, `${ATTEMPT}: ${reason}`);
}
