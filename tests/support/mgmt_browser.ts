/**
 * A browser of the few things that sign-in needs: cookies and form tokens. Requests go to the application without a socket, or
 * wherever their sender takes them.
 *
 * @module
 */
import { assertMatch } from "@std/assert";
import { FIXTURE_PASSWORD } from "@/tests/support/mgmt_fixture.ts";

/** What answers requests: an application, or a sender that does not follow redirects. */
export interface RequestTarget {
  request(path: string, init: RequestInit): Response | Promise<Response>;
}

/** Sends requests with the cookies that it was given. */
export class MgmtBrowser {
  readonly #app: RequestTarget;
  readonly cookies = new Map<string, string>();

  constructor(app: RequestTarget) {
    this.#app = app;
  }

  /** A request as a browser sends it; redirects are not followed. */
  async request(path: string, init: RequestInit = {}): Promise<Response> {
    const headers = new Headers(init.headers);
    if (!headers.has("Accept")) headers.set("Accept", "text/html");
    const cookie = [...this.cookies].map(([name, value]) => `${name}=${value}`).join("; ");
    if (cookie !== "") headers.set("Cookie", cookie);
    const answer = await this.#app.request(path, { ...init, headers });
    for (const line of answer.headers.getSetCookie()) {
      const [, name, value] = line.match(/^([^=]+)=([^;]*)/) ?? [];
      if (/Max-Age=0/.test(line)) this.cookies.delete(name!);
      else this.cookies.set(name!, value!);
    }
    return answer;
  }

  /** The markup of a page. */
  async page(path: string): Promise<string> {
    return await (await this.request(path)).text();
  }

  /** Fills the form of `pagePath` and sends it to `path`. */
  async submit(
    pagePath: string,
    form: { readonly path: string; readonly fields: Record<string, string> },
  ): Promise<Response> {
    const token = tokenOf(await this.page(pagePath));
    return await this.request(form.path, {
      method: "POST",
      body: new URLSearchParams({ form_token: token, ...form.fields }),
    });
  }

  /** Signs in as `admin`. */
  signIn(password = FIXTURE_PASSWORD): Promise<Response> {
    return this.submit("/sign-in", { path: "/sign-in", fields: { name: "admin", password } });
  }
}

/** The form token in `markup`. */
export function tokenOf(markup: string): string {
  const [, token] = markup.match(/name="form_token" value="([0-9a-f]{64})"/) ?? [];
  assertMatch(token ?? "", /^[0-9a-f]{64}$/, "the page has a form");
  return token!;
}
