/**
 * The small parts that all pages are made of. Pure: what they show is what they are given.
 *
 * @module
 */
import type { ComponentChildren } from "preact";
import type { Badge as BadgeFacts, Level } from "@/mgmt/core/condition.ts";
import { fullnessLevel } from "@/mgmt/core/condition.ts";
import { formatBytes, formatClock, formatDateTime, formatPercent, percentOf } from "@/mgmt/core/format.ts";

const LEVEL_SHAPES: Readonly<Record<Level, ComponentChildren>> = {
  ok: (
    <>
      <circle cx="8" cy="8" r="7" />
      <path class="mark" d="M4.8 8.3l2.2 2.2 4.2-4.6" />
    </>
  ),
  warning: (
    <>
      <path d="M8 1.3l7 12.9H1z" />
      <path class="mark" d="M8 6v3.6M8 11.9v.2" />
    </>
  ),
  critical: (
    <>
      <path d="M5.1 1h5.8L15 5.1v5.8L10.9 15H5.1L1 10.9V5.1z" />
      <path class="mark" d="M5.6 5.6l4.8 4.8M10.4 5.6l-4.8 4.8" />
    </>
  ),
  idle: <circle class="hollow" cx="8" cy="8" r="6" />,
  unknown: (
    <>
      <circle class="hollow" cx="8" cy="8" r="6.5" />
      <path class="query" d="M6.2 6.4a1.9 1.9 0 113 1.5c-.8.5-1.2.9-1.2 1.7M8 11.6v.2" />
    </>
  ),
};

/** Shape of a level; beside a word, never alone. */
export function LevelIcon({ level }: { readonly level: Level }) {
  return <svg class={`icon level-${level}`} viewBox="0 0 16 16" aria-hidden="true">{LEVEL_SHAPES[level]}</svg>;
}

/** State in colour, shape and word. */
export function Badge({ badge }: { readonly badge: BadgeFacts }) {
  return (
    <span class={`badge text-${badge.level}`}>
      <LevelIcon level={badge.level} />
      <span>{badge.word}</span>
    </span>
  );
}

/** A bar of `part` in `whole`, with its meaning for those who do not see it. */
export function Bar(
  props: { readonly part: number; readonly whole: number; readonly label: string; readonly level?: Level },
) {
  const { part, whole, label, level = "ok" } = props;
  const percent = whole > 0 ? Math.min(100, part / whole * 100) : 0;
  return (
    <svg class={`bar fill-${level}`} role="img" aria-label={`${label}: ${formatPercent(part, whole)}`}>
      <rect class="track" width="100%" height="100%" rx="3" />
      {percent > 0 && <rect class="part" width={`${Math.max(percent, 1).toFixed(1)}%`} height="100%" rx="3" />}
    </svg>
  );
}

/** Used space as a bar and in words. */
export function SpaceUsed(
  { usedBytes, capacityBytes }: { readonly usedBytes: number; readonly capacityBytes: number },
) {
  const level = fullnessLevel(usedBytes, capacityBytes);
  return (
    <span class="space">
      <Bar part={usedBytes} whole={capacityBytes} label="Used" level={level} />
      <span class="figure">
        {formatBytes(usedBytes)} <span class="quiet">of {formatBytes(capacityBytes)}</span>
        {percentOf(usedBytes, capacityBytes) >= 80 && ` (${formatPercent(usedBytes, capacityBytes)})`}
      </span>
    </span>
  );
}

/** Time of day; the browser shows its own zone. */
export function ClockTime({ atMs }: { readonly atMs: number }) {
  return <time dateTime={new Date(atMs).toISOString()} data-show="clock">{formatClock(atMs)} UTC</time>;
}

/** Date and time; the browser shows its own zone. */
export function DateTime({ atMs }: { readonly atMs: number }) {
  return <time dateTime={new Date(atMs).toISOString()} data-show="date">{formatDateTime(atMs)} UTC</time>;
}

/** A titled part of a page. */
export function Panel(props: {
  readonly title: string;
  readonly note?: ComponentChildren;
  readonly children: ComponentChildren;
  readonly flush?: boolean;
}) {
  return (
    <section class={props.flush ? "panel flush" : "panel"}>
      <header>
        <h2>{props.title}</h2>
        {props.note !== undefined && <p class="note">{props.note}</p>}
      </header>
      {props.children}
    </section>
  );
}

/** What to do where there is nothing to show. */
export function Empty({ title, children }: { readonly title: string; readonly children: ComponentChildren }) {
  return (
    <div class="empty">
      <p class="empty-title">{title}</p>
      {children}
    </div>
  );
}

/** A command to copy; the button appears where scripts run. */
export function Command({ text }: { readonly text: string }) {
  return (
    <div class="command">
      <code tabindex={0}>{text}</code>
      <button type="button" class="small" data-copy={text} hidden>Copy</button>
    </div>
  );
}

/** Names with their values. */
export function Facts({ facts }: { readonly facts: Readonly<Record<string, ComponentChildren>> }) {
  return (
    <dl class="facts">
      {Object.entries(facts).map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
}

/** A column of a {@linkcode Table}. */
export interface Column<Row> {
  readonly title: string;
  readonly cell: (row: Row) => ComponentChildren;
  /** Figures stand at the right. */
  readonly numeric?: boolean;
  /** Left out on narrow screens. */
  readonly wideOnly?: boolean;
}

/** A table that scrolls sideways in itself when it must. The first column names the row. */
export function Table<Row>(props: {
  readonly caption: string;
  readonly columns: readonly Column<Row>[];
  readonly rows: readonly Row[];
  readonly rowKey: (row: Row) => string | number;
}) {
  const { caption, columns, rows, rowKey } = props;
  const classOf = (column: Column<Row>) =>
    [column.numeric && "numeric", column.wideOnly && "wide-only"].filter(Boolean).join(" ") || undefined;
  return (
    <div class="table-scroll" tabindex={0} role="region" aria-label={caption}>
      <table>
        <caption class="visually-hidden">{caption}</caption>
        <thead>
          <tr>
            {columns.map((column) => <th scope="col" class={classOf(column)} key={column.title}>{column.title}</th>)}
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => (
            <tr key={rowKey(row)} data-key={rowKey(row)}>
              {columns.map((column, index) =>
                index === 0
                  ? <th scope="row" class={classOf(column)} key={column.title}>{column.cell(row)}</th>
                  : <td class={classOf(column)} key={column.title}>{column.cell(row)}</td>
              )}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
