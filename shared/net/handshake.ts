/**
 * Opening a data-path connection, both sides: who is there, and proof of the key (`shared/wire/control.ts` has the diagram,
 * `shared/auth.ts` the keys). Until it succeeds a channel takes small JSON headers only.
 *
 * @module
 */
import { equalText, handshakeProof } from "@/shared/auth.ts";
import type { Clock } from "@/shared/clock.ts";
import { FRAGMENT_BYTES_MAX, QUEUE_DEPTH } from "@/shared/constants.ts";
import { isErrorCode, StorageError } from "@/shared/errors.ts";
import type { SdsId } from "@/shared/ids.ts";
import type { FrameChannel, FrameHandler } from "@/shared/net/frame_channel.ts";
import { type Random, randomHex } from "@/shared/random.ts";
import {
  challengeSchema,
  type Hello,
  type HelloIdentity,
  helloSchema,
  identityText,
  proofSchema,
  refusedSchema,
  welcomeSchema,
} from "@/shared/wire/control.ts";
import { DATA_PATH_VERSION } from "@/shared/wire/version.ts";

/** Time for the whole handshake. */
export const HANDSHAKE_MS_MAX = 5_000;
/** Time in which a refused client takes the refusal, before the connection is closed all the same. */
const REFUSAL_MS_MAX = 1_000;

/** What both sides need. */
export interface HandshakeContext {
  readonly clock: Clock;
  readonly random: Random;
}

/** The client's side. */
export interface ClientHandshake extends HandshakeContext {
  readonly identity: HelloIdentity;
  readonly keyHex: string;
  readonly serverSdsId: SdsId;
  /** Offers the compact form; false for lessons and tests. */
  readonly compact: boolean;
}

/**
 * Opens `channel`, whose `run` the caller has started. The caller sets its own handler at once after this resolves.
 * @throws {StorageError} with the server's code when it refuses; `unauthorized` when it cannot prove itself; `unavailable`
 * when the connection ends or nothing comes in time.
 */
export function openAsClient(channel: FrameChannel, options: ClientHandshake): Promise<void> {
  const { identity, keyHex, serverSdsId } = options;
  const clientNonceHex = randomHex(options.random, 16);
  const done = Promise.withResolvers<void>();
  let waitsFor: "challenge" | "welcome" = "challenge";
  const attempt = `Cannot open a ${identity.role} connection to SDS ${serverSdsId} at ${channel.peer}`;
  const onMessage = (message: { kind?: unknown }) => {
    const refused = refusedSchema.safeParse(message);
    if (refused.success) {
      const { code, message: reason } = refused.data;
      throw new StorageError(isErrorCode(code) ? code : "internal", `${attempt}: ${reason}`);
    }
    if (waitsFor === "challenge") {
      const challenge = challengeSchema.parse(message);
      const facts = {
        clientNonceHex,
        serverNonceHex: challenge.serverNonceHex,
        role: identity.role,
        client: identityText(identity),
        serverSdsId,
      };
      if (
        challenge.serverSdsId !== serverSdsId || !equalText(handshakeProof(keyHex, "server", facts), challenge.proofHex)
      ) {
        throw new StorageError(
          "unauthorized",
          `${attempt}: SDS ${challenge.serverSdsId} answers and does not prove the key`,
        );
      }
      waitsFor = "welcome";
      return channel.sendJson({ kind: "proof", proofHex: handshakeProof(keyHex, "client", facts) });
    }
    const welcome = welcomeSchema.parse(message);
    channel.compact = welcome.compact && options.compact;
    channel.trusted = true;
    done.resolve();
  };
  runHandshake(channel, { context: options, done, attempt, onMessage });
  channel.sendJson({
    kind: "hello",
    version: DATA_PATH_VERSION,
    compact: options.compact,
    clientNonceHex,
    ...identity,
  });
  return done.promise;
}

/** The server's side. */
export interface ServerHandshake extends HandshakeContext {
  readonly sdsId: SdsId;
  /** The key of whoever the client says it is. @throws {StorageError} to refuse it. */
  keyOf(identity: HelloIdentity): string;
}

/** Opens an accepted channel, whose `run` the caller has started, and tells who is there. @throws {StorageError} as above. */
export function openAsServer(channel: FrameChannel, options: ServerHandshake): Promise<HelloIdentity> {
  const serverNonceHex = randomHex(options.random, 16);
  const done = Promise.withResolvers<HelloIdentity>();
  const attempt = `Cannot accept the connection from ${channel.peer}`;
  let hello: Hello | undefined;
  let expectedProofHex = "";
  const onMessage = (message: { kind?: unknown }) => {
    if (hello === undefined) {
      hello = parseHello(message, attempt);
      const keyHex = options.keyOf(hello);
      const facts = {
        clientNonceHex: hello.clientNonceHex,
        serverNonceHex,
        role: hello.role,
        client: identityText(hello),
        serverSdsId: options.sdsId,
      };
      expectedProofHex = handshakeProof(keyHex, "client", facts);
      const proofHex = handshakeProof(keyHex, "server", facts);
      return channel.sendJson({
        kind: "challenge",
        version: DATA_PATH_VERSION,
        serverSdsId: options.sdsId,
        serverNonceHex,
        proofHex,
      });
    }
    const proof = proofSchema.safeParse(message);
    if (!proof.success || !equalText(proof.data.proofHex, expectedProofHex)) {
      throw new StorageError("unauthorized", `${attempt}: its proof does not match the key of ${identityText(hello)}`);
    }
    channel.compact = hello.compact;
    channel.trusted = true;
    channel.sendJson({
      kind: "welcome",
      compact: hello.compact,
      queueDepth: QUEUE_DEPTH,
      fragmentBytesMax: FRAGMENT_BYTES_MAX,
    });
    done.resolve(hello);
  };
  runHandshake(channel, { context: options, done, attempt, onMessage, refuse: true });
  return done.promise;
}

function parseHello(message: unknown, attempt: string): Hello {
  const hello = helloSchema.safeParse(message);
  if (!hello.success) {
    const issue = hello.error.issues[0]!;
    throw new StorageError(
      "bad_request",
      `${attempt}: hello is wrong at ${issue.path.join(".") || "its top"}: ${issue.message}`,
    );
  }
  if (hello.data.version !== DATA_PATH_VERSION) {
    throw new StorageError(
      "unsupported",
      `${attempt}: it speaks version ${hello.data.version}, this SDS speaks ${DATA_PATH_VERSION}`,
    );
  }
  return hello.data;
}

interface HandshakeRun {
  readonly context: HandshakeContext;
  readonly done: { readonly promise: Promise<unknown>; reject(error: unknown): void };
  readonly attempt: string;
  onMessage(message: { kind?: unknown }): void;
  /** Tell the peer why before closing. */
  readonly refuse?: boolean;
}

/** Handles messages until `done` settles; a failure or the deadline closes the channel. */
function runHandshake(channel: FrameChannel, run: HandshakeRun): void {
  const fail = (error: StorageError) => {
    run.done.reject(error);
    if (!run.refuse) return channel.close(error.message);
    channel.sendJson({ kind: "refused", requestId: 0, code: error.code, message: error.message });
    const close = () => channel.close(error.message);
    const unread = run.context.clock.setTimer(REFUSAL_MS_MAX, close);
    channel.send.drained().then(() => unread.cancel()).then(close);
  };
  const timer = run.context.clock.setTimer(HANDSHAKE_MS_MAX, () => {
    fail(new StorageError("unavailable", `${run.attempt}: not open after ${HANDSHAKE_MS_MAX} ms`));
  });
  run.done.promise.then(() => timer.cancel(), () => timer.cancel());
  let failed = false;
  const handler: FrameHandler = {
    onFrame() {
      throw new StorageError("unauthorized", `${run.attempt}: a data frame came before the connection was open`);
    },
    onMessage(message) {
      if (failed) return;
      try {
        run.onMessage(message);
      } catch (error) {
        failed = true;
        fail(
          error instanceof StorageError ? error : new StorageError("bad_request", `${run.attempt}: ${String(error)}`),
        );
      }
    },
    onBatchEnd() {},
    onClosed(reason) {
      run.done.reject(new StorageError("unavailable", `${run.attempt}: ${reason}`));
    },
  };
  channel.handle(handler);
}
