/**
 * A change is one thing that people do to the cluster through a form: which fields it asks for, which call at the MDM it
 * becomes, and where one goes afterwards. Changes are declared, one per path; `pages/changes.ts` carries all of them out alike:
 * GET shows the form, POST checks it, calls the MDM, writes the audit log. Nothing is kept here: the MDM decides.
 *
 * @module
 */
import type { ComponentChildren } from "preact";
import { z } from "zod";
import type { Overview } from "@/shared/api/overview.ts";
import type { AuditAction } from "@/mgmt/store/audit_log.ts";

/** One field of a form. */
export interface Field {
  /** As the MDM calls it, so that its refusals find their field. */
  readonly name: string;
  readonly label: string;
  readonly kind: "text" | "number" | "select" | "area";
  /** What the form begins with. */
  readonly value: string;
  readonly hint?: string;
  readonly choices?: readonly { readonly value: string; readonly label: string }[];
  /** Of a number. */
  readonly min?: number;
  /** Of a number; fractions by default. */
  readonly step?: number;
  readonly isOptional?: boolean;
}

/** How a form looks. */
export interface FormText {
  readonly title: string;
  readonly parent: { readonly title: string; readonly href: string };
  /** What will happen. */
  readonly about?: ComponentChildren;
  /** Why nothing can be done now, and what helps: there is no button then. */
  readonly blocked?: {
    readonly reason: string;
    readonly remedy?: { readonly title: string; readonly href: string };
  };
  readonly fields: readonly Field[];
  /** Word on the button. */
  readonly submit: string;
  /** It takes something away. */
  readonly isDangerous?: boolean;
  /** For the audit log: what the change is about. */
  readonly subject: string;
}

/** What a change knows when it is asked. */
export interface ChangeFacts {
  readonly overview: Overview;
  /** The number in the path, 0 without one. */
  readonly id: number;
  /** A parameter of the address. */
  readonly query: (name: string) => string | undefined;
}

/** A call at the MDM. */
export interface MdmRequest {
  readonly method: "GET" | "POST" | "DELETE";
  readonly path: string;
  readonly body?: unknown;
}

/** What was typed, by field. */
export type FormValues = Readonly<Record<string, string>>;

/** One change. */
export interface Change {
  /** With `:id` where a number stands. */
  readonly path: string;
  readonly audit: AuditAction;
  /** The form; undefined when what it is about is not there. */
  readonly form: (facts: ChangeFacts) => FormText | undefined;
  /** The call that carries it out. @throws {z.ZodError} naming wrong fields. */
  readonly request: (values: FormValues, facts: ChangeFacts) => MdmRequest;
  /** Where it leads, and what is said there. */
  readonly next: (facts: ChangeFacts, answer: unknown) => { readonly href: string; readonly done: DoneWord };
  /** The MDM's answer as people read it, for changes that stay on their page. */
  readonly show?: (answer: unknown) => ComponentChildren;
}

/** What is said after a change, by the word in the address. */
export const DONE_SENTENCES = {
  domain_created: "The protection domain is there.",
  domain_deleted: "The protection domain is deleted.",
  pool_created: "The pool is there. Devices of its domain that are free join it.",
  pool_deleted: "The pool is deleted.",
  sds_added: "The storage server is added.",
  sds_failed: "The storage server is marked failed; its copies are made elsewhere.",
  sds_recovered: "The storage server may take part again.",
  sdc_added: "The client is added.",
  volume_created: "The volume is there. Map it to a client to use it.",
  volume_mapped: "The client may use the volume now.",
  volume_unmapped: "The client may not use the volume any more.",
  volume_extended: "The volume is larger.",
  volume_deleted: "The volume is deleted.",
  rebuild_started: "The MDM was told to rebuild.",
  rebuild_cancelled: "The MDM was told to stop the rebuild.",
  nodes_made: "The nodes are registered.",
  alert_changed: "The alert is changed.",
  alert_raised: "The alert is raised.",
  rule_changed: "The rule is changed.",
  config_changed: "The settings are changed.",
  cleaned_up: "What was too old is removed.",
  backup_made: "The backup is written.",
} as const;
export type DoneWord = keyof typeof DONE_SENTENCES;

/** True for a word that has a sentence. */
export function isDoneWord(word: string): word is DoneWord {
  return Object.hasOwn(DONE_SENTENCES, word);
}

/** A name that must be given. */
export const nameField = z.string().trim().min(1, "Give it a name.").max(128, "At most 128 characters.");

/** A positive number as it is typed. */
export const positiveField = z.string().trim().min(1, "Say how much.")
  .transform(Number).pipe(z.number("Write a number, such as 10 or 0.5.").positive("It must be more than 0."));

/** A whole number from 0 on as it is typed. */
export const wholeField = z.string().trim().regex(/^\d{1,15}$/, "Write a whole number, 0 or more.").transform(Number);

/** The number of something that was chosen from a list. */
export const chosenField = z.string().regex(/^\d{1,9}$/, "Choose one.").transform(Number);

/** The same, where nothing may be chosen. */
export const chosenOrNoneField = z.string().default("").transform((text) => text === "" ? undefined : text)
  .pipe(chosenField.optional());

/** `prefix-<n>` with the first number that none of `taken` has. */
export function freeName(prefix: string, taken: readonly { readonly name: string }[]): string {
  const names = new Set(taken.map(({ name }) => name));
  let number = taken.length + 1;
  while (names.has(`${prefix}-${number}`)) number++;
  return `${prefix}-${number}`;
}

/** Choices of a list, by their numbers. */
export function choicesOf<Item>(
  items: readonly Item[],
  textOf: (item: Item) => { readonly id: number; readonly label: string },
): { readonly value: string; readonly label: string }[] {
  return items.map((item) => {
    const { id, label } = textOf(item);
    return { value: String(id), label };
  });
}

/** `value` if it is one of `choices`, else the first choice. */
export function chosen(choices: readonly { readonly value: string }[], value: string | undefined): string {
  return choices.find((choice) => choice.value === value)?.value ?? choices[0]?.value ?? "";
}
