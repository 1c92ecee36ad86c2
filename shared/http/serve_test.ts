import { assertEquals, assertMatch, assertThrows } from "@std/assert";
import { Hono } from "hono";
import { streamSSE } from "hono/streaming";
import { type Clock, systemClock } from "@/shared/clock.ts";
import { listenOrExplain, remoteAddressOf, serveHttp, stoppingSignal } from "@/shared/http/serve.ts";
import { SettingsError } from "@/shared/settings.ts";

const PLACE = { hostname: "127.0.0.1", port: 0, portSetting: "POWERFLEX_MDM_API_PORT" };

Deno.test("serveHttp() serves on the port it says and frees it on stop", async () => {
  const app = new Hono().get("/", (c) => c.text("here"));
  const server = serveHttp({ app, ...PLACE });
  assertEquals(await (await fetch(server.url)).text(), "here");
  await server.stop();
  await server.stop();
  await using again = serveHttp({ app, ...PLACE, port: server.port });
  assertEquals(again.port, server.port);
});

Deno.test("remoteAddressOf() tells who called, and nothing without a server", async () => {
  const app = new Hono().get("/", (c) => c.text(remoteAddressOf(c)));
  await using server = serveHttp({ app, ...PLACE });
  assertEquals(await (await fetch(server.url)).text(), "127.0.0.1");
  assertEquals(await (await app.request("/")).text(), "");
});

Deno.test("serveHttp() ends open event streams when it stops", async () => {
  const app = new Hono().get("/events", (c) =>
    streamSSE(c, async (stream) => {
      await stream.writeSSE({ data: "first" });
      await new Promise<void>((resolve) => {
        stoppingSignal(c).addEventListener("abort", () => resolve(), { once: true });
      });
    }));
  const server = serveHttp({ app, ...PLACE });
  const reader = (await fetch(`${server.url}/events`)).body!.pipeThrough(new TextDecoderStream()).getReader();
  assertEquals((await reader.read()).value, "data: first\n\n");
  await server.stop();
  assertEquals((await reader.read()).done, true);
});

Deno.test("serveHttp() cuts a request that does not finish when the time to stop is over", async () => {
  const impatient: Clock = { ...systemClock, setTimer: (_delayMs, callback) => systemClock.setTimer(0, callback) };
  const arrived = Promise.withResolvers<void>();
  const app = new Hono().get("/", () => {
    arrived.resolve();
    return new Promise<Response>(() => {});
  });
  const server = serveHttp({ app, ...PLACE, clock: impatient });
  const connection = await Deno.connect({ hostname: "127.0.0.1", port: server.port });
  await connection.write(new TextEncoder().encode("GET / HTTP/1.1\r\nHost: x\r\n\r\n"));
  await arrived.promise;
  await server.stop();
  assertEquals(await connection.read(new Uint8Array(1)).catch(() => null), null);
  connection.close();
});

Deno.test("serveHttp() names the busy port and the setting that changes it", async () => {
  await using server = serveHttp({ app: new Hono(), ...PLACE });
  const error = assertThrows(() => serveHttp({ app: new Hono(), ...PLACE, port: server.port }), SettingsError);
  assertMatch(
    error.message,
    new RegExp(`POWERFLEX_MDM_API_PORT is ${server.port}, which another process uses on 127.0.0.1`),
  );
});

Deno.test("listenOrExplain() explains a foreign address and passes on what it does not know", () => {
  const place = { hostname: "192.0.2.1", port: 9700, portSetting: "POWERFLEX_SDS_DATA_PORT" };
  assertThrows(
    () => listenOrExplain(place, () => Deno.listen({ hostname: place.hostname, port: 9700 })),
    SettingsError,
    "192.0.2.1 is no address of this host",
  );
  assertThrows(
    () =>
      listenOrExplain(place, () => {
        throw new TypeError("else");
      }),
    TypeError,
    "else",
  );
});

Deno.test("stoppingSignal() is not aborted for a request without a server", async () => {
  const app = new Hono().get("/", (c) => c.json(stoppingSignal(c).aborted));
  assertEquals(await (await app.request("/")).json(), false);
});
