/**
 * What many interleaved runs say together: medians, and how the product stands to its peer.
 *
 * @module
 */

/** One run of one job against one target. */
export interface Measurement {
  readonly job: string;
  readonly target: string;
  readonly iops: number;
  readonly bytesPerSecond: number;
  /** 99th percentile of the completion time, in microseconds. */
  readonly p99Us: number;
}

/** The medians of one job against one target. */
export interface Medians {
  readonly iops: number;
  readonly bytesPerSecond: number;
  readonly p99Us: number;
}

/** One job: product and peer. */
export interface Comparison {
  readonly job: string;
  readonly product: Medians;
  readonly peer: Medians;
  /** Product's bytes per second over the peer's: the median over the rounds of each round's own ratio. */
  readonly ratio: number;
}

/** The middle value, or the mean of the two in the middle. `values` is not empty. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((left, right) => left - right);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

/** One comparison per job, in the order in which the jobs first occur. Runs of one job and target are in order of rounds. */
export function compare(
  measurements: readonly Measurement[],
  targets: { readonly product: string; readonly peer: string },
): Comparison[] {
  const jobs = [...new Set(measurements.map(({ job }) => job))];
  return jobs.map((job) => {
    const of = (target: string) => measurements.filter((one) => one.job === job && one.target === target);
    const product = of(targets.product);
    const peer = of(targets.peer);
    const rounds = Math.min(product.length, peer.length);
    const ratios = Array.from(
      { length: rounds },
      (_, round) => product[round]!.bytesPerSecond / peer[round]!.bytesPerSecond,
    );
    return { job, product: mediansOf(product), peer: mediansOf(peer), ratio: median(ratios) };
  });
}

function mediansOf(measurements: readonly Measurement[]): Medians {
  return {
    iops: median(measurements.map(({ iops }) => iops)),
    bytesPerSecond: median(measurements.map(({ bytesPerSecond }) => bytesPerSecond)),
    p99Us: median(measurements.map(({ p99Us }) => p99Us)),
  };
}

/** The comparisons as a table for people. */
export function comparisonTable(
  comparisons: readonly Comparison[],
  targets: { readonly product: string; readonly peer: string },
): string {
  const rows = comparisons.map(({ job, product, peer, ratio }) => [
    job,
    mediansText(product),
    mediansText(peer),
    ratio.toFixed(2),
  ]);
  const header = ["", targets.product, targets.peer, "ratio"];
  const widths = header.map((title, column) => Math.max(title.length, ...rows.map((row) => row[column]!.length)));
  const line = (cells: readonly string[]) =>
    cells.map((cell, column) => column === 0 ? cell.padEnd(widths[column]!) : cell.padStart(widths[column]!)).join(
      "   ",
    );
  return [line(header), ...rows.map(line)].join("\n");
}

function mediansText({ iops, bytesPerSecond, p99Us }: Medians): string {
  const mibPerSecond = bytesPerSecond / 2 ** 20;
  return `${Math.round(iops).toLocaleString("en")} IO/s  ${mibPerSecond.toFixed(0)} MiB/s  p99 ${
    (p99Us / 1000).toFixed(1)
  } ms`;
}
