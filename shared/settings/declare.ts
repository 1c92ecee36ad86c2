/**
 * Kinds of settings. A setting is declared once, with what it is for, its range and its fallback; the same declaration reads
 * the environment and renders `docs/configuration.md`.
 *
 * @module
 */

/** A value that was read, or why the text is none. The problem continues a sentence: "… is 70000: it must be at most 65535". */
export type Parsed<Value> =
  | { readonly ok: true; readonly value: Value }
  | { readonly ok: false; readonly problem: string };

/** One environment variable. */
export interface Setting<Value> {
  /** `POWERFLEX_…`. */
  readonly name: string;
  /** Older names of the same setting; setting two of them to different values is a mistake. */
  readonly aliases: readonly string[];
  /** One sentence for the operator. */
  readonly about: string;
  /** Value when the variable is not set or empty. */
  readonly fallback: Value;
  /** The fallback in words, where the value alone does not say it. */
  readonly fallbackText: string;
  /** What is accepted, in words. */
  readonly accepts: string;
  /** True for values that no log or page may show. */
  readonly secret: boolean;
  /** Reads a trimmed, non-empty text. */
  parse(text: string): Parsed<Value>;
}

/** Settings by the name under which the code reads them. */
export type SettingTable = Readonly<Record<string, Setting<unknown>>>;

/** The values of a table. */
export type ValuesOf<Table extends SettingTable> = {
  readonly [Key in keyof Table]: Table[Key] extends Setting<infer Value> ? Value : never;
};

interface CommonOptions<Fallback> {
  readonly about: string;
  readonly fallback: Fallback;
  /** Said instead of the fallback's value. */
  readonly fallbackText?: string;
  readonly aliases?: readonly string[];
  readonly secret?: boolean;
}

interface IntegerOptions<Fallback> extends CommonOptions<Fallback> {
  readonly min: number;
  readonly max: number;
  /** "" for a plain number. */
  readonly unit: string;
}

/** A whole number from `min` to `max`. */
export function integer<Fallback extends number | undefined>(
  name: string,
  options: IntegerOptions<Fallback>,
): Setting<number | Fallback> {
  const { min, max, unit } = options;
  const suffix = unit === "" ? "" : ` ${unit}`;
  return {
    ...described(name, options),
    accepts: `${min} to ${max}${suffix}`,
    parse: (text) =>
      /^[+-]?\d{1,16}$/.test(text)
        ? withinRange(Number(text), { min, max, unit })
        : problem(`it must be a whole number from ${min} to ${max}${suffix}`),
  };
}

/** A TCP port. */
export function port<Fallback extends number | undefined>(
  name: string,
  options: CommonOptions<Fallback>,
): Setting<number | Fallback> {
  return integer(name, { ...options, min: 1, max: 65_535, unit: "" });
}

const MS_PER_UNIT: Readonly<Record<string, number>> = { "": 1, ms: 1, s: 1_000, min: 60_000, h: 3_600_000 };

/** A time in milliseconds: `1500`, `1500ms`, `15s`, `15min` or `2h`. */
export function duration(
  name: string,
  options: CommonOptions<number> & { readonly min: number; readonly max: number },
): Setting<number> {
  const { min, max } = options;
  return {
    ...described(name, options),
    accepts: `${min} to ${max} ms, or with a unit: ms, s, min, h`,
    parse(text) {
      const [, amount, unit] = text.match(/^(\d{1,13})\s*(ms|s|min|h|)$/) ?? [];
      const factor = MS_PER_UNIT[unit ?? ""];
      if (amount === undefined || factor === undefined) {
        return problem(`it must be a time such as 1500, 1500ms, 15s, 15min or 2h`);
      }
      return withinRange(Number(amount) * factor, { min, max, unit: "ms" });
    },
  };
}

/** Any text that `pattern` matches. */
export function text<Fallback extends string | undefined>(
  name: string,
  options: CommonOptions<Fallback> & { readonly pattern?: RegExp; readonly accepts?: string },
): Setting<string | Fallback> {
  const { pattern, accepts = "text" } = options;
  return {
    ...described(name, options),
    accepts,
    parse: (value) => pattern && !pattern.test(value) ? problem(`it must be ${accepts}`) : { ok: true, value },
  };
}

/** A path of this host, absolute or relative to the working directory. */
export function path<Fallback extends string | undefined>(
  name: string,
  options: CommonOptions<Fallback> & { readonly bytesMax?: number },
): Setting<string | Fallback> {
  const { bytesMax = 4096 } = options;
  return {
    ...described(name, options),
    accepts: bytesMax === 4096 ? "a path" : `a path of at most ${bytesMax} bytes`,
    parse(value) {
      if (value.includes("\0")) return problem("a path holds no zero byte");
      const bytes = new TextEncoder().encode(value).length;
      return bytes > bytesMax
        ? problem(`it has ${bytes} bytes, at most ${bytesMax} are possible`)
        : { ok: true, value };
    },
  };
}

/** One of a few words, in any case. */
export function choice<const Word extends string>(
  name: string,
  options: CommonOptions<Word> & { readonly words: readonly Word[] },
): Setting<Word> {
  const { words } = options;
  return {
    ...described(name, options),
    accepts: words.map((word) => `\`${word}\``).join(", "),
    parse(value) {
      const word = words.find((candidate) => candidate.toLowerCase() === value.toLowerCase());
      return word === undefined ? problem(`it must be one of ${words.join(", ")}`) : { ok: true, value: word };
    },
  };
}

/** A name or address of a host, without port or scheme. */
export function host<Fallback extends string | undefined>(
  name: string,
  options: CommonOptions<Fallback>,
): Setting<string | Fallback> {
  return text(name, {
    ...options,
    pattern: /^(?:[A-Za-z0-9](?:[A-Za-z0-9.-]{0,252})|[0-9A-Fa-f:.]{2,45})$/,
    accepts: "a host name or an address, without a port",
  });
}

/** The address of an HTTP service, without a path: `http://host:port`. The value has no trailing slash. */
export function httpUrl<Fallback extends string | undefined>(
  name: string,
  options: CommonOptions<Fallback>,
): Setting<string | Fallback> {
  return {
    ...described(name, options),
    accepts: "`http://HOST:PORT` or `https://HOST:PORT`",
    parse(value) {
      const url = URL.parse(value);
      if (!url || (url.protocol !== "http:" && url.protocol !== "https:") || url.hostname === "") {
        return problem("it must be http or https with a host, such as http://127.0.0.1:8001");
      }
      if (url.pathname !== "/" || url.search !== "" || url.hash !== "" || url.username !== "") {
        return problem("it must end after host and port");
      }
      return { ok: true, value: url.origin };
    },
  };
}

function described<Fallback>(name: string, options: CommonOptions<Fallback>) {
  const { about, fallback, fallbackText, aliases = [], secret = false } = options;
  const shown = fallbackText ?? (fallback === undefined ? "not set" : `\`${fallback}\``);
  return { name, about, fallback, aliases, secret, fallbackText: shown };
}

function withinRange(value: number, range: { min: number; max: number; unit: string }): Parsed<number> {
  const suffix = range.unit === "" ? "" : ` ${range.unit}`;
  if (value < range.min) return problem(`it must be at least ${range.min}${suffix}`);
  if (value > range.max) return problem(`it must be at most ${range.max}${suffix}`);
  return { ok: true, value };
}

function problem(text: string): { readonly ok: false; readonly problem: string } {
  return { ok: false, problem: text };
}
