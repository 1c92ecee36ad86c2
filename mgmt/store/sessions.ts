/**
 * Table `sessions`: who is signed in. The id that the browser holds is never stored, only its hash.
 *
 * @module
 */
import type { DatabaseSync } from "node:sqlite";

/** A row of `sessions`. Times are MGMT's wall clock in ms. */
export interface SessionRow {
  readonly idHash: string;
  readonly userId: number;
  /** Where it was opened from. */
  readonly address: string;
  /** The browser's User-Agent, shortened. */
  readonly agent: string;
  readonly createdAtMs: number;
  readonly lastUsedAtMs: number;
}

/** Sessions of one user at a time; the longest unused one gives way. */
export const SESSIONS_PER_USER_MAX = 20;

/** The table. */
export class Sessions {
  readonly #database: DatabaseSync;

  constructor(database: DatabaseSync) {
    this.#database = database;
  }

  /** Adds `row`; the longest unused sessions of that user beyond {@linkcode SESSIONS_PER_USER_MAX} end. */
  add(row: SessionRow): void {
    this.#database.prepare(
      "INSERT INTO sessions (id_hash, user_id, address, agent, created_at_ms, last_used_at_ms) VALUES (?, ?, ?, ?, ?, ?)",
    ).run(row.idHash, row.userId, row.address, row.agent, Math.floor(row.createdAtMs), Math.floor(row.lastUsedAtMs));
    this.#database.prepare(`
      DELETE FROM sessions WHERE user_id = ?1 AND id_hash NOT IN (
        SELECT id_hash FROM sessions WHERE user_id = ?1 ORDER BY last_used_at_ms DESC, created_at_ms DESC LIMIT ?2
      )
    `).run(row.userId, SESSIONS_PER_USER_MAX);
  }

  find(idHash: string): SessionRow | undefined {
    const row = this.#database.prepare("SELECT * FROM sessions WHERE id_hash = ?").get(idHash);
    return row && sessionOf(row);
  }

  /** Newest use first. */
  ofUser(userId: number): SessionRow[] {
    return this.#database.prepare("SELECT * FROM sessions WHERE user_id = ? ORDER BY last_used_at_ms DESC").all(userId)
      .map(sessionOf);
  }

  noteUse(idHash: string, nowMs: number): void {
    this.#database.prepare("UPDATE sessions SET last_used_at_ms = ? WHERE id_hash = ?").run(Math.floor(nowMs), idHash);
  }

  end(idHash: string): void {
    this.#database.prepare("DELETE FROM sessions WHERE id_hash = ?").run(idHash);
  }

  /** Ends every session of `userId` but the one named. */
  endOthers(userId: number, keptIdHash: string): void {
    this.#database.prepare("DELETE FROM sessions WHERE user_id = ? AND id_hash <> ?").run(userId, keptIdHash);
  }

  /** Removes what was created or last used before the times given. */
  removeExpired(before: { createdMs: number; usedMs: number }): void {
    this.#database.prepare("DELETE FROM sessions WHERE created_at_ms <= ? OR last_used_at_ms <= ?")
      .run(Math.floor(before.createdMs), Math.floor(before.usedMs));
  }
}

function sessionOf(row: Record<string, unknown>): SessionRow {
  return {
    idHash: String(row["id_hash"]),
    userId: Number(row["user_id"]),
    address: String(row["address"]),
    agent: String(row["agent"]),
    createdAtMs: Number(row["created_at_ms"]),
    lastUsedAtMs: Number(row["last_used_at_ms"]),
  };
}
