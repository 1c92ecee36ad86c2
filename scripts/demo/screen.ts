/**
 * What the demo says in the terminal.
 *
 * @module
 */
import type { DemoPlan } from "@/scripts/demo/plan.ts";
import { quoted } from "@/scripts/demo/files.ts";
import type { DemoVolume } from "@/scripts/demo/topology.ts";

/** Writes lines, in colour or plain. */
export interface Style {
  bold(text: string): string;
  dim(text: string): string;
  green(text: string): string;
  yellow(text: string): string;
  cyan(text: string): string;
}

/** Colours for a terminal that wants them (https://no-color.org). */
export function styleFor(terminal: { readonly isTerminal: boolean; readonly noColor: boolean }): Style {
  const paint = (code: number) => (text: string) =>
    terminal.isTerminal && !terminal.noColor ? `\u001b[${code}m${text}\u001b[0m` : text;
  return { bold: paint(1), dim: paint(2), green: paint(32), yellow: paint(33), cyan: paint(36) };
}

/** What the closing screen shows. */
export interface ReadyFacts {
  readonly plan: DemoPlan;
  /** As the user gave it. */
  readonly dataDir: string;
  /** Null with `--bare`. */
  readonly volume: DemoVolume | null;
  readonly oneTimePassword: string;
  /** Of the SDS that the third command ends. */
  readonly victimPid: number;
  readonly healthy: boolean;
  readonly seconds: number;
}

/** The screen that ends the start. */
export function readyScreen(facts: ReadyFacts, style: Style): string {
  const { plan, volume, healthy, seconds } = facts;
  const headline = volume === null
    ? `${plan.options.sdsCount + plan.options.sdcCount + 2} processes run and are registered; the cluster is empty`
    : healthy
    ? "The cluster is healthy"
    : "The cluster runs and still heals; the dashboard shows how far it is";
  const mark = healthy ? style.green("●") : style.yellow("●");
  const rows = volume === null ? bareRows(facts, style) : volumeRows(facts, volume, style);
  return [
    "",
    `${mark} ${style.bold(headline)} ${style.dim(`(ready after ${seconds.toFixed(1)} s)`)}`,
    "",
    ...dashboardRows(facts, style),
    ...rows,
    "",
    style.dim(`Ctrl-C stops everything; the data stays in ${facts.dataDir}. Logs: ${facts.dataDir}/log`),
    "",
  ].join("\n");
}

function dashboardRows({ plan, oneTimePassword }: ReadyFacts, style: Style): string[] {
  const signIn = oneTimePassword === ""
    ? `sign in as ${style.bold("admin")} with the password you chose`
    : `sign in as ${style.bold("admin")} with ${style.bold(oneTimePassword)} ${style.dim("(works once)")}`;
  return [row("Dashboard", style.cyan(plan.mgmtUrl)), row("", signIn)];
}

function volumeRows({ plan, victimPid }: ReadyFacts, volume: DemoVolume, style: Style): string[] {
  const sdc = plan.sdc[0]!;
  const uri = `nbd://127.0.0.1:${sdc.nbdPort}/${volume.name}`;
  return [
    row("NBD", `${style.cyan(uri)} ${style.dim(`${sizeText(volume.sizeBytes)}, two copies`)}`),
    row("", style.dim(`on this host faster: nbd+unix:///${volume.name}?socket=${sdc.nbdSocket}`)),
    "",
    row("Try", `nbdinfo ${uri}`),
    row("", `nbdcopy disk.img ${uri}`),
    row("", `kill -9 ${victimPid} ${style.dim(`# ${plan.sds[0]!.name}: IO goes on, the dashboard shows it heal`)}`),
  ];
}

function bareRows({ plan }: ReadyFacts, style: Style): string[] {
  const post = `curl -s ${plan.mdmUrl}`;
  const json = (body: string) => `--json ${quoted(body)}`;
  return [
    row("MDM", style.cyan(plan.mdmUrl)),
    "",
    row("Try", `${post}/pd/create ${json('{"name":"first"}')}`),
    row("", `${post}/pool/create ${json('{"name":"pool","pd_id":1,"total_capacity_gb":10}')}`),
    row("", `${post}/cluster/nodes`),
  ];
}

function row(label: string, text: string): string {
  return `  ${label.padEnd(11)}${text}`;
}

/** `1 GiB`, `1.5 GiB`, `512 MiB`. */
export function sizeText(bytes: number): string {
  const [unit, factor] = bytes >= 2 ** 40 ? ["TiB", 2 ** 40] : bytes >= 2 ** 30 ? ["GiB", 2 ** 30] : ["MiB", 2 ** 20];
  return `${Number((bytes / (factor as number)).toFixed(2))} ${unit}`;
}
