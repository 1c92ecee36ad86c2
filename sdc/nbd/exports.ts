/**
 * What the server offers: the exports of its host, the rule for the default export, and the flags that say what an export
 * can do.
 *
 * @module
 */
import type { BlockDevice } from "@/sdc/block_device.ts";
import { EXPORT_FLAG } from "@/sdc/nbd/protocol.ts";

/** The mapped volumes, as the server asks for them. */
export interface NbdExports {
  /** Names of all exports now. */
  list(): readonly string[];
  /** The export of that name, or undefined when no such volume is mapped. */
  open(name: string): BlockDevice | undefined;
}

/** The export that a client means by `name`: the empty name means the only one there is. */
export function findExport(exports: NbdExports, name: string): BlockDevice | undefined {
  if (name !== "") return exports.open(name);
  const [only, ...others] = exports.list();
  return only === undefined || others.length > 0 ? undefined : exports.open(only);
}

/** Transmission flags of `device`: what is announced works. DF needs structured replies. */
export function transmissionFlags(device: BlockDevice, structuredReplies: boolean): number {
  // A flush covers what any connection wrote before it, since every connection speaks to the same volume.
  let flags = EXPORT_FLAG.hasFlags | EXPORT_FLAG.sendFlush | EXPORT_FLAG.sendFua | EXPORT_FLAG.sendCache |
    EXPORT_FLAG.canMultiConn;
  if (structuredReplies) flags |= EXPORT_FLAG.sendDf;
  if (device.readOnly) return flags | EXPORT_FLAG.readOnly;
  flags |= EXPORT_FLAG.sendTrim | EXPORT_FLAG.sendWriteZeroes;
  if (device.zeroesFast !== undefined) flags |= EXPORT_FLAG.sendFastZero;
  return flags;
}
