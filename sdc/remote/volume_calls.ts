/**
 * What a volume asks of the MDM. `sdc/mdm/` implements it over HTTP.
 *
 * @module
 */
import type { SessionTokenAnswer, VolumeMap } from "@/shared/api/sdc.ts";

/** Calls for one volume. */
export interface VolumeCalls {
  /** @throws {StorageError} `fenced` when the mapping is gone, anything else when it is worth another try. */
  fetchMap(): Promise<VolumeMap>;
  /** @throws {StorageError} as above. */
  fetchToken(): Promise<SessionTokenAnswer>;
}
