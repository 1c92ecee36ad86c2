/**
 * Default ports of all listeners. SDS number n (from 0) adds n to its three; every port is a setting.
 *
 * @module
 */
import { assert } from "@/shared/errors.ts";

/** TCP ports by listener. */
export const PORTS = {
  /** MDM: HTTP API. */
  mdmApi: 8001,
  /** SDC: HTTP, called by the MDM. */
  sdcControl: 8003,
  /** SDC: HTTP, called by MGMT and people. */
  sdcMgmt: 8004,
  /** SDC: block devices as JSON lines. */
  sdcDevice: 8005,
  /** SDC: block devices by NBD; the port that IANA gives to NBD. */
  sdcNbd: 10809,
  /** SDS 0: HTTP, called by the MDM. */
  sdsControlBase: 9100,
  /** SDS 0: HTTP, called by MGMT and people. */
  sdsMgmtBase: 9200,
  /** SDS 0: data path. */
  sdsDataBase: 9700,
  /** MGMT: the web pages. */
  mgmtGui: 5000,
} as const;

/** SDSs of one host that the default bases keep apart. */
export const SDS_PER_HOST_MAX = 100;

assert(PORTS.sdsMgmtBase - PORTS.sdsControlBase >= SDS_PER_HOST_MAX, "control ports end before management ports begin");
assert(PORTS.sdsDataBase - PORTS.sdsMgmtBase >= SDS_PER_HOST_MAX, "management ports end before data ports begin");
