/**
 * Reads what a request brings: a JSON body or query parameters, checked by a schema.
 *
 * @module
 */
import type { Context } from "hono";
import type { z } from "zod";
import { StorageError } from "@/shared/errors.ts";

/** Largest request body, in bytes, unless an application says otherwise. */
export const BODY_BYTES_MAX = 1024 * 1024;

/**
 * The JSON body as `schema` gives it. An empty body reads as `{}`.
 *
 * @throws {StorageError} `bad_request` for a body that is not JSON. @throws {z.ZodError} for one that does not fit.
 */
export async function parseBody<Schema extends z.ZodType>(c: Context, schema: Schema): Promise<z.output<Schema>> {
  const text = await c.req.text();
  let value: unknown;
  try {
    value = text.trim() === "" ? {} : JSON.parse(text);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new StorageError("bad_request", `Cannot read the body as JSON: ${reason}`, { cause: error });
  }
  return schema.parse(value);
}

/** The query parameters as `schema` gives them; a repeated one counts once. Use `z.coerce` for numbers. @throws {z.ZodError} */
export function parseQuery<Schema extends z.ZodType>(c: Context, schema: Schema): z.output<Schema> {
  return schema.parse(c.req.query());
}

/** The path parameters as `schema` gives them. @throws {z.ZodError} */
export function parseParams<Schema extends z.ZodType>(c: Context, schema: Schema): z.output<Schema> {
  return schema.parse(c.req.param());
}
