/**
 * Which methods a path is served for, so that a wrong method is refused as such (405 with `Allow`, RFC 9110) and not as an
 * unknown path or a wrong identifier.
 *
 * @module
 */
import type { Context, Hono, MiddlewareHandler, NotFoundHandler } from "hono";
import { StorageError } from "@/shared/errors.ts";

/** Refuses wrong methods of an application. */
export interface MethodCheck {
  /** For paths without parameters, before a route with a parameter takes `create` for an identifier. */
  readonly middleware: MiddlewareHandler;
  /** For all other paths: a 405 where another method is served, else a 404. */
  readonly notFound: NotFoundHandler;
}

/** What reads the routes of `app`, at the first request: all must have been added by then. */
// deno-lint-ignore no-explicit-any -- an application's variables and bindings are its own
export function methodCheck(app: Hono<any, any, any>): MethodCheck {
  let served: ServedMethods | undefined;
  const methods = () => served ??= new ServedMethods(app.routes);
  return {
    async middleware(c, next) {
      const allowed = methods().ofLiteral(c.req.path);
      if (allowed !== undefined) requireMethod(c, allowed);
      await next();
    },
    notFound(c) {
      requireMethod(c, methods().ofPattern(c.req.path));
      throw new StorageError("not_found", `Cannot ${c.req.method} ${c.req.path}: no such path`);
    },
  };
}

function requireMethod(c: Context, allowed: ReadonlySet<string>): void {
  if (allowed.size === 0 || allowed.has(c.req.method)) return;
  const words = [...allowed].sort().join(", ");
  c.header("Allow", words);
  throw new StorageError("wrong_method", `Cannot ${c.req.method} ${c.req.path}: it is served for ${words}`);
}

class ServedMethods {
  readonly #literals = new Map<string, Set<string>>();
  readonly #patterns = new Map<string, { readonly pattern: RegExp; readonly methods: Set<string> }>();

  constructor(routes: readonly { readonly method: string; readonly path: string }[]) {
    for (const { method, path } of routes) {
      if (method !== "ALL") this.#methodsOf(path).add(method);
      if (method === "GET") this.#methodsOf(path).add("HEAD");
    }
  }

  #methodsOf(path: string): Set<string> {
    if (!path.includes("/:")) {
      const methods = this.#literals.get(path) ?? new Set();
      this.#literals.set(path, methods);
      return methods;
    }
    const entry = this.#patterns.get(path) ?? { pattern: patternOf(path), methods: new Set() };
    this.#patterns.set(path, entry);
    return entry.methods;
  }

  /** Undefined for a path that no route names in full. */
  ofLiteral(path: string): ReadonlySet<string> | undefined {
    return this.#literals.get(path);
  }

  ofPattern(path: string): ReadonlySet<string> {
    const methods = [...this.#patterns.values()].filter(({ pattern }) => pattern.test(path));
    return new Set(methods.flatMap((entry) => [...entry.methods]));
  }
}

function patternOf(path: string): RegExp {
  const segments = path.split("/").map((segment) => segment.startsWith(":") ? "[^/]+" : RegExp.escape(segment));
  return new RegExp(`^${segments.join("/")}$`);
}
