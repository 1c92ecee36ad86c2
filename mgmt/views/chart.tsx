/**
 * Charts over time, drawn as SVG on the server.
 *
 * @module
 */
import { formatDuration } from "@/mgmt/core/format.ts";
import { HISTORY_MS } from "@/mgmt/core/rates.ts";

/** A point of a chart. */
interface TimePoint {
  readonly atMs: number;
}

/** A line of a chart. */
export interface Series<Point> {
  readonly name: string;
  /** `a` or `b`: colour and pattern. */
  readonly mark: "a" | "b";
  /** Undefined where it is not known: the line has a gap there. */
  readonly valueOf: (point: Point) => number | undefined;
}

interface ChartProps<Point extends TimePoint> {
  /** Oldest first. */
  readonly history: readonly Point[];
  readonly series: readonly Series<Point>[];
  readonly label: string;
  /** Writes a value of the axis. */
  readonly format: (value: number) => string;
  /** 1024 for bytes: the axis ends at a round figure of its units. */
  readonly base?: 1000 | 1024;
  /** Longest time that it shows. */
  readonly spanMsMax?: number;
  /** Points farther apart are not joined by a line. */
  readonly gapMs?: number;
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
export function Chart<Point extends TimePoint>(props: ChartProps<Point>) {
  const { history, series, label, format, base = 1000, spanMsMax = HISTORY_MS, gapMs = GAP_MS } = props;
  const newest = history.at(-1);
  const spanMs = spanOf(history, spanMsMax);
  const values = history.flatMap((point) => series.map(({ valueOf }) => valueOf(point) ?? 0));
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
            {name} <strong>{formatKnown(newest && valueOf(newest), format)}</strong>
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
            <path key={name} class={`line ${mark}`} d={linePath(history, { valueOf, top, spanMs, gapMs })} />
          ))}
        </svg>
        <span class="axis past" aria-hidden="true">{formatDuration(spanMs)} ago</span>
        <span class="axis now" aria-hidden="true">now</span>
      </div>
    </figure>
  );
}

/** A small line without axis, beside a figure that says the newest value. */
export function Sparkline<Point extends TimePoint>(
  { history, valueOf }: Pick<ChartProps<Point>, "history"> & Pick<Series<Point>, "valueOf">,
) {
  const newestMs = history.at(-1)?.atMs ?? 0;
  const recent = history.filter(({ atMs }) => newestMs - atMs <= SPARK_SPAN_MS);
  const top = niceTop(Math.max(0, ...recent.map((point) => valueOf(point) ?? 0)));
  return (
    <svg class="sparkline" viewBox={`0 0 ${WIDTH} ${HEIGHT}`} preserveAspectRatio="none" aria-hidden="true">
      <path class="line a" d={linePath(recent, { valueOf, top, spanMs: SPARK_SPAN_MS, gapMs: GAP_MS })} />
    </svg>
  );
}

function formatKnown(value: number | undefined, format: (value: number) => string): string {
  return value === undefined ? "–" : format(value);
}

function spanOf(history: readonly TimePoint[], spanMsMax: number): number {
  const lengthMs = (history.at(-1)?.atMs ?? 0) - (history[0]?.atMs ?? 0);
  return Math.min(spanMsMax, Math.max(SPAN_MS_MIN, lengthMs));
}

function linePath<Point extends TimePoint>(
  history: readonly Point[],
  scale: Pick<Series<Point>, "valueOf"> & { readonly top: number; readonly spanMs: number; readonly gapMs: number },
): string {
  const endMs = history.at(-1)?.atMs ?? 0;
  let previousMs = -Infinity;
  return history.map((point) => {
    const value = scale.valueOf(point);
    if (value === undefined) return "";
    const x = WIDTH * (1 - (endMs - point.atMs) / scale.spanMs);
    const y = HEIGHT - 2 - (HEIGHT - 4) * value / scale.top;
    const command = point.atMs - previousMs > scale.gapMs ? "M" : "L";
    previousMs = point.atMs;
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
