/**
 * What an administrator may set while MGMT runs, and the care of its database.
 *
 * @module
 */
import type { ComponentChildren } from "preact";
import { CONFIG_KEYS, type ConfigKey } from "@/mgmt/store/config.ts";
import { FormField } from "@/mgmt/views/forms.tsx";
import type { Page } from "@/mgmt/views/page.ts";
import { Facts, Panel } from "@/mgmt/views/parts.tsx";

/** The page. */
export function settingsPage(facts: {
  readonly values: Readonly<Record<ConfigKey, string>>;
  readonly errors: Readonly<Record<string, string>>;
  readonly formToken: string;
  readonly fixed: Readonly<Record<string, ComponentChildren>>;
  readonly report: string | undefined;
}): Page {
  const token = <input type="hidden" name="form_token" value={facts.formToken} />;
  return {
    title: "Settings",
    isForm: true,
    sections: [
      {
        name: "retention",
        content: (
          <Panel title="How long things are kept">
            <form method="post" action="/settings" class="stacked" novalidate>
              {token}
              {Object.entries(CONFIG_KEYS).map(([key, { about, min }]) => (
                <FormField
                  key={key}
                  field={{ name: key, label: about, kind: "number", value: "", min, step: 1 }}
                  value={facts.values[key as ConfigKey]}
                  error={facts.errors[key]}
                  isFirst={false}
                />
              ))}
              <div class="buttons">
                <button type="submit" class="primary">Save</button>
              </div>
            </form>
          </Panel>
        ),
      },
      {
        name: "care",
        content: (
          <Panel title="Database" note="MGMT cleans up by itself every ten minutes">
            {facts.report !== undefined && <p class="done" role="status">{facts.report}</p>}
            <form method="post" class="buttons">
              {token}
              <button type="submit" formaction="/settings/clean-up">Clean up now</button>
              <button type="submit" formaction="/settings/backup">Make a backup</button>
            </form>
          </Panel>
        ),
      },
      {
        name: "fixed",
        content: (
          <Panel title="Set where MGMT is started">
            <Facts facts={facts.fixed} />
          </Panel>
        ),
      },
    ],
  };
}
