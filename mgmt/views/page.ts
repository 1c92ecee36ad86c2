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

/** A page of the frame. */
export interface Page {
  readonly title: string;
  /** Above the title: the list that the page belongs to. */
  readonly parent?: { readonly title: string; readonly href: string };
  readonly sections: readonly Section[];
  /** 404 for a page of something that is not there. */
  readonly status?: 200 | 404;
}

/** Colours that the reader chose. */
export type Theme = "auto" | "light" | "dark";

/** What the frame around a page shows. */
export interface FrameFacts {
  readonly view: ClusterView;
  /** Undefined where `POWERFLEX_AUTH=open` shows a page without login. */
  readonly signedIn: SignedIn | undefined;
  readonly theme: Theme;
  readonly path: string;
  /** For forms of the frame. */
  readonly formToken: string;
}
