/**
 * What processes take of the machine, as the kernel counts it (Linux).
 *
 * @module
 */

/** Clock ticks of `/proc/PID/stat` per second; fixed by the kernel's interface (`proc(5)`, `sysconf(_SC_CLK_TCK)`). */
const TICKS_PER_SECOND = 100;

/** Processor time used so far by `pid`, in ms. */
export function cpuMs(pid: number): number {
  const stat = Deno.readTextFileSync(`/proc/${pid}/stat`);
  // The name of the program may hold blanks and brackets: count from behind it. utime and stime are fields 14 and 15.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) * 1000 / TICKS_PER_SECOND;
}

/** Resident memory of `pid` in MiB; pages shared between processes count in each. */
export function residentMib(pid: number): number {
  const status = Deno.readTextFileSync(`/proc/${pid}/status`);
  return Math.round(Number(/^VmRSS:\s+(\d+) kB/m.exec(status)![1]) / 1024);
}
