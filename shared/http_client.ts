/**
 * HTTP requests as a capability: components talk to each other's control planes through it, the simulator delivers them
 * over its virtual network.
 *
 * @module
 */
import { systemClock } from "@/shared/clock.ts";

/** A request with a complete body. */
export interface HttpRequest {
  readonly method: string;
  readonly url: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  /** After this time the request fails; the peer may have carried it out. */
  readonly timeoutMs: number;
}

/** An answer with a complete body. */
export interface HttpAnswer {
  readonly status: number;
  readonly body: string;
}

/** Sends one request. Rejects when no answer came: refused, reset or timed out. */
export type HttpSend = (request: HttpRequest) => Promise<HttpAnswer>;

/** Largest answer that is read, in bytes: a read of 16 MiB in base64; a map of 4096 placement groups is far below. */
export const HTTP_ANSWER_BYTES_MAX = 24 * 1024 * 1024;

/** `fetch` of this host. */
export const fetchSend: HttpSend = async (request) => {
  // Not `AbortSignal.timeout`: its timer stays when the answer has come, and wakes an idle process for nothing.
  const late = new AbortController();
  const timer = systemClock.setTimer(request.timeoutMs, () => late.abort(timeoutError(request)));
  try {
    return await fetchAnswer(request, late.signal);
  } finally {
    timer.cancel();
  }
};

function timeoutError({ url, timeoutMs }: HttpRequest): DOMException {
  return new DOMException(`${url} did not answer within ${timeoutMs} ms`, "TimeoutError");
}

async function fetchAnswer(request: HttpRequest, signal: AbortSignal): Promise<HttpAnswer> {
  const response = await fetch(request.url, {
    method: request.method,
    ...(request.headers && { headers: request.headers }),
    ...(request.body !== undefined && { body: request.body }),
    signal,
  });
  const announced = Number(response.headers.get("content-length") ?? 0);
  if (announced > HTTP_ANSWER_BYTES_MAX) {
    await response.body?.cancel();
    throw new Error(
      `Cannot read the answer of ${request.url}: it announces ${announced} bytes, at most ${HTTP_ANSWER_BYTES_MAX} are read`,
    );
  }
  return { status: response.status, body: await response.text() };
}
