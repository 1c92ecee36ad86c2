import { assertEquals } from "@std/assert";
import type { Clock } from "@/shared/clock.ts";
import { ACCEPT_RETRY_MS, acceptConnections } from "@/shared/net/accept_loop.ts";
import type { Connection } from "@/shared/transport.ts";

const CONNECTION: Connection = {
  peer: "peer",
  read: () => Promise.resolve(null),
  write: (bytes) => Promise.resolve(bytes.length),
  close() {},
};

Deno.test("acceptConnections() goes on after a failure and a pause, until the listener is closed", async () => {
  const outcomes: (Connection | Error | null)[] = [CONNECTION, new Error("no descriptors"), CONNECTION, null];
  const pausesMs: number[] = [];
  const clock: Clock = {
    monotonicMs: () => 0,
    wallMs: () => 0,
    setTimer(delayMs, callback) {
      pausesMs.push(delayMs);
      queueMicrotask(callback);
      return { cancel() {} };
    },
  };
  const events: string[] = [];
  const listener = {
    port: 0,
    close() {},
    accept() {
      const outcome = outcomes.shift()!;
      return outcome instanceof Error ? Promise.reject(outcome) : Promise.resolve(outcome);
    },
  };
  await acceptConnections(listener, {
    clock,
    signal: new AbortController().signal,
    onConnection: (connection) => events.push(connection.peer),
    onError: (error) => events.push((error as Error).message),
  });
  assertEquals(events, ["peer", "no descriptors", "peer"]);
  assertEquals(pausesMs, [ACCEPT_RETRY_MS]);
});
