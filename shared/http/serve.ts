/**
 * Serves an application on a TCP port and stops it without hanging on streams that never end by themselves.
 *
 * @module
 */
import type { Context, Hono } from "hono";
import { type Clock, sleep, systemClock } from "@/shared/clock.ts";
import { SettingsError } from "@/shared/settings/read.ts";

/** How long a stop waits for requests that have begun, in milliseconds; then their connections are cut. */
export const HTTP_STOP_MS_MAX = 2_000;

/** Where and what to serve. */
export interface ServeOptions {
  // deno-lint-ignore no-explicit-any -- an application's variables and bindings are its own
  readonly app: Hono<any, any, any>;
  readonly hostname: string;
  /** 0 for any free one, in tests. */
  readonly port: number;
  /** The setting that decides the port, for the message when it is taken. */
  readonly portSetting: string;
  readonly clock?: Clock;
}

/** A serving application. */
export interface HttpServer extends AsyncDisposable {
  /** The bound port. */
  readonly port: number;
  /** `http://host:port` */
  readonly url: string;
  /** Ends streams, lets begun requests finish for at most {@linkcode HTTP_STOP_MS_MAX}, and closes. Stopping twice does nothing. */
  stop(): Promise<void>;
}

/** What `serveHttp` hands to the application beside the request. */
interface ServerBindings {
  readonly stopping: AbortSignal;
  /** Address of the caller, without its port. */
  readonly remoteAddress: string;
}

/** Starts to serve. @throws {SettingsError} when the port is taken or not permitted, naming the setting to change. */
export function serveHttp(options: ServeOptions): HttpServer {
  const { app, hostname, port, portSetting, clock = systemClock } = options;
  const streams = new AbortController();
  const connections = new AbortController();
  const begun = new Set<Promise<void>>();
  const handle = (request: Request, info: Deno.ServeHandlerInfo) => {
    if (streams.signal.aborted) return new Response(null, { status: 503, headers: { Connection: "close" } });
    const completed = info.completed.catch(() => {}).finally(() => begun.delete(completed));
    begun.add(completed);
    const bindings: ServerBindings = { stopping: streams.signal, remoteAddress: hostOf(info.remoteAddr) };
    return app.fetch(request, bindings);
  };
  const server = listenOrExplain(
    { hostname, port, portSetting },
    () => Deno.serve({ hostname, port, signal: connections.signal, onListen: () => {} }, handle),
  );
  // Not `server.shutdown()`: it waits without a limit, and once it waits the connections can no longer be cut.
  const stop = async () => {
    streams.abort();
    const finished = new AbortController();
    const deadline = sleep(clock, HTTP_STOP_MS_MAX, finished.signal);
    await Promise.race([Promise.all(begun), deadline]);
    finished.abort();
    connections.abort();
    await server.finished;
  };
  let stopped: Promise<void> | undefined;
  const stopOnce = () => stopped ??= stop();
  const boundPort = server.addr.port;
  return {
    port: boundPort,
    url: `http://${hostname.includes(":") ? `[${hostname}]` : hostname}:${boundPort}`,
    stop: stopOnce,
    [Symbol.asyncDispose]: stopOnce,
  };
}

/** Aborted when the server that serves `c` begins to stop: what a stream of events ends with. Never aborted in `app.request`. */
export function stoppingSignal(c: Context): AbortSignal {
  const { stopping } = (c.env ?? {}) as Partial<ServerBindings>; // what serveHttp passed, or nothing in tests
  return stopping ?? NEVER.signal;
}

const NEVER = new AbortController();

/** Address of who called, without the port; empty where there is none (a unix socket, `app.request` in tests). */
export function remoteAddressOf(c: Context): string {
  const { remoteAddress } = (c.env ?? {}) as Partial<ServerBindings>; // what serveHttp passed, or nothing in tests
  return remoteAddress ?? "";
}

function hostOf(address: Deno.Addr): string {
  return "hostname" in address ? address.hostname : "";
}

/** Runs `listen`; a taken or forbidden port becomes a sentence that names it and the setting. For every kind of listener. */
export function listenOrExplain<Listener>(
  place: { readonly hostname: string; readonly port: number; readonly portSetting: string },
  listen: () => Listener,
): Listener {
  const { hostname, port, portSetting } = place;
  try {
    return listen();
  } catch (error) {
    const reason = listenProblem(error);
    if (reason === undefined) throw error;
    throw new SettingsError([`${portSetting} is ${port}, ${reason.replace("{host}", hostname)}`]);
  }
}

function listenProblem(error: unknown): string | undefined {
  if (error instanceof Deno.errors.AddrInUse) {
    return "which another process uses on {host}: stop that process or choose another port";
  }
  if (error instanceof Deno.errors.AddrNotAvailable) {
    return "but {host} is no address of this host: choose another address to listen on";
  }
  if (error instanceof Deno.errors.PermissionDenied) {
    return "which this user may not open on {host}: choose one from 1024 on";
  }
  return undefined;
}
