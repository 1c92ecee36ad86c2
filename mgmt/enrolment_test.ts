import { assertEquals } from "@std/assert";
import { BEAT_MS, Enrolment } from "@/mgmt/enrolment.ts";
import { MdmClient } from "@/mgmt/mdm_client.ts";
import { verifyRequest } from "@/shared/http/node_auth.ts";
import type { HttpRequest } from "@/shared/http_client.ts";
import { logger } from "@/shared/log.ts";
import { FakeClock } from "@/tests/support/fake_clock.ts";

const KEY = "ab".repeat(32);
const OTHER_KEY = "cd".repeat(32);

/** An MDM that enrols by join token and knows one key. */
function registry() {
  const state = { key: KEY, reachable: true, known: true, requests: [] as HttpRequest[] };
  const answer = (status: number, body: unknown) => Promise.resolve({ status, body: JSON.stringify(body) });
  const send = (request: HttpRequest) => {
    if (!state.reachable) return Promise.reject(new Error("refused"));
    state.requests.push(request);
    const { pathname } = new URL(request.url);
    if (pathname !== "/discovery/register") {
      verifyRequest(new Headers(request.headers), {
        method: request.method,
        path: pathname,
        body: request.body ?? "",
        keyOf: () => state.key,
      });
      return state.known
        ? answer(200, { status: "ok" })
        : answer(404, { code: "not_found", detail: "no such component" });
    }
    const body = JSON.parse(request.body ?? "{}");
    state.known = true;
    if (body.join_token === "join") {
      return answer(200, { status: "registered", component_id: "mgmt-1", cluster_secret: state.key });
    }
    return state.key === KEY && body.auth_token !== undefined
      ? answer(200, { status: "updated", component_id: "mgmt-1" })
      : answer(403, { code: "forbidden", detail: "auth_token does not prove the key" });
  };
  return { state, send };
}

function enrolled(kept: string | undefined, mdm: ReturnType<typeof registry>) {
  const keys = { kept, load: () => keys.kept, save: (made: string) => void (keys.kept = made) };
  const client = new MdmClient({
    send: mdm.send,
    mdmUrl: "http://127.0.0.1:8001",
    componentId: "mgmt-1",
    address: "127.0.0.1",
    guiPort: 5000,
    joinToken: "join",
    keys,
  });
  const clock = new FakeClock();
  return { keys, clock, enrolment: new Enrolment({ mdm: client, clock, log: logger("mgmt") }) };
}

function paths(requests: readonly HttpRequest[]): string[] {
  return requests.map(({ url }) => new URL(url).pathname);
}

Deno.test("Enrolment enrols with the join token, keeps its key, and beats signed", async () => {
  const mdm = registry();
  const { keys, clock, enrolment } = enrolled(undefined, mdm);
  await enrolment.start();
  assertEquals(keys.kept, KEY);
  await clock.advance(2 * BEAT_MS);
  assertEquals(paths(mdm.state.requests), [
    "/discovery/register",
    "/discovery/heartbeat/mgmt-1",
    "/discovery/heartbeat/mgmt-1",
  ]);
  await enrolment[Symbol.asyncDispose]();
  assertEquals(clock.timerCount, 0);
});

Deno.test("Enrolment comes back with its key alone, and registers when it was forgotten", async () => {
  const mdm = registry();
  const { clock, enrolment } = enrolled(KEY, mdm);
  await enrolment.start();
  const first = JSON.parse(mdm.state.requests[0]?.body ?? "{}");
  assertEquals(["auth_token" in first, "join_token" in first], [true, false]);
  mdm.state.known = false;
  await clock.advance(2 * BEAT_MS);
  assertEquals(paths(mdm.state.requests).at(-1), "/discovery/register");
  await enrolment[Symbol.asyncDispose]();
});

Deno.test("Enrolment enrols anew at an MDM that was set up anew", async () => {
  const mdm = registry();
  mdm.state.key = OTHER_KEY;
  const { keys, enrolment } = enrolled(KEY, mdm);
  await enrolment.start();
  assertEquals(keys.kept, OTHER_KEY);
  await enrolment[Symbol.asyncDispose]();
});

Deno.test("Enrolment waits for an MDM that is away", async () => {
  const mdm = registry();
  mdm.state.reachable = false;
  const { keys, clock, enrolment } = enrolled(undefined, mdm);
  await enrolment.start();
  await clock.advance(BEAT_MS);
  assertEquals(keys.kept, undefined);
  mdm.state.reachable = true;
  await clock.advance(BEAT_MS);
  assertEquals(keys.kept, KEY);
  await enrolment[Symbol.asyncDispose]();
});
