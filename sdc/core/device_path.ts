/**
 * The name of a volume as a disk: a registered NAA identifier (type 6, 16 bytes), the same at every SDC of the cluster.
 *
 * @module
 */
import { createHash } from "node:crypto";
import type { VolumeId } from "@/shared/ids.ts";

/** Hexadecimal digits behind the type. */
const DIGITS = 31;

/** `naa.6` and 31 hexadecimal digits. */
export function devicePathOf(clusterName: string, volumeId: VolumeId): string {
  const hex = createHash("sha256").update(`${clusterName}|${volumeId}`).digest("hex");
  return `naa.6${hex.slice(0, DIGITS)}`;
}
