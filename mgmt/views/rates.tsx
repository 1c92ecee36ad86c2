/**
 * Rates in tables and figures.
 *
 * @module
 */
import { formatByteRate, formatCount } from "@/mgmt/core/format.ts";
import type { IoRates, RateTable } from "@/mgmt/core/rates.ts";
import type { Column } from "@/mgmt/views/parts.tsx";

/** Columns for the rates of `keyOf(row)`. */
export function rateColumns<Row>(rates: RateTable, keyOf: (row: Row) => string): readonly Column<Row>[] {
  const column = (title: string, show: (rate: IoRates) => number): Column<Row> =>
    rateColumn({ title, wideOnly: true, show: (rate) => formatCount(show(rate)) }, (row) => rates.get(keyOf(row)));
  return [
    column("Reads/s", (rate) => rate.readsPerSecond),
    column("Writes/s", (rate) => rate.writesPerSecond),
    throughputColumn(rates, keyOf),
  ];
}

/** One column for all operations, where there is little room. */
export function operationsColumn<Row>(rates: RateTable, keyOf: (row: Row) => string): Column<Row> {
  const show = (rate: IoRates) => formatCount(rate.readsPerSecond + rate.writesPerSecond);
  return rateColumn({ title: "IO/s", wideOnly: true, show }, (row) => rates.get(keyOf(row)));
}

/** Bytes in both directions. */
export function throughputColumn<Row>(rates: RateTable, keyOf: (row: Row) => string): Column<Row> {
  const show = (rate: IoRates) => formatByteRate(rate.readBytesPerSecond + rate.writtenBytesPerSecond);
  return rateColumn({ title: "Throughput", wideOnly: false, show }, (row) => rates.get(keyOf(row)));
}

function rateColumn<Row>(
  look: { readonly title: string; readonly wideOnly: boolean; readonly show: (rate: IoRates) => string },
  rateOf: (row: Row) => IoRates | undefined,
): Column<Row> {
  const { title, wideOnly, show } = look;
  const cell = (row: Row) => {
    const rate = rateOf(row);
    return rate ? show(rate) : "–";
  };
  return { title, numeric: true, wideOnly, cell };
}
