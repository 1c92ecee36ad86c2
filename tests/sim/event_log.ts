/**
 * What happened in a simulated run, in order. Its hash tells whether two runs were the same run, to the byte on the wire.
 *
 * @module
 */
import { createHash } from "node:crypto";

/** Lines that are kept for a report of a failure; older ones are dropped. */
const LINES_KEPT_MAX = 200_000;

/** Log of one run. */
export class EventLog {
  readonly #hash = createHash("sha256");
  readonly #lines: string[] = [];
  readonly #nowMs: () => number;
  readonly #print: ((line: string) => void) | undefined;
  #count = 0;

  constructor(options: { nowMs(): number; readonly print?: ((line: string) => void) | undefined }) {
    this.#nowMs = () => options.nowMs();
    this.#print = options.print;
  }

  get count(): number {
    return this.#count;
  }

  /** Something worth reading: faults, starts, answers, roles. */
  note(text: string): void {
    const line = this.#add(text);
    if (this.#lines.length < LINES_KEPT_MAX) this.#lines.push(line);
    this.#print?.(line);
  }

  /** Something that only the hash needs, such as bytes that arrived. */
  trace(text: string): void {
    this.#add(text);
  }

  /** The notes so far. */
  lines(): readonly string[] {
    return this.#lines;
  }

  /** 16 hexadecimal digits over every entry so far. */
  hash(): string {
    return this.#hash.copy().digest("hex").slice(0, 16);
  }

  #add(text: string): string {
    this.#count++;
    const line = `${this.#nowMs().toFixed(3).padStart(11)} ${text}`;
    this.#hash.update(line);
    return line;
  }
}
