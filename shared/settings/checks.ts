/**
 * What must hold between settings before a process starts. Each answer is a list of sentences for the operator: which
 * settings, which values, what to change.
 *
 * @module
 */

/** A port and the setting that decides it. */
export interface NamedPort {
  /** What listens there, such as `the MDM's API`. */
  readonly use: string;
  readonly setting: string;
  readonly port: number;
}

/** The ports between which the cluster's rules speak, whichever role starts. */
export interface ClusterPorts {
  readonly mdmApi: NamedPort;
  readonly sdsDataBase: NamedPort;
  readonly sdsData: NamedPort;
  /** All listeners of an SDC. */
  readonly sdc: readonly NamedPort[];
  readonly gui: NamedPort;
}

/** Clashes between ports of different roles: one host may run them all. */
export function clusterPortProblems(ports: ClusterPorts): string[] {
  const { mdmApi, sdsDataBase, sdsData, sdc, gui } = ports;
  // SDS 0 without a port of its own uses the base: one clash, one sentence.
  const sds = sdsData.port === sdsDataBase.port ? [sdsDataBase] : [sdsDataBase, sdsData];
  const pairsWith = (left: NamedPort, rights: readonly NamedPort[]) =>
    rights.map((right): [NamedPort, NamedPort] => [left, right]);
  return clashes([
    ...pairsWith(mdmApi, [...sds, ...sdc, gui]),
    ...sds.flatMap((port) => pairsWith(port, sdc)),
  ]);
}

/** Clashes between the listeners of one process. */
export function ownPortProblems(listeners: readonly NamedPort[]): string[] {
  return clashes(
    listeners.flatMap((left, index) =>
      listeners.slice(index + 1).map((right): [NamedPort, NamedPort] => [left, right])
    ),
  );
}

function clashes(pairs: readonly [NamedPort, NamedPort][]): string[] {
  return pairs
    .filter(([left, right]) => left.port === right.port)
    .map(([left, right]) =>
      `${left.setting} and ${right.setting} are both ${left.port}, but ${left.use} and ${right.use} need a port each: ` +
      `change one of them`
    );
}

/** Ports that a base and an index make, which no single setting bounds. */
export function portRangeProblems(ports: readonly NamedPort[]): string[] {
  return ports
    .filter(({ port }) => port > 65_535)
    .map(({ use, setting, port }) => `${setting} is ${port} for ${use}: ports end at 65535, so lower it`);
}

/** True for the addresses that no other machine reaches. */
export function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || /^127(?:\.\d{1,3}){3}$/.test(host);
}

/** True for the addresses that mean every interface of the host. */
export function isEveryAddress(host: string): boolean {
  return host === "0.0.0.0" || host === "::";
}

/** An address and the setting that decides it. */
export interface NamedHost {
  readonly setting: string;
  readonly host: string;
}

/** What is wrong with where a process listens and what it lets in there. */
export function bindProblems(
  bind: NamedHost,
  options: { readonly auth: "open" | "token"; readonly advertiseHost: string | undefined },
): string[] {
  const problems: string[] = [];
  if (options.auth === "open" && !isLoopback(bind.host)) {
    problems.push(
      `POWERFLEX_AUTH is "open", but ${bind.setting} is "${bind.host}", which other machines may reach: ` +
        `set POWERFLEX_AUTH=token or ${bind.setting}=127.0.0.1`,
    );
  }
  if (isEveryAddress(bind.host) && options.advertiseHost === undefined) {
    problems.push(
      `${bind.setting} is "${bind.host}", which is no address that others can connect to: ` +
        `set POWERFLEX_ADVERTISE_HOST to this host's name or address`,
    );
  }
  if (options.advertiseHost !== undefined && isEveryAddress(options.advertiseHost)) {
    problems.push(
      `POWERFLEX_ADVERTISE_HOST is "${options.advertiseHost}", which is no address that others can connect to: ` +
        `set it to this host's name or address`,
    );
  }
  return problems;
}
