/**
 * Carries changes out: GET shows a change's form, POST checks what was typed, calls the MDM, writes the audit log, and leads on.
 * A refusal of the MDM shows the form again with its words, those about a field beside it. Scripts that ask for JSON get the
 * MDM's own answer.
 *
 * @module
 */
import { type Context, Hono } from "hono";
import { z } from "zod";
import { type ErrorCode, StorageError } from "@/shared/errors.ts";
import { type Change, type ChangeFacts, type FormText, type FormValues } from "@/mgmt/changes/change.ts";
import { TOPOLOGY_CHANGES } from "@/mgmt/changes/topology.ts";
import { VOLUME_CHANGES } from "@/mgmt/changes/volumes.tsx";
import type { OperatorAnswer } from "@/mgmt/mdm_client.ts";
import { type MgmtParts, requireRole, Visit, wantsPage } from "@/mgmt/pages/context.ts";
import { requireSnapshot } from "@/mgmt/pages/health.ts";
import { missingPage } from "@/mgmt/views/cluster_pages.tsx";
import { type FormOutcome, formPage } from "@/mgmt/views/forms.tsx";

const DETAIL_LENGTH_MAX = 300;

/** The routes. */
export function changeRoutes(parts: MgmtParts): Hono {
  const routes = new Hono();
  for (const change of [...TOPOLOGY_CHANGES, ...VOLUME_CHANGES]) {
    const path = change.path.replace(":id", ":id{[0-9]{1,9}}");
    routes.get(path, (c) => {
      requireRole(c, parts, "operator");
      const facts = factsOf(c, parts);
      const form = change.form(facts);
      return form ? showForm(c, parts, { form, outcome: undefined, status: 200 }) : showMissing(c, parts);
    });
    routes.post(path, (c) => carryOut(c, parts, change));
  }
  return routes;
}

async function carryOut(c: Context, parts: MgmtParts, change: Change): Promise<Response> {
  const { user } = requireRole(c, parts, "operator");
  const facts = factsOf(c, parts);
  const form = change.form(facts);
  if (!form) return showMissing(c, parts);
  const values = await valuesOf(c);
  const audit = (result: "ok" | "refused", detail: string) =>
    parts.signIn.audit(user.name, change.audit, {
      origin: new Visit(c, parts).origin(),
      detail: [form.subject || values["name"], detail].filter(Boolean).join(": ").slice(0, DETAIL_LENGTH_MAX),
      isRefused: result === "refused",
    });
  let request;
  try {
    request = change.request(values, facts);
  } catch (error) {
    if (!(error instanceof z.ZodError) || !wantsPage(c)) throw error;
    const errors = errorsOf(error.issues.map(({ path, message }) => ({ path: path.join("."), message })));
    return showForm(c, parts, { form, outcome: { values, errors, problem: undefined }, status: 422 });
  }
  const answer = await askMdm(parts, request);
  audit(answer.kind === "ok" ? "ok" : "refused", answer.kind === "ok" ? "" : answer.detail);
  if (!wantsPage(c)) return jsonAnswer(answer);
  if (answer.kind === "refused") return showForm(c, parts, refusalOf(answer, { form, values }));
  if (change.show) {
    const shown = { values, errors: {}, problem: undefined, answer: change.show(answer.value) };
    return showForm(c, parts, { form, outcome: shown, status: 200 });
  }
  await parts.poller.pollAnew();
  const { href, done } = change.next(facts, answer.value);
  return c.redirect(`${href}?done=${done}`, 303);
}

/** The MDM's answer; one that does not come is a refusal too. */
async function askMdm(parts: MgmtParts, request: Parameters<MgmtParts["mdm"]["operate"]>[0]): Promise<OperatorAnswer> {
  try {
    return await parts.mdm.operate(request);
  } catch (error) {
    if (!(error instanceof StorageError)) throw error;
    return { kind: "refused", status: 503, code: "unavailable", detail: error.message, errors: [] };
  }
}

type Refusal = Extract<OperatorAnswer, { kind: "refused" }>;

function refusalOf(
  { status, detail, errors }: Refusal,
  { form, values }: { readonly form: FormText; readonly values: FormValues },
) {
  const byField = errorsOf(errors);
  // What is said beside a field is not said twice.
  const allBesideFields = errors.length > 0 &&
    errors.every(({ path }) => form.fields.some(({ name }) => name === path));
  return { form, outcome: { values, errors: byField, problem: allBesideFields ? undefined : detail }, status };
}

function errorsOf(issues: readonly { readonly path: string; readonly message: string }[]): Record<string, string> {
  const errors: Record<string, string> = {};
  for (const { path, message } of issues) errors[path] ??= message;
  return errors;
}

function factsOf(c: Context, parts: MgmtParts): ChangeFacts {
  const { overview } = requireSnapshot(parts);
  return { overview, id: Number(c.req.param("id") ?? 0), query: (name) => c.req.query(name) };
}

async function valuesOf(c: Context): Promise<FormValues> {
  const form = await c.req.parseBody();
  return Object.fromEntries(Object.entries(form).filter(([, value]) => typeof value === "string")) as FormValues; // files are left out
}

function showForm(
  c: Context,
  parts: MgmtParts,
  { form, outcome, status }: {
    readonly form: FormText;
    readonly outcome: FormOutcome | undefined;
    readonly status: number;
  },
): Response {
  if (!wantsPage(c)) {
    throw new StorageError(
      "invalid" satisfies ErrorCode,
      `${form.title}: this address takes POST; its page needs a browser`,
    );
  }
  const visit = new Visit(c, parts);
  const page = formPage(form, { action: c.req.path, formToken: visit.formToken(), outcome });
  return visit.show({ ...page, status });
}

function showMissing(c: Context, parts: MgmtParts): Response {
  const parent = { title: "Overview", href: "/" };
  if (!wantsPage(c)) throw new StorageError("not_found", `Cannot ${c.req.method} ${c.req.path}: it is not there`);
  return new Visit(c, parts).show(missingPage({ title: "This", parent }));
}

function jsonAnswer(answer: OperatorAnswer): Response {
  if (answer.kind === "ok") return Response.json(answer.value);
  const { status, code, detail, errors } = answer;
  return Response.json({ status, code, detail, errors }, { status });
}
