/**
 * Changes of volumes: make, map, unmap, extend, delete; single writes and reads; and the rebuild of a pool.
 *
 * @module
 */
import { z } from "zod";
import type { Overview, OverviewPool, OverviewVolume } from "@/shared/api/overview.ts";
import {
  type Change,
  type ChangeFacts,
  choicesOf,
  chosen,
  chosenField,
  freeName,
  nameField,
  positiveField,
  wholeField,
} from "@/mgmt/changes/change.ts";
import { counted, formatBytes } from "@/mgmt/core/format.ts";
import { hexLines } from "@/mgmt/core/hex.ts";
import { Facts } from "@/mgmt/views/parts.tsx";

const VOLUMES = { title: "Volumes", href: "/volume" };
const GIB = 2 ** 30;
/** Bytes that the form reads at once. */
export const FORM_READ_BYTES_MAX = 4_096;

const createSchema = z.object({
  name: nameField,
  size_gb: positiveField,
  provisioning: z.enum(["thin", "thick"], "Choose one."),
  pool_id: chosenField,
});
const mapSchema = z.object({
  sdc_id: chosenField,
  access_mode: z.enum(["readWrite", "readOnly"], "Choose one."),
});
const unmapSchema = z.object({ sdc_id: chosenField });
const extendSchema = z.object({ new_size_gb: positiveField });
const writeSchema = z.object({
  sdc_id: chosenField,
  offset_bytes: wholeField,
  data: z.string().min(1, "Write at least one character."),
});
const readSchema = z.object({
  sdc_id: chosenField,
  offset_bytes: wholeField,
  length_bytes: wholeField.pipe(
    z.number().min(1, "At least 1 byte.").max(FORM_READ_BYTES_MAX, `At most ${FORM_READ_BYTES_MAX} bytes.`),
  ),
});
const writeAnswerSchema = z.object({ bytes_written: z.number(), replicas_written: z.number().optional() });
const readAnswerSchema = z.object({ data_b64: z.string(), utf8_text: z.string().nullish() });

function volumeOf({ overview, id }: ChangeFacts): OverviewVolume | undefined {
  return overview.volumes.find(({ volumeId }) => volumeId === id);
}

const parentOf = (volume: OverviewVolume) => ({ title: volume.name, href: `/volume/${volume.volumeId}` });

function mappedChoices(volume: OverviewVolume, { sdcs }: Overview) {
  return choicesOf(volume.mappings, ({ sdcId }) => ({
    id: sdcId,
    label: sdcs.find((sdc) => sdc.sdcId === sdcId)?.name ?? `client ${sdcId}`,
  }));
}

function notMapped({ volumeId }: OverviewVolume) {
  const remedy = { title: "Map", href: `/volume/${volumeId}/map` };
  return { blocked: { reason: "No client may use this volume yet.", remedy } };
}

function query(path: string, parameters: Readonly<Record<string, string | number>>): string {
  const search = new URLSearchParams(Object.entries(parameters).map(([name, value]) => [name, String(value)]));
  return `${path}?${search}`;
}

const CREATE: Change = {
  path: "/volume/create",
  audit: "volume_created",
  form: ({ overview, query }) => {
    const pools = choicesOf(overview.pools, ({ poolId, name, logicalLimitBytes, provisionedBytes }) => ({
      id: poolId,
      label: `${name} (${formatBytes(Math.max(0, logicalLimitBytes - provisionedBytes))} left)`,
    }));
    return {
      title: "New volume",
      parent: VOLUMES,
      about: "A block device that applications use through a client.",
      ...(pools.length === 0 &&
        {
          blocked: {
            reason: "A volume takes its space from a pool, and there is none yet.",
            remedy: { title: "Create pool", href: "/pool/create" },
          },
        }),
      fields: [
        { name: "name", label: "Name", kind: "text", value: freeName("volume", overview.volumes) },
        { name: "size_gb", label: "Size, GiB", kind: "number", value: "1", hint: "Fractions are allowed." },
        {
          name: "provisioning",
          label: "Provisioning",
          kind: "select",
          choices: [{ value: "thin", label: "Thin: space is taken when it is written" }, {
            value: "thick",
            label: "Thick: all space is reserved at once",
          }],
          value: "thin",
        },
        { name: "pool_id", label: "Pool", kind: "select", choices: pools, value: chosen(pools, query("pool_id")) },
      ],
      submit: "Create volume",
      subject: "",
    };
  },
  request: (values) => ({ method: "POST", path: "/vol/create", body: createSchema.parse(values) }),
  next: (_facts, answer) => {
    const made = z.object({ id: z.number().int() }).safeParse(answer);
    return { href: made.success ? `/volume/${made.data.id}` : "/volume", done: "volume_created" };
  },
};

const MAP: Change = {
  path: "/volume/:id/map",
  audit: "volume_mapped",
  form: (facts) => {
    const volume = volumeOf(facts);
    if (!volume) return undefined;
    const free = facts.overview.sdcs.filter(({ sdcId }) => !volume.mappings.some((mapping) => mapping.sdcId === sdcId));
    const clients = choicesOf(free, ({ sdcId, name }) => ({ id: sdcId, label: name }));
    return {
      title: `Map ${volume.name}`,
      parent: parentOf(volume),
      about: "The client may then serve the volume to applications.",
      ...(clients.length === 0 && {
        blocked: facts.overview.sdcs.length === 0
          ? { reason: "There is no client yet.", remedy: { title: "Add client", href: "/sdc/add" } }
          : { reason: "Every client may use it already." },
      }),
      fields: [
        {
          name: "sdc_id",
          label: "Client",
          kind: "select",
          choices: clients,
          value: chosen(clients, facts.query("sdc_id")),
        },
        {
          name: "access_mode",
          label: "Access",
          kind: "select",
          choices: [{ value: "readWrite", label: "Read and write" }, { value: "readOnly", label: "Read only" }],
          value: "readWrite",
        },
      ],
      submit: "Map volume",
      subject: volume.name,
    };
  },
  request: (values, { id }) => ({
    method: "POST",
    path: query("/vol/map", { volume_id: id, ...mapSchema.parse(values) }),
  }),
  next: ({ id }) => ({ href: `/volume/${id}`, done: "volume_mapped" }),
};

const UNMAP: Change = {
  path: "/volume/:id/unmap",
  audit: "volume_unmapped",
  form: (facts) => {
    const volume = volumeOf(facts);
    if (!volume) return undefined;
    const clients = mappedChoices(volume, facts.overview);
    return {
      title: `Unmap ${volume.name}`,
      parent: parentOf(volume),
      about: "The client's applications lose the volume at once; its data stays.",
      ...(clients.length === 0 && notMapped(volume)),
      fields: [
        {
          name: "sdc_id",
          label: "Client",
          kind: "select",
          choices: clients,
          value: chosen(clients, facts.query("sdc_id")),
        },
      ],
      submit: "Unmap volume",
      isDangerous: true,
      subject: volume.name,
    };
  },
  request: (values, { id }) => ({
    method: "POST",
    path: query("/vol/unmap", { volume_id: id, ...unmapSchema.parse(values) }),
  }),
  next: ({ id }) => ({ href: `/volume/${id}`, done: "volume_unmapped" }),
};

const EXTEND: Change = {
  path: "/volume/:id/extend",
  audit: "volume_extended",
  form: (facts) => {
    const volume = volumeOf(facts);
    if (!volume) return undefined;
    return {
      title: `Extend ${volume.name}`,
      parent: parentOf(volume),
      about: `It has ${formatBytes(volume.sizeBytes)} now. A volume can grow while it is used.`,
      fields: [{
        name: "new_size_gb",
        label: "New size, GiB",
        kind: "number",
        value: String(Math.ceil(volume.sizeBytes / GIB) + (volume.sizeBytes % GIB === 0 ? 1 : 0)),
      }],
      submit: "Extend volume",
      subject: volume.name,
    };
  },
  request: (values, { id }) => ({
    method: "POST",
    path: query("/vol/extend", { volume_id: id, ...extendSchema.parse(values) }),
  }),
  next: ({ id }) => ({ href: `/volume/${id}`, done: "volume_extended" }),
};

const DELETE: Change = {
  path: "/volume/:id/delete",
  audit: "volume_deleted",
  form: (facts) => {
    const volume = volumeOf(facts);
    if (!volume) return undefined;
    return {
      title: `Delete ${volume.name}`,
      parent: parentOf(volume),
      about: `All its data is gone then${
        volume.usedBytes === null ? "" : `: ${formatBytes(volume.usedBytes)} are written`
      }. This cannot be undone.`,
      fields: [],
      submit: "Delete volume and its data",
      isDangerous: true,
      subject: volume.name,
    };
  },
  request: (_values, { id }) => ({ method: "DELETE", path: `/vol/${id}` }),
  next: () => ({ href: "/volume", done: "volume_deleted" }),
};

const WRITE: Change = {
  path: "/volume/:id/io/write",
  audit: "volume_written",
  form: (facts) => {
    const volume = volumeOf(facts);
    if (!volume) return undefined;
    const clients = mappedChoices(volume, facts.overview);
    return {
      title: `Write to ${volume.name}`,
      parent: parentOf(volume),
      about: "The client writes the text to every current copy. For trying out: applications use NBD.",
      ...(clients.length === 0 && notMapped(volume)),
      fields: [
        { name: "sdc_id", label: "Client", kind: "select", choices: clients, value: clients[0]?.value ?? "" },
        { name: "offset_bytes", label: "At byte", kind: "number", value: "0", step: 1, min: 0 },
        { name: "data", label: "Text", kind: "area", value: "Hello PowerFlex!", hint: "Stored as UTF-8." },
      ],
      submit: "Write",
      isDangerous: true,
      subject: volume.name,
    };
  },
  request: (values, { id }) => {
    const { data, ...rest } = writeSchema.parse(values);
    const body = { ...rest, data_b64: new TextEncoder().encode(data).toBase64() };
    return { method: "POST", path: `/vol/${id}/io/write`, body };
  },
  next: ({ id }) => ({ href: `/volume/${id}`, done: "volume_mapped" }),
  show: (answer) => {
    const { bytes_written: byteCount, replicas_written: copies } = writeAnswerSchema.parse(answer);
    return (
      <p>
        {counted(byteCount, "byte")} written{copies !== undefined && ` to ${counted(copies, "copy", "copies")}`}.
      </p>
    );
  },
};

const READ: Change = {
  path: "/volume/:id/io/read",
  audit: "volume_read",
  form: (facts) => {
    const volume = volumeOf(facts);
    if (!volume) return undefined;
    const clients = mappedChoices(volume, facts.overview);
    return {
      title: `Read from ${volume.name}`,
      parent: parentOf(volume),
      about: "What was never written reads as zeros.",
      ...(clients.length === 0 && notMapped(volume)),
      fields: [
        { name: "sdc_id", label: "Client", kind: "select", choices: clients, value: clients[0]?.value ?? "" },
        { name: "offset_bytes", label: "From byte", kind: "number", value: "0", step: 1, min: 0 },
        { name: "length_bytes", label: "Bytes", kind: "number", value: "16", step: 1, min: 1 },
      ],
      submit: "Read",
      subject: volume.name,
    };
  },
  request: (values, { id }) => ({ method: "POST", path: `/vol/${id}/io/read`, body: readSchema.parse(values) }),
  next: ({ id }) => ({ href: `/volume/${id}`, done: "volume_mapped" }),
  show: (answer) => {
    const { data_b64: data, utf8_text: text } = readAnswerSchema.parse(answer);
    return (
      <Facts
        facts={{
          Text: text === null || text === undefined ? "not UTF-8" : <code class="text">{text}</code>,
          Bytes: <pre class="hex" tabindex={0}>{hexLines(Uint8Array.fromBase64(data)).join("\n")}</pre>,
        }}
      />
    );
  },
};

function rebuildChange(
  word: "start" | "cancel",
  text: (pool: OverviewPool) => { title: string; about: string; submit: string },
): Change {
  return {
    path: `/rebuild/:id/${word}`,
    audit: word === "start" ? "rebuild_started" : "rebuild_cancelled",
    form: ({ overview, id }) => {
      const pool = overview.pools.find(({ poolId }) => poolId === id);
      if (!pool) return undefined;
      return {
        ...text(pool),
        parent: { title: "Rebuild", href: "/rebuild" },
        fields: [],
        isDangerous: word === "cancel",
        subject: pool.name,
      };
    },
    request: (_values, { id }) => ({ method: "POST", path: `/rebuild/${word}/${id}`, body: {} }),
    next: () => ({ href: "/rebuild", done: word === "start" ? "rebuild_started" : "rebuild_cancelled" }),
  };
}

/** All of them. */
export const VOLUME_CHANGES: readonly Change[] = [
  CREATE,
  MAP,
  UNMAP,
  EXTEND,
  DELETE,
  WRITE,
  READ,
  rebuildChange("start", (pool) => ({
    title: `Rebuild ${pool.name}`,
    about: "Missing copies are made again now, without waiting whether their servers return.",
    submit: "Start the rebuild",
  })),
  rebuildChange("cancel", (pool) => ({
    title: `Stop the rebuild of ${pool.name}`,
    about: "Copies that are being made are given up; groups stay with one copy until a rebuild runs again.",
    submit: "Stop the rebuild",
  })),
];
