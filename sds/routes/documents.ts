/**
 * What the OpenAPI documents of an SDS say of themselves.
 *
 * @module
 */
import type { ApiInfo } from "@/shared/http/api.ts";
import { MANAGER_SECURITY, NODE_SECURITY } from "@/shared/http/manager_auth.ts";

const VERSION = "0.1.0";

export const CONTROL_API: ApiInfo = {
  title: "PowerFlex Demo SDS, control",
  version: VERSION,
  description: "What the MDM tells an SDS. Every call is signed with the key of the SDS that is called.",
  security: NODE_SECURITY,
};

export const MANAGEMENT_API: ApiInfo = {
  title: "PowerFlex Demo SDS, management",
  version: VERSION,
  description: "Health, totals, copies and tables of an SDS, for anybody who reaches the port; commands need a token.",
  security: MANAGER_SECURITY,
};
