/**
 * Failures as pages, for browsers.
 *
 * @module
 */
import type { Context } from "hono";
import { z } from "zod";
import { type MgmtParts, Visit } from "@/mgmt/pages/context.ts";
import { ErrorCard } from "@/mgmt/views/account.tsx";
import { renderPlain } from "@/mgmt/views/frame.tsx";

const problemSchema = z.object({ title: z.string(), detail: z.string(), requestId: z.string() });

/** The page that says what `problem` (RFC 9457) says, with its status. */
export async function errorPage(c: Context, parts: MgmtParts, problem: Response): Promise<Response> {
  const { title, detail, requestId } = problemSchema.parse(await problem.json());
  const sentence = /[.!?]$/.test(detail) ? detail : `${detail}.`;
  const card = <ErrorCard title={title} detail={sentence} requestId={requestId} />;
  const html = renderPlain({ title, theme: new Visit(c, parts).theme() }, card);
  return c.html(html, problem.status as 500); // a status of the error catalogue
}
