/**
 * HTTP requests as a capability: components talk to each other's control planes through it, the simulator delivers them
 * over its virtual network.
 *
 * @module
 */

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

/** Largest answer that is read, in bytes: a map of 4096 placement groups is far below. */
export const HTTP_ANSWER_BYTES_MAX = 16 * 1024 * 1024;

/** `fetch` of this host. */
export const fetchSend: HttpSend = async (request) => {
  const response = await fetch(request.url, {
    method: request.method,
    ...(request.headers && { headers: request.headers }),
    ...(request.body !== undefined && { body: request.body }),
    signal: AbortSignal.timeout(request.timeoutMs),
  });
  const announced = Number(response.headers.get("content-length") ?? 0);
  if (announced > HTTP_ANSWER_BYTES_MAX) {
    await response.body?.cancel();
    throw new Error(
      `Cannot read the answer of ${request.url}: it announces ${announced} bytes, at most ${HTTP_ANSWER_BYTES_MAX} are read`,
    );
  }
  return { status: response.status, body: await response.text() };
};
