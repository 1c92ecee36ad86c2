/**
 * What a page is: a title and sections. Sections are rendered into the page at first, and again into its stream of events
 * whenever they change, so that a page keeps itself up to date.
 *
 * @module
 */
import type { ComponentChildren } from "preact";
import type { ClusterView } from "@/mgmt/core/cluster_view.ts";
import type { SignedIn } from "@/mgmt/auth/session_service.ts";

/** Part of a page that changes as one. */
export interface Section {
  /** Unique within the page and its frame. */
  readonly name: string;
  /** Null while there is nothing to say. */
  readonly content: ComponentChildren;
}

/** A way to a form. */
export interface PageAction {
  readonly title: string;
  readonly href: string;
  readonly isPrimary?: boolean;
}

/** A page of the frame. */
export interface Page {
  readonly title: string;
  /** Above the title: the list that the page belongs to. */
  readonly parent?: { readonly title: string; readonly href: string };
  readonly sections: readonly Section[];
  /** Such as 404 for a page of something that is not there; 200 without. */
  readonly status?: number;
  /** What one can do here, for those who may. */
  readonly actions?: readonly PageAction[];
  /** Holds what people type: it is never loaded again by itself. */
  readonly isForm?: boolean;
}

/** Colours that the reader chose. */
export type Theme = "auto" | "light" | "dark";

/** What the frame around a page shows. */
export interface FrameFacts {
  readonly view: ClusterView;
  /** Undefined where `POWERFLEX_AUTH=open` shows a page without login. */
  readonly signedIn: SignedIn | undefined;
  readonly theme: Theme;
  /** With its query. */
  readonly path: string;
  /** What a change that led here did, in words. */
  readonly done?: string | undefined;
  /** For forms of the frame. */
  readonly formToken: string;
}
