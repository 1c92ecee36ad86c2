/**
 * Forms: fields with what is wrong beside them. They work without scripts.
 *
 * @module
 */
import type { ComponentChildren } from "preact";
import type { Field, FormText, FormValues } from "@/mgmt/changes/change.ts";
import type { Page } from "@/mgmt/views/page.ts";
import { LevelIcon, Panel } from "@/mgmt/views/parts.tsx";

/** What came of sending a form. */
export interface FormOutcome {
  readonly values: FormValues;
  /** What is wrong, by field. */
  readonly errors: Readonly<Record<string, string>>;
  /** What is wrong as a whole: the MDM's own words. */
  readonly problem: string | undefined;
  /** What the MDM answered, where the page shows it. */
  readonly answer?: ComponentChildren;
}

/** The page of a form. */
export function formPage(
  form: FormText,
  props: { readonly action: string; readonly formToken: string; readonly outcome: FormOutcome | undefined },
): Page {
  const { outcome } = props;
  const failed = outcome !== undefined && outcome.answer === undefined;
  return {
    title: form.title,
    parent: form.parent,
    isForm: true,
    sections: [
      {
        name: "form",
        content: (
          <section class="panel form-panel">
            {form.about !== undefined && <p class="about">{form.about}</p>}
            {failed && <ProblemList form={form} outcome={outcome} />}
            {form.blocked !== undefined
              ? (
                <div class="blocked">
                  <LevelIcon level="warning" />
                  <p>{form.blocked.reason}</p>
                  <div class="buttons">
                    {form.blocked.remedy && (
                      <a class="button primary" href={form.blocked.remedy.href}>{form.blocked.remedy.title}</a>
                    )}
                    <a class="button" href={form.parent.href}>Back</a>
                  </div>
                </div>
              )
              : (
                <form method="post" action={props.action} class="stacked" novalidate>
                  <input type="hidden" name="form_token" value={props.formToken} />
                  {form.fields.map((field, index) => (
                    <FormField
                      key={field.name}
                      field={field}
                      value={outcome?.values[field.name] ?? field.value}
                      error={outcome?.errors[field.name]}
                      isFirst={index === 0}
                    />
                  ))}
                  <div class="buttons">
                    <button type="submit" class={form.isDangerous ? "danger" : "primary"}>{form.submit}</button>
                    <a class="button" href={form.parent.href}>Cancel</a>
                  </div>
                </form>
              )}
          </section>
        ),
      },
      {
        name: "form-answer",
        content: outcome?.answer === undefined ? null : (
          <div role="status">
            <Panel title="Answer">{outcome.answer}</Panel>
          </div>
        ),
      },
    ],
  };
}

/** What is wrong, first on the page, with a way to each field. */
function ProblemList({ form, outcome }: { readonly form: FormText; readonly outcome: FormOutcome }) {
  const wrong = form.fields.filter(({ name }) => outcome.errors[name] !== undefined);
  return (
    <div class="problem" role="alert">
      {outcome.problem !== undefined && <p>{outcome.problem}</p>}
      {wrong.length > 0 && (
        <ul>
          {wrong.map(({ name, label }) => (
            <li key={name}>
              <a href={`#field-${name}`}>{label}</a>: {outcome.errors[name]}
            </li>
          ))}
        </ul>
      )}
    </div>
  );
}

interface FieldProps {
  readonly field: Field;
  readonly value: string;
  readonly error: string | undefined;
  readonly isFirst: boolean;
}

/** A labelled field with its hint and what is wrong with it. */
export function FormField({ field, value, error, isFirst }: FieldProps) {
  const id = `field-${field.name}`;
  const described = [field.hint !== undefined && `${id}-hint`, error !== undefined && `${id}-error`].filter(Boolean)
    .join(" ");
  const common = {
    id,
    name: field.name,
    required: !field.isOptional,
    ...(described !== "" && { "aria-describedby": described }),
    ...(error !== undefined && { "aria-invalid": "true" as const }),
    ...(isFirst && { autofocus: true }),
  };
  return (
    <div class={error === undefined ? "field" : "field wrong"}>
      <label for={id}>
        {field.label}
        {field.isOptional && <span class="quiet">(optional)</span>}
      </label>
      <Control field={field} value={value} common={common} />
      {field.hint !== undefined && <p class="hint" id={`${id}-hint`}>{field.hint}</p>}
      {error !== undefined && <p class="field-error" id={`${id}-error`}>{error}</p>}
    </div>
  );
}

function Control(
  { field, value, common }: { readonly field: Field; readonly value: string; readonly common: Record<string, unknown> },
) {
  switch (field.kind) {
    case "select":
      return (
        <select {...common}>
          {(field.choices ?? []).map((choice) => (
            <option key={choice.value} value={choice.value} selected={choice.value === value}>{choice.label}</option>
          ))}
        </select>
      );
    case "area":
      return <textarea {...common} rows={4} value={value} />;
    case "number":
      return (
        <input
          {...common}
          type="number"
          inputMode="decimal"
          value={value}
          min={field.min ?? 0}
          step={field.step ?? "any"}
        />
      );
    case "text":
      return <input {...common} type="text" value={value} autocomplete="off" spellcheck={false} />;
  }
}
