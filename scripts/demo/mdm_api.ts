/**
 * The MDM's operator API as the demo and the benchmark call it.
 *
 * @module
 */
import { z } from "zod";
import { type Overview, overviewSchema } from "@/shared/api/overview.ts";
import { fetchSend, type HttpSend } from "@/shared/http_client.ts";

/** Longest time that one call may take: making a volume waits for its devices to be formatted. */
const CALL_MS_MAX = 40_000;

/** Calls one MDM. Every method throws what the MDM said when it refuses. */
export class MdmApi {
  readonly #baseUrl: string;
  readonly #send: HttpSend;
  readonly #headers: Readonly<Record<string, string>>;

  /** `headers` go with every call: the operator's token, unless the MDM is open. */
  constructor(
    baseUrl: string,
    options: { readonly send?: HttpSend; readonly headers?: Readonly<Record<string, string>> } = {},
  ) {
    this.#baseUrl = baseUrl;
    this.#headers = options.headers ?? {};
    this.#send = options.send ?? fetchSend;
  }

  overview(): Promise<Overview> {
    return this.#call("GET", "/api/v1/overview", overviewSchema);
  }

  /** Registered processes: the number under which records name them, by component id. */
  async clusterNodes(): Promise<Map<string, number>> {
    const { nodes } = await this.#call("GET", "/cluster/nodes", nodesSchema);
    return new Map(nodes.flatMap((node) => node.component_id === null ? [] : [[node.component_id, node.id]]));
  }

  /** Sends `body` and gives the id of what was made. */
  async create(path: string, body: Record<string, unknown>): Promise<number> {
    return (await this.#call("POST", path, createdSchema, body)).id;
  }

  async mapVolume(volumeId: number, sdcId: number): Promise<void> {
    const query = `volume_id=${volumeId}&sdc_id=${sdcId}&access_mode=readWrite`;
    await this.#call("POST", `/vol/map?${query}`, z.object({ status: z.literal("mapped") }), {});
  }

  async #call<Schema extends z.ZodType>(
    method: "GET" | "POST",
    path: string,
    schema: Schema,
    body?: Record<string, unknown>,
  ): Promise<z.output<Schema>> {
    const answer = await this.#send({
      method,
      url: this.#baseUrl + path,
      timeoutMs: CALL_MS_MAX,
      headers: { ...this.#headers, ...(body && { "Content-Type": "application/json" }) },
      ...(body && { body: JSON.stringify(body) }),
    });
    if (answer.status >= 300) throw new Error(`The MDM refused ${method} ${path}: ${detailOf(answer.body)}`);
    return schema.parse(JSON.parse(answer.body));
  }
}

const createdSchema = z.object({ id: z.number().int().positive() });
const nodesSchema = z.object({
  nodes: z.array(z.object({ id: z.number().int().positive(), component_id: z.string().nullable() })),
});
const problemSchema = z.object({ detail: z.string() });

function detailOf(body: string): string {
  try {
    return problemSchema.parse(JSON.parse(body)).detail;
  } catch {
    return body.slice(0, 200);
  }
}
