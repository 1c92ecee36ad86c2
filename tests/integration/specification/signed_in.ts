/** MGMT as its first user uses it. @module */
import { assertEquals } from "@std/assert";
import type { SpecificationCluster } from "@/tests/integration/specification/cluster.ts";
import { MgmtBrowser } from "@/tests/support/mgmt_browser.ts";

const PASSWORD = "a password of the specification's tests";

/** A browser of `admin`: with the one-time password, which is replaced at once, or with the new one. */
export async function signedIn(cluster: SpecificationCluster): Promise<MgmtBrowser> {
  const { url, oneTimePassword } = cluster.state.mgmt;
  const browser = new MgmtBrowser({
    async request(path, init) {
      const answer = await fetch(url + path, { ...init, redirect: "manual" });
      const { status, headers } = answer;
      return new Response(await answer.arrayBuffer(), { status, headers });
    },
  });
  if ((await browser.signIn(PASSWORD)).status === 303) return browser;
  assertEquals((await browser.signIn(oneTimePassword)).headers.get("Location"), "/password");
  const fields = { password: PASSWORD, repeated: PASSWORD };
  assertEquals((await browser.submit("/password", { path: "/password", fields })).status, 303);
  return browser;
}
