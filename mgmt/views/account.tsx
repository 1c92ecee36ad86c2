/**
 * Signing in, the password, one's own sessions, and the audit log.
 *
 * @module
 */
import { PASSWORD_LENGTH_MAX, PASSWORD_LENGTH_MIN } from "@/mgmt/auth/passwords.ts";
import type { SignedIn } from "@/mgmt/auth/session_service.ts";
import type { AuditEntry } from "@/mgmt/store/audit_log.ts";
import type { SessionRow } from "@/mgmt/store/sessions.ts";
import type { Page } from "@/mgmt/views/page.ts";
import { Badge, DateTime, Empty, Panel, Table } from "@/mgmt/views/parts.tsx";

/** The sign-in form. */
export function SignInForm(props: {
  readonly formToken: string;
  readonly next: string;
  readonly name: string;
  readonly problem: string | undefined;
  /** Somebody still has the one-time password: say where it is. */
  readonly firstTime: boolean;
}) {
  return (
    <form method="post" action="/sign-in" class="card">
      <h1>Sign in</h1>
      <Problem text={props.problem} />
      <input type="hidden" name="form_token" value={props.formToken} />
      <input type="hidden" name="next" value={props.next} />
      <label for="name">User</label>
      <input
        id="name"
        name="name"
        value={props.name}
        autocomplete="username"
        autocapitalize="none"
        spellcheck={false}
        autofocus={props.name === ""}
        required
      />
      <label for="password">Password</label>
      <input
        id="password"
        name="password"
        type="password"
        autocomplete="current-password"
        required
        autofocus={props.name !== ""}
      />
      <button type="submit" class="primary">Sign in</button>
      {props.firstTime && (
        <p class="hint">
          First time? The user is{" "}
          <code>admin</code>. The demo printed the one-time password when it started; otherwise it is in the file{" "}
          <code>one_time_password</code> in MGMT's data directory.
        </p>
      )}
    </form>
  );
}

/** The form that replaces the one-time password. */
export function FirstPasswordForm(props: {
  readonly formToken: string;
  readonly userName: string;
  readonly problem: string | undefined;
}) {
  return (
    <form method="post" action="/password" class="card">
      <h1>Choose your password</h1>
      <p class="hint">The one-time password ends here. This is the only step.</p>
      <Problem text={props.problem} />
      <input type="hidden" name="form_token" value={props.formToken} />
      <input type="text" name="username" value={props.userName} autocomplete="username" hidden />
      <NewPasswordFields />
      <button type="submit" class="primary">Set password and go on</button>
    </form>
  );
}

function NewPasswordFields() {
  const limits = { minlength: PASSWORD_LENGTH_MIN, maxlength: PASSWORD_LENGTH_MAX };
  return (
    <>
      <label for="next-password">New password</label>
      <input
        id="next-password"
        name="password"
        type="password"
        autocomplete="new-password"
        required
        {...limits}
        aria-describedby="rule"
      />
      <p class="hint" id="rule">At least {PASSWORD_LENGTH_MIN} characters. A few unrelated words do well.</p>
      <label for="repeated-password">The same again</label>
      <input id="repeated-password" name="repeated" type="password" autocomplete="new-password" required {...limits} />
    </>
  );
}

function Problem({ text }: { readonly text: string | undefined }) {
  return text === undefined ? null : <p class="problem" role="alert">{text}</p>;
}

/** One's own password and sessions. */
export function accountPage(
  signedIn: SignedIn,
  facts: { readonly sessions: readonly SessionRow[]; readonly problem: string | undefined; readonly changed: boolean },
): Page {
  return {
    title: "Your account",
    isForm: true,
    sections: [
      {
        name: "password-panel",
        content: (
          <Panel title="Password">
            {facts.changed && <p class="done" role="status">The password is changed; all other sessions have ended.</p>}
            <form method="post" action="/password" class="stacked">
              <Problem text={facts.problem} />
              <input type="hidden" name="form_token" value={signedIn.formToken} />
              <input type="text" name="username" value={signedIn.user.name} autocomplete="username" hidden />
              <label for="current-password">Current password</label>
              <input id="current-password" name="current" type="password" autocomplete="current-password" required />
              <NewPasswordFields />
              <button type="submit" class="primary">Change password</button>
            </form>
          </Panel>
        ),
      },
      {
        name: "sessions-panel",
        content: (
          <Panel title="Where you are signed in" flush>
            <Table
              caption="Your sessions"
              rows={facts.sessions}
              rowKey={(session) => session.idHash}
              columns={[
                { title: "From", cell: (session) => session.address || "unknown" },
                {
                  title: "Session",
                  cell: (session) => session.idHash === signedIn.session.idHash ? "this one" : "another",
                },
                { title: "Browser", cell: (session) => <span class="agent">{session.agent}</span>, wideOnly: true },
                { title: "Last used", cell: (session) => <DateTime atMs={session.lastUsedAtMs} /> },
              ]}
            />
            {facts.sessions.length > 1 && (
              <form method="post" action="/account/end-other-sessions" class="below">
                <input type="hidden" name="form_token" value={signedIn.formToken} />
                <button type="submit">End all other sessions</button>
              </form>
            )}
          </Panel>
        ),
      },
    ],
  };
}

const ACTION_WORDS: Readonly<Record<AuditEntry["action"], string>> = {
  user_login: "Signed in",
  user_logout: "Signed out",
  user_created: "User made",
  password_changed: "Password changed",
  sessions_ended: "Other sessions ended",
  domain_created: "Protection domain made",
  domain_deleted: "Protection domain deleted",
  pool_created: "Pool made",
  pool_deleted: "Pool deleted",
  sds_added: "Storage server added",
  sds_failed: "Storage server marked failed",
  sds_recovered: "Storage server let back",
  sdc_added: "Client added",
  nodes_bootstrapped: "Minimal set of nodes registered",
  volume_created: "Volume made",
  volume_mapped: "Volume mapped",
  volume_unmapped: "Volume unmapped",
  volume_extended: "Volume extended",
  volume_deleted: "Volume deleted",
  volume_written: "Written to a volume",
  volume_read: "Read from a volume",
  rebuild_started: "Rebuild started",
  rebuild_cancelled: "Rebuild stopped",
  alert_raised: "Alert raised",
  alert_acknowledged: "Alert acknowledged",
  alert_suppressed: "Alert suppressed",
  alert_resolved: "Alert resolved",
  config_changed: "Settings changed",
  clean_up: "Database cleaned up",
  backup_made: "Backup made",
};

/** Who did what. */
export function auditPage(entries: readonly AuditEntry[]): Page {
  return {
    title: "Audit log",
    sections: [{
      name: "audit",
      content: entries.length === 0
        ? <Empty title="Nothing has been written down yet.">{null}</Empty>
        : (
          <Panel title={`The newest ${entries.length}`} flush>
            <Table
              caption="Audit log"
              rows={entries.map((entry, index) => ({ entry, index }))}
              rowKey={({ index }) => index}
              columns={[
                { title: "When", cell: ({ entry }) => <DateTime atMs={entry.atMs} /> },
                { title: "User", cell: ({ entry }) => entry.userName || "–" },
                { title: "What", cell: ({ entry }) => <code title={ACTION_WORDS[entry.action]}>{entry.action}</code> },
                {
                  title: "Result",
                  cell: ({ entry }) => (
                    <Badge
                      badge={entry.result === "ok"
                        ? { level: "ok", word: "ok" }
                        : { level: "warning", word: "refused" }}
                    />
                  ),
                },
                { title: "From", cell: ({ entry }) => entry.address || "–", wideOnly: true },
                { title: "Detail", cell: ({ entry }) => entry.detail, wideOnly: true },
              ]}
            />
          </Panel>
        ),
    }],
  };
}

/** A failure in place of a page. */
export function ErrorCard(props: { readonly title: string; readonly detail: string; readonly requestId: string }) {
  return (
    <div class="card">
      <h1>{props.title}</h1>
      <p>{props.detail}</p>
      <p>
        <a href="/">Back to the overview</a>
      </p>
      {props.requestId !== "" && <p class="hint">Request {props.requestId}; the log names it too.</p>}
    </div>
  );
}
