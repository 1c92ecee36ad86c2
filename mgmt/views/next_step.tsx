/**
 * What to do next while a cluster is being built: one step at a time, with the form and the call that do it.
 *
 * @module
 */
import type { ComponentChildren } from "preact";
import type { Overview } from "@/shared/api/overview.ts";
import { Command, Panel } from "@/mgmt/views/parts.tsx";

interface Step {
  readonly title: string;
  readonly about: ComponentChildren;
  readonly command: string;
  /** The form that does it; undefined where a process is to be started. */
  readonly href?: string;
}

/** The next step, or nothing when volumes are in use. */
export function NextStep({ overview, mdmUrl }: { readonly overview: Overview; readonly mdmUrl: string }) {
  const step = nextStep(overview, mdmUrl);
  if (!step) return null;
  return (
    <Panel title={`Next: ${step.title}`}>
      <p>{step.about}</p>
      {step.href !== undefined && (
        <p class="step">
          <a class="button primary" href={step.href}>{step.title.replace(/^./, (letter) => letter.toUpperCase())}</a>
          <span class="quiet">or from a terminal:</span>
        </p>
      )}
      <Command text={step.command} />
    </Panel>
  );
}

/** The first thing that is missing on the way to a mapped volume. */
export function nextStep(overview: Overview, mdmUrl: string): Step | undefined {
  const { domains, components, sdss, pools, sdcs, volumes } = overview;
  const processes = (type: string) => components.filter((component) => component.componentType === type).length;
  const post = (path: string, body: unknown) =>
    `curl -X POST ${mdmUrl}${path} -H 'Content-Type: application/json' -d '${JSON.stringify(body)}'`;
  const [domain] = domains;
  if (!domain) {
    return {
      title: "make a protection domain",
      about: "Its storage servers protect one another: copies stay within the domain.",
      command: post("/pd/create", { name: "domain-1" }),
      href: "/pd/create",
    };
  }
  if (sdss.length === 0 && processes("SDS") === 0) {
    return {
      title: "start a storage server",
      about: "It joins by itself and appears under Discovery. Two copies need two servers, healing needs three.",
      command: "deno task start:sds",
    };
  }
  if (sdss.length < Math.min(2, processes("SDS"))) {
    const body = {
      name: `sds-${sdss.length + 1}`,
      total_capacity_gb: 10,
      devices: "blk0",
      protection_domain_id: domain.domainId,
    };
    return {
      title: "add a storage server to the domain",
      about: "A process that joined stores nothing until it is added.",
      command: post("/sds/add", body),
      href: "/sds/add",
    };
  }
  const [pool] = pools;
  if (!pool) {
    return {
      title: "make a pool",
      about: "Volumes take their space from a pool, which spreads it over its servers.",
      command: post("/pool/create", { name: "pool-1", pd_id: domain.domainId, total_capacity_gb: 10 }),
      href: "/pool/create",
    };
  }
  const [volume] = volumes;
  if (!volume) {
    return {
      title: "make a volume",
      about: "Thin volumes take space when they are written.",
      command: post("/vol/create", { name: "volume-1", size_gb: 1, provisioning: "thin", pool_id: pool.poolId }),
      href: "/volume/create",
    };
  }
  const [sdc] = sdcs;
  if (!sdc) {
    return processes("SDC") === 0
      ? { title: "start a client", about: "It serves volumes to applications by NBD.", command: "deno task start:sdc" }
      : {
        title: "add the client",
        about: "A client that joined can be given volumes once it is added.",
        command: post("/sdc/add", { name: "sdc-1" }),
        href: "/sdc/add",
      };
  }
  if (volumes.every(({ mappings }) => mappings.length === 0)) {
    return {
      title: "map a volume",
      about: `Client ${sdc.name} may then serve ${volume.name} to applications.`,
      command:
        `curl -X POST '${mdmUrl}/vol/map?volume_id=${volume.volumeId}&sdc_id=${sdc.sdcId}&access_mode=readWrite'`,
      href: `/volume/${volume.volumeId}/map`,
    };
  }
  return undefined;
}
