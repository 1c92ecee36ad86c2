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
  const cell = (show: (rate: IoRates) => string) => (row: Row) => {
    const rate = rates.get(keyOf(row));
    return rate ? show(rate) : "–";
  };
  return [
    { title: "Reads/s", numeric: true, wideOnly: true, cell: cell((rate) => formatCount(rate.readsPerSecond)) },
    { title: "Writes/s", numeric: true, wideOnly: true, cell: cell((rate) => formatCount(rate.writesPerSecond)) },
    {
      title: "Throughput",
      numeric: true,
      cell: cell((rate) => formatByteRate(rate.readBytesPerSecond + rate.writtenBytesPerSecond)),
    },
  ];
}
