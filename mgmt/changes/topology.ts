/**
 * Changes of the topology: protection domains, pools, storage servers, clients.
 *
 * @module
 */
import { z } from "zod";
import { counted, listed } from "@/mgmt/core/format.ts";
import type { Overview } from "@/shared/api/overview.ts";
import {
  type Change,
  choicesOf,
  chosen,
  chosenField,
  chosenOrNoneField,
  freeName,
  nameField,
  positiveField,
  wholeField,
} from "@/mgmt/changes/change.ts";

const DOMAINS = { title: "Protection domains", href: "/pd" };
const POOLS = { title: "Pools", href: "/pool" };
const SERVERS = { title: "Storage servers", href: "/sds" };
const NEW_DOMAIN = { title: "Create protection domain", href: "/pd/create" };
const CLIENTS = { title: "Clients", href: "/sdc" };

const domainSchema = z.object({
  name: nameField,
  description: z.string().max(1_024, "At most 1,024 characters.").default(""),
});
const poolSchema = z.object({
  name: nameField,
  pd_id: chosenField,
  total_capacity_gb: positiveField,
  protection_policy: z.enum(["two_copies", "erasure_coding"], "Choose one."),
});
const sdsSchema = z.object({
  name: nameField,
  protection_domain_id: chosenField,
  total_capacity_gb: positiveField,
  devices: z.string().trim().min(1, "Name at least one device, such as blk0."),
  pool_id: chosenOrNoneField,
  fault_set: z.string().trim().default("").transform((text) => text === "" ? undefined : text),
});
const sdcSchema = z.object({ name: nameField });
const bootstrapSchema = z.object({
  prefix: nameField,
  address_base: z.string().trim().min(3, "Write the first three parts of an address, such as 10.0.0."),
  start_octet: wholeField,
  control_base_port: wholeField,
  data_base_port: wholeField,
});

const domainChoices = ({ domains }: Overview) =>
  choicesOf(domains, ({ domainId, name }) => ({ id: domainId, label: name }));

/** Processes of a type that registered and that no record is bound to. */
export function waitingProcesses({ components, sdss, sdcs }: Overview, type: "SDS" | "SDC"): string[] {
  const bound = new Set((type === "SDS" ? sdss : sdcs).map(({ componentId }) => componentId));
  return components.filter(({ componentId, componentType }) => componentType === type && !bound.has(componentId))
    .map(({ componentId }) => componentId);
}

function waitingText(overview: Overview, type: "SDS" | "SDC"): string {
  const waiting = waitingProcesses(overview, type);
  if (waiting.length === 0) {
    return `No process waits to be added: start one with deno task start:${type.toLowerCase()}.`;
  }
  return `${counted(waiting.length, "process waits", "processes wait")} to be added: ${
    listed(waiting)
  }. The first that registered is taken.`;
}

/** All of them. */
export const TOPOLOGY_CHANGES: readonly Change[] = [
  {
    path: "/pd/create",
    audit: "domain_created",
    form: ({ overview }) => ({
      title: "New protection domain",
      parent: DOMAINS,
      about: "Its storage servers protect one another: copies stay within the domain.",
      fields: [
        { name: "name", label: "Name", kind: "text", value: freeName("domain", overview.domains) },
        { name: "description", label: "Description", kind: "text", value: "", isOptional: true },
      ],
      submit: "Create protection domain",
      subject: "",
    }),
    request: (values) => ({ method: "POST", path: "/pd/create", body: domainSchema.parse(values) }),
    next: () => ({ href: "/pd", done: "domain_created" }),
  },
  {
    path: "/pd/:id/delete",
    audit: "domain_deleted",
    form: ({ overview, id }) => {
      const domain = overview.domains.find(({ domainId }) => domainId === id);
      if (!domain) return undefined;
      return {
        title: `Delete protection domain ${domain.name}`,
        parent: DOMAINS,
        about: "Only a domain without servers and pools can be deleted.",
        fields: [],
        submit: "Delete protection domain",
        isDangerous: true,
        subject: domain.name,
      };
    },
    request: (_values, { id }) => ({ method: "DELETE", path: `/pd/${id}` }),
    next: () => ({ href: "/pd", done: "domain_deleted" }),
  },
  {
    path: "/pool/create",
    audit: "pool_created",
    form: ({ overview, query }) => ({
      title: "New pool",
      parent: POOLS,
      about: "Volumes take their space from a pool, which spreads it over the devices of its servers.",
      ...(overview.domains.length === 0 &&
        { blocked: { reason: "A pool belongs to a protection domain, and there is none yet.", remedy: NEW_DOMAIN } }),
      fields: [
        { name: "name", label: "Name", kind: "text", value: freeName("pool", overview.pools) },
        {
          name: "pd_id",
          label: "Protection domain",
          kind: "select",
          choices: domainChoices(overview),
          value: chosen(domainChoices(overview), query("pd_id")),
        },
        {
          name: "total_capacity_gb",
          label: "Capacity for volumes, GiB",
          kind: "number",
          value: "10",
          hint: "The sizes of its volumes may not exceed it together.",
        },
        {
          name: "protection_policy",
          label: "Protection",
          kind: "select",
          choices: [{ value: "two_copies", label: "Two copies of everything" }, {
            value: "erasure_coding",
            label: "Erasure coding",
          }],
          value: "two_copies",
        },
      ],
      submit: "Create pool",
      subject: "",
    }),
    request: (values) => ({ method: "POST", path: "/pool/create", body: poolSchema.parse(values) }),
    next: () => ({ href: "/pool", done: "pool_created" }),
  },
  {
    path: "/pool/:id/delete",
    audit: "pool_deleted",
    form: ({ overview, id }) => {
      const pool = overview.pools.find(({ poolId }) => poolId === id);
      if (!pool) return undefined;
      return {
        title: `Delete pool ${pool.name}`,
        parent: POOLS,
        about: "Only a pool that never had a volume can be deleted. The next pool of its domain takes its devices.",
        fields: [],
        submit: "Delete pool",
        isDangerous: true,
        subject: pool.name,
      };
    },
    request: (_values, { id }) => ({ method: "DELETE", path: `/pool/${id}` }),
    next: () => ({ href: "/pool", done: "pool_deleted" }),
  },
  {
    path: "/sds/add",
    audit: "sds_added",
    form: ({ overview, query }) => ({
      title: "Add a storage server",
      parent: SERVERS,
      about: waitingText(overview, "SDS"),
      ...(overview.domains.length === 0 &&
        { blocked: { reason: "A server belongs to a protection domain, and there is none yet.", remedy: NEW_DOMAIN } }),
      fields: [
        { name: "name", label: "Name", kind: "text", value: freeName("sds", overview.sdss) },
        {
          name: "protection_domain_id",
          label: "Protection domain",
          kind: "select",
          choices: domainChoices(overview),
          value: chosen(domainChoices(overview), query("pd_id")),
        },
        {
          name: "total_capacity_gb",
          label: "Capacity, GiB",
          kind: "number",
          value: "10",
          hint: "What it may store at most, shared among its devices.",
        },
        {
          name: "devices",
          label: "Devices",
          kind: "text",
          value: "blk0",
          hint: "Names as the server knows them, separated by commas.",
        },
        {
          name: "pool_id",
          label: "Pool for its devices",
          kind: "select",
          choices: [
            { value: "", label: "The domain's only pool, or the next one made" },
            ...choicesOf(overview.pools, ({ poolId, name }) => ({ id: poolId, label: name })),
          ],
          value: "",
          isOptional: true,
        },
        {
          name: "fault_set",
          label: "Fault set",
          kind: "text",
          value: "",
          hint:
            "Servers that fail together, such as those of one rack; copies are never all in one. Empty: a set of its own.",
          isOptional: true,
        },
      ],
      submit: "Add storage server",
      subject: "",
    }),
    request: (values) => ({ method: "POST", path: "/sds/add", body: sdsSchema.parse(values) }),
    next: () => ({ href: "/sds", done: "sds_added" }),
  },
  {
    path: "/sds/:id/fail",
    audit: "sds_failed",
    form: ({ overview, id }) => {
      const sds = overview.sdss.find(({ sdsId }) => sdsId === id);
      if (!sds) return undefined;
      return {
        title: `Mark ${sds.name} failed`,
        parent: { title: sds.name, href: `/sds/${id}` },
        about: "It is taken out at once: other servers make its copies again. Its process is not stopped.",
        fields: [],
        submit: "Mark it failed",
        isDangerous: true,
        subject: sds.name,
      };
    },
    request: (_values, { id }) => ({ method: "POST", path: `/sds/${id}/fail`, body: {} }),
    next: ({ id }) => ({ href: `/sds/${id}`, done: "sds_failed" }),
  },
  {
    path: "/sds/:id/recover",
    audit: "sds_recovered",
    form: ({ overview, id }) => {
      const sds = overview.sdss.find(({ sdsId }) => sdsId === id);
      if (!sds) return undefined;
      return {
        title: `Let ${sds.name} return`,
        parent: { title: sds.name, href: `/sds/${id}` },
        about: "It may hold copies again, and catches up with what changed meanwhile.",
        fields: [],
        submit: "Let it return",
        subject: sds.name,
      };
    },
    request: (_values, { id }) => ({ method: "POST", path: `/sds/${id}/recover`, body: {} }),
    next: ({ id }) => ({ href: `/sds/${id}`, done: "sds_recovered" }),
  },
  {
    path: "/sdc/add",
    audit: "sdc_added",
    form: ({ overview }) => ({
      title: "Add a client",
      parent: CLIENTS,
      about: waitingText(overview, "SDC"),
      fields: [{ name: "name", label: "Name", kind: "text", value: freeName("sdc", overview.sdcs) }],
      submit: "Add client",
      subject: "",
    }),
    request: (values) => ({ method: "POST", path: "/sdc/add", body: sdcSchema.parse(values) }),
    next: () => ({ href: "/sdc", done: "sdc_added" }),
  },
  {
    path: "/cluster/bootstrap/minimal",
    audit: "nodes_bootstrapped",
    form: () => ({
      title: "Register a minimal set of nodes",
      parent: { title: "Discovery", href: "/discovery" },
      about:
        "Notes mdm-1, sds-1, sds-2 and sdc-1 as cluster nodes under made-up addresses, as the predecessor did for " +
        "lessons. Real processes register by themselves and need none of it.",
      fields: [
        { name: "prefix", label: "Prefix of the names", kind: "text", value: "demo" },
        { name: "address_base", label: "Addresses begin with", kind: "text", value: "10.0.0." },
        { name: "start_octet", label: "First last part", kind: "number", value: "10", step: 1, min: 0 },
        { name: "control_base_port", label: "First control port", kind: "number", value: "9100", step: 1, min: 1 },
        { name: "data_base_port", label: "First data port", kind: "number", value: "9700", step: 1, min: 1 },
      ],
      submit: "Register nodes",
      subject: "",
    }),
    request: (values) => ({ method: "POST", path: "/cluster/bootstrap/minimal", body: bootstrapSchema.parse(values) }),
    next: () => ({ href: "/discovery", done: "nodes_made" }),
  },
];
