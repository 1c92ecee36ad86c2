/**
 * HTTP over the virtual network: a request is handed to the Hono application of the process that serves the port. A request
 * or its answer may be late, lost with a reset, held by a cut path and delivered after it, or swallowed by a host that is
 * down; the caller's own clock ends the wait.
 *
 * @module
 */
import type { Clock } from "@/shared/clock.ts";
import type { HttpAnswer, HttpRequest, HttpSend } from "@/shared/http_client.ts";
import type { StreamEnd } from "@/tests/sim/stream.ts";
import type { Wire } from "@/tests/sim/wire.ts";

/** What answers requests: the `fetch` of a Hono application. */
export type HttpHandler = (request: Request) => Response | Promise<Response>;

/** A path that is cut loses so many of the requests on it; the others arrive when it is healed. */
const LOST_ON_CUT_CHANCE = 0.5;

interface Served {
  readonly by: StreamEnd;
  readonly handler: HttpHandler;
}

interface Call {
  readonly caller: StreamEnd;
  readonly servedBy: StreamEnd;
  fail(reason: string): void;
}

/** All HTTP servers of a run. */
export class VirtualHttp {
  readonly #wire: Wire;
  readonly #served = new Map<string, Served>();
  readonly #calls = new Set<Call>();
  /** Chance that a call between two hosts is broken by a reset, before or after it took effect. */
  lossChance = 0;

  constructor(wire: Wire) {
    this.#wire = wire;
  }

  /** Serves `port` of the host until the process dies or the answer is called. */
  serve(by: StreamEnd, options: { readonly port: number; readonly handler: HttpHandler }): () => void {
    const name = `${by.host}:${options.port}`;
    if (this.#served.get(name)?.by.gate.dead === false) throw new Error(`Cannot serve ${name}: the address is in use`);
    const served = { by, handler: options.handler };
    this.#served.set(name, served);
    return () => {
      if (this.#served.get(name) === served) this.#served.delete(name);
    };
  }

  /** The port through which the process behind `end` sends. */
  senderOf(end: StreamEnd, clock: Clock): HttpSend {
    return (request) =>
      new Promise((resolve, reject) => {
        if (end.gate.dead) return;
        let open = true;
        const settle = (run: () => void) => {
          if (!open) return;
          open = false;
          timer.cancel();
          run();
        };
        const fail = (reason: string) =>
          settle(() => reject(new Error(`Cannot ${request.method} ${request.url}: ${reason}`)));
        const timer = clock.setTimer(request.timeoutMs, () => fail(`no answer in ${request.timeoutMs} ms`));
        this.#send(end, request, {
          answer: (answer) => end.gate.pass(() => settle(() => resolve(answer))),
          fail: (reason) => end.gate.pass(() => fail(reason)),
        });
      });
  }

  /** The process behind `end` died: calls that it was serving break. */
  processDied(end: StreamEnd): void {
    const hostDown = this.#wire.isDown(end.host);
    for (const call of [...this.#calls]) {
      if (call.servedBy.gate !== end.gate) continue;
      this.#calls.delete(call);
      if (!hostDown) this.#travel(end.host, call.caller.host, () => call.fail("the connection was reset"));
    }
  }

  #send(caller: StreamEnd, request: HttpRequest, settle: { answer(a: HttpAnswer): void; fail(reason: string): void }) {
    const { random, log } = this.#wire;
    const url = new URL(request.url);
    const breaks = random.chance(this.lossChance) ? random.pick(["before", "after"] as const) : undefined;
    const name = `${caller.host}>${url.host} ${request.method} ${url.pathname}`;
    log.trace(`http ${name}`);
    this.#travel(caller.host, url.hostname, () => {
      const served = this.#served.get(url.host);
      const back = (run: () => void) => this.#travel(url.hostname, caller.host, run);
      if (served === undefined || served.by.gate.dead) return back(() => settle.fail("connection refused"));
      if (breaks === "before") return back(() => settle.fail("the connection was reset"));
      const call: Call = { caller, servedBy: served.by, fail: settle.fail };
      this.#calls.add(call);
      served.by.gate.pass(() => {
        this.#answer(served, request).then((answer) => {
          if (!this.#calls.delete(call)) return;
          log.trace(`http ${name} ${answer.status}`);
          if (breaks === "after") return back(() => settle.fail("the connection was reset"));
          back(() => settle.answer(answer));
        });
      });
    });
  }

  async #answer(served: Served, request: HttpRequest): Promise<HttpAnswer> {
    // Hosts of the simulation are called by name; to the one that answers, it is its own loopback.
    const url = new URL(request.url);
    url.hostname = "127.0.0.1";
    const response = await served.handler(
      new Request(url, {
        method: request.method,
        ...(request.headers && { headers: request.headers }),
        ...(request.body !== undefined && { body: request.body }),
      }),
    );
    return { status: response.status, body: await response.text() };
  }

  /** Runs `arrive` at the other host, later, perhaps much later, perhaps never. */
  #travel(from: string, to: string, arrive: () => void): void {
    const wire = this.#wire;
    wire.time.after(wire.delayMs(), () => {
      if (wire.isDown(to)) return;
      if (!wire.isCut(from, to)) return arrive();
      if (!wire.random.chance(LOST_ON_CUT_CHANCE)) wire.whenHealed(from, to, arrive);
    });
  }
}
