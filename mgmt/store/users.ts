/**
 * Table `users`: who may sign in.
 *
 * @module
 */
import type { DatabaseSync } from "node:sqlite";
import type { Failures } from "@/mgmt/core/lockout.ts";

/** What a user may do. Enforced where changes are made; everybody may look. */
export type UserRole = "admin" | "operator" | "viewer";

/** A row of `users`. */
export interface User {
  readonly id: number;
  readonly name: string;
  readonly role: UserRole;
  readonly isActive: boolean;
  /** As `mgmt/auth/passwords.ts` writes it. */
  readonly passwordHash: string;
  /** The password is the one-time password. */
  readonly mustChangePassword: boolean;
  readonly failures: Failures;
  readonly lastLoginAtMs: number | null;
}

/** The table. */
export class Users {
  readonly #database: DatabaseSync;

  constructor(database: DatabaseSync) {
    this.#database = database;
  }

  count(): number {
    return Number(this.#database.prepare("SELECT count(*) AS n FROM users").get()!["n"]);
  }

  /** Names are compared without regard to case. */
  byName(name: string): User | undefined {
    return userOf(this.#database.prepare("SELECT * FROM users WHERE name = ?").get(name));
  }

  byId(id: number): User | undefined {
    return userOf(this.#database.prepare("SELECT * FROM users WHERE id = ?").get(id));
  }

  /** Users who have not replaced their one-time password. */
  withOneTimePassword(): User[] {
    return this.#database.prepare("SELECT * FROM users WHERE must_change_password = 1 ORDER BY id").all()
      .map((row) => userOf(row)!);
  }

  /** Adds a user with a one-time password. */
  add(user: { name: string; role: UserRole; passwordHash: string; nowMs: number }): void {
    this.#database.prepare(
      "INSERT INTO users (name, role, password_hash, must_change_password, created_at_ms) VALUES (?, ?, ?, 1, ?)",
    ).run(user.name, user.role, user.passwordHash, user.nowMs);
  }

  setPassword(id: number, password: { hash: string; mustChange: boolean }): void {
    this.#database.prepare("UPDATE users SET password_hash = ?, must_change_password = ? WHERE id = ?")
      .run(password.hash, password.mustChange ? 1 : 0, id);
  }

  noteFailures(id: number, failures: Failures): void {
    this.#database.prepare("UPDATE users SET failed_attempts = ?, last_failed_at_ms = ? WHERE id = ?")
      .run(failures.count, Math.floor(failures.lastAtMs), id);
  }

  /** Forgets failures and notes the time. */
  noteLogin(id: number, nowMs: number): void {
    this.#database.prepare(
      "UPDATE users SET failed_attempts = 0, last_failed_at_ms = 0, last_login_at_ms = ? WHERE id = ?",
    ).run(Math.floor(nowMs), id);
  }
}

function userOf(row: Record<string, unknown> | undefined): User | undefined {
  if (!row) return undefined;
  return {
    id: Number(row["id"]),
    name: String(row["name"]),
    role: row["role"] as UserRole, // the table's CHECK names exactly these
    isActive: row["is_active"] === 1,
    passwordHash: String(row["password_hash"]),
    mustChangePassword: row["must_change_password"] === 1,
    failures: { count: Number(row["failed_attempts"]), lastAtMs: Number(row["last_failed_at_ms"]) },
    lastLoginAtMs: row["last_login_at_ms"] === null ? null : Number(row["last_login_at_ms"]),
  };
}
