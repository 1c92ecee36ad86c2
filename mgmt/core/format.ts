/**
 * Figures in words: sizes, rates, times and counts as people read them. Sizes are binary (1 KiB = 1024 bytes).
 *
 * @module
 */

const SIZE_UNITS = ["bytes", "KiB", "MiB", "GiB", "TiB", "PiB"] as const;

/** `1.5 GiB`; three digits at most, except below 1 KiB. */
export function formatBytes(bytes: number): string {
  let value = bytes;
  let unitIndex = 0;
  while (value >= 999.5 && unitIndex < SIZE_UNITS.length - 1) {
    value /= 1024;
    unitIndex++;
  }
  if (unitIndex === 0) return bytes === 1 ? "1 byte" : `${Math.round(value)} bytes`;
  return `${threeDigits(value)} ${SIZE_UNITS[unitIndex]}`;
}

/** `12.5 MiB/s`; `0` when nothing moves. */
export function formatByteRate(bytesPerSecond: number): string {
  return bytesPerSecond < 0.5 ? "0" : `${formatBytes(bytesPerSecond)}/s`;
}

/** `0`, `0.4`, `350`, `62.6 k`, `1.2 M`. */
export function formatCount(value: number): string {
  if (value >= 999_500) return `${threeDigits(value / 1e6)} M`;
  if (value >= 9_999.5) return `${threeDigits(value / 1e3)} k`;
  return value < 10 && !Number.isInteger(value) ? String(Number(value.toFixed(1))) : String(Math.round(value));
}

/** `8 s`, `3 min`, `2 h 5 min`, `4 days`. Whole units, rounded down. */
export function formatDuration(durationMs: number): string {
  const seconds = Math.max(0, Math.floor(durationMs / 1000));
  if (seconds < 120) return `${seconds} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 120) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  if (hours < 48) return minutes % 60 === 0 ? `${hours} h` : `${hours} h ${minutes % 60} min`;
  return `${Math.floor(hours / 24)} days`;
}

/** Share of `part` in `whole` in whole percent, rounded down, so that 100 means all of it; 0 for an empty whole. */
export function percentOf(part: number, whole: number): number {
  return whole <= 0 ? 0 : Math.min(100, Math.floor((part / whole) * 100));
}

/** `42 %`, `under 1 %` for a little. */
export function formatPercent(part: number, whole: number): string {
  const percent = percentOf(part, whole);
  return percent === 0 && part > 0 && whole > 0 ? "under 1 %" : `${percent} %`;
}

/** `1 group`, `3 groups`. */
export function counted(count: number, singular: string, plural = `${singular}s`): string {
  return `${count} ${count === 1 ? singular : plural}`;
}

const SMALL_NUMBERS = ["no", "one", "two", "three", "four", "five", "six", "seven", "eight"];

/** `two` for 2; digits above eight. */
export function numberWord(value: number): string {
  return SMALL_NUMBERS[value] ?? String(value);
}

/** `a`, `a and b`, `a, b and c`, `a, b, c and 4 more`. */
export function listed(names: readonly string[]): string {
  const shown = names.length > 4 ? [...names.slice(0, 3), `${names.length - 3} more`] : names;
  if (shown.length < 2) return shown.join("");
  return `${shown.slice(0, -1).join(", ")} and ${shown.at(-1)}`;
}

/** `18:03:12`, UTC; the browser shows its own zone instead. */
export function formatClock(atMs: number): string {
  return new Date(atMs).toISOString().slice(11, 19);
}

/** `2026-11-23 18:03:12`, UTC. */
export function formatDateTime(atMs: number): string {
  return new Date(atMs).toISOString().slice(0, 19).replace("T", " ");
}

function threeDigits(value: number): string {
  return String(Number(value.toPrecision(value >= 100 ? 3 : value >= 10 ? 3 : 2)));
}
