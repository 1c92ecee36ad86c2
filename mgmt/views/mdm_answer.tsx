/**
 * An answer of the MDM as it stands, for what has no page of its own.
 *
 * @module
 */
import type { ComponentChildren } from "preact";
import type { OperatorAnswer } from "@/mgmt/mdm_client.ts";
import type { Page } from "@/mgmt/views/page.ts";
import { Facts, LevelIcon, Panel } from "@/mgmt/views/parts.tsx";

/** Fields of an answer that are shown. */
const FIELDS_SHOWN_MAX = 40;

/** The page. */
export function mdmAnswerPage(
  facts: {
    readonly title: string;
    readonly parent: NonNullable<Page["parent"]>;
    readonly answer: OperatorAnswer;
  },
): Page {
  const { title, parent, answer } = facts;
  return {
    title,
    parent,
    sections: [{
      name: "mdm-answer",
      content: answer.kind === "refused"
        ? (
          <div class="statement level-unknown">
            <LevelIcon level="unknown" />
            <div>
              <p class="sentence">The MDM says: {answer.detail}</p>
              <p class="quiet">Status {answer.status}</p>
            </div>
          </div>
        )
        : (
          <Panel title="What the MDM says">
            <Facts facts={factsOf(answer.value)} />
          </Panel>
        ),
    }],
  };
}

function factsOf(value: unknown): Record<string, ComponentChildren> {
  if (typeof value !== "object" || value === null) return { Answer: String(value) };
  const entries = Object.entries(value).slice(0, FIELDS_SHOWN_MAX);
  return Object.fromEntries(entries.map(([name, field]) => [name.replaceAll("_", " "), textOf(field)]));
}

function textOf(value: unknown): string {
  if (value === null) return "–";
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}
