/**
 * Charts of the last ten minutes, drawn as SVG on the server.
 *
 * @module
 */
import { formatDuration } from "@/mgmt/core/format.ts";
import { HISTORY_MS, type HistoryPoint, type IoRates } from "@/mgmt/core/rates.ts";

/** A line of a chart. */
export interface Series {
  readonly name: string;
  /** `a` or `b`: colour and pattern. */
  readonly mark: "a" | "b";
  readonly valueOf: (rates: IoRates) => number;
}

interface ChartProps {
  readonly history: readonly HistoryPoint[];
  readonly series: readonly Series[];
  readonly label: string;
  /** Writes a value of the axis. */
  readonly format: (value: number) => string;
  /** 1024 for bytes: the axis ends at a round figure of its units. */
  readonly base?: 1000 | 1024;
}

const WIDTH = 600;
const HEIGHT = 160;
/** Shortest time that a chart shows; it grows to {@linkcode HISTORY_MS} with what there is. */
const SPAN_MS_MIN = 60_000;
/** Time that a sparkline shows. */
const SPARK_SPAN_MS = 120_000;
/** Points farther apart than this are not joined by a line: nobody measured between them. */
const GAP_MS = 25_000;

/** A chart with an axis and a legend that says the newest values. */
export function Chart({ history, series, label, format, base = 1000 }: ChartProps) {
  const newest = history.at(-1);
  const spanMs = spanOf(history);
  const values = history.flatMap(({ rates }) => series.map(({ valueOf }) => valueOf(rates)));
  const top = niceTop(Math.max(0, ...values), base);
  return (
    <figure class="chart">
      <figcaption>
        <span class="chart-title">{label}</span>
        {series.map(({ name, mark, valueOf }) => (
          <span class={`key ${mark}`} key={name}>
            <svg viewBox="0 0 18 4" aria-hidden="true">
              <path d="M0 2h18" />
            </svg>
            {name} <strong>{newest ? format(valueOf(newest.rates)) : "–"}</strong>
          </span>
        ))}
      </figcaption>
      <div class="plot">
        <span class="axis top" aria-hidden="true">{format(top)}</span>
        <span class="axis middle" aria-hidden="true">{format(top / 2)}</span>
        <svg
          viewBox={`0 0 ${WIDTH} ${HEIGHT}`}
          preserveAspectRatio="none"
          role="img"
          aria-label={`${label}, last ${formatDuration(spanMs)}`}
        >
          <path class="grid" d={`M0 .5H${WIDTH}M0 ${HEIGHT / 2}H${WIDTH}M0 ${HEIGHT - 0.5}H${WIDTH}`} />
          {series.map(({ name, mark, valueOf }) => (
            <path key={name} class={`line ${mark}`} d={linePath(history, { valueOf, top, spanMs })} />
          ))}
        </svg>
        <span class="axis past" aria-hidden="true">{formatDuration(spanMs)} ago</span>
        <span class="axis now" aria-hidden="true">now</span>
      </div>
    </figure>
  );
}

/** A small line without axis, beside a figure that says the newest value. */
export function Sparkline({ history, valueOf }: Pick<ChartProps, "history"> & Pick<Series, "valueOf">) {
  const newestMs = history.at(-1)?.atMs ?? 0;
  const recent = history.filter(({ atMs }) => newestMs - atMs <= SPARK_SPAN_MS);
  const top = niceTop(Math.max(0, ...recent.map(({ rates }) => valueOf(rates))));
  return (
    <svg class="sparkline" viewBox={`0 0 ${WIDTH} ${HEIGHT}`} preserveAspectRatio="none" aria-hidden="true">
      <path class="line a" d={linePath(recent, { valueOf, top, spanMs: SPARK_SPAN_MS })} />
    </svg>
  );
}

function spanOf(history: readonly HistoryPoint[]): number {
  const lengthMs = (history.at(-1)?.atMs ?? 0) - (history[0]?.atMs ?? 0);
  return Math.min(HISTORY_MS, Math.max(SPAN_MS_MIN, lengthMs));
}

function linePath(
  history: readonly HistoryPoint[],
  scale: { readonly valueOf: (rates: IoRates) => number; readonly top: number; readonly spanMs: number },
): string {
  const endMs = history.at(-1)?.atMs ?? 0;
  let previousMs = -Infinity;
  return history.map(({ atMs, rates }) => {
    const x = WIDTH * (1 - (endMs - atMs) / scale.spanMs);
    const y = HEIGHT - 2 - (HEIGHT - 4) * scale.valueOf(rates) / scale.top;
    const command = atMs - previousMs > GAP_MS ? "M" : "L";
    previousMs = atMs;
    return `${command}${x.toFixed(1)} ${y.toFixed(1)}`;
  }).join("");
}

/** The next of 1, 2, 5, 10, 20, … at or above `value`, times the power of `base` beneath it; 1 for nothing. */
export function niceTop(value: number, base: 1000 | 1024 = 1000): number {
  if (value <= 1) return 1;
  const unit = base ** Math.floor(Math.log(value) / Math.log(base));
  const power = 10 ** Math.floor(Math.log10(value / unit));
  return [1, 2, 5, 10].map((step) => step * power * unit).find((top) => top >= value) ?? 10 * power * unit;
}
