/**
 * The files of MGMT's directory that hold secrets, all mode 0600: the secret key of sessions and forms, and the one-time
 * password of `admin` until it is replaced.
 *
 * @module
 */
import type { Clock } from "@/shared/clock.ts";
import { type Random, randomHex } from "@/shared/random.ts";
import { oneTimePassword, type PasswordHasher } from "@/mgmt/auth/passwords.ts";
import type { MgmtStore } from "@/mgmt/store/store.ts";

/** File that hands the one-time password over. */
export const ONE_TIME_PASSWORD_FILE = "one_time_password";
const SECRET_KEY_FILE = "secret_key";
/** The user of the first start. */
export const FIRST_USER = "admin";

/** Text of the file `name` in `directory` without white space around it; undefined when there is none. */
export function readSecretFile(directory: string, name: string): string | undefined {
  try {
    return Deno.readTextFileSync(`${directory}/${name}`).trim();
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

/** Writes the file `name` in `directory`, readable by its owner only; never half, not even when the host stops. */
export function writeSecretFile(directory: string, name: string, text: string): void {
  const path = `${directory}/${name}`;
  const temporaryPath = `${path}.new`;
  removeFile(temporaryPath);
  const file = Deno.openSync(temporaryPath, { write: true, createNew: true, mode: 0o600 });
  try {
    file.writeSync(new TextEncoder().encode(`${text}\n`));
    file.syncSync();
  } finally {
    file.close();
  }
  Deno.renameSync(temporaryPath, path);
}

/** Removes the file with the one-time password, if there is one. */
export function removeOneTimePassword(directory: string): void {
  removeFile(`${directory}/${ONE_TIME_PASSWORD_FILE}`);
}

/** The secret key of `directory`, made at the first start. */
export function secretKeyOf(directory: string, random: Random): string {
  const kept = readSecretFile(directory, SECRET_KEY_FILE);
  if (kept !== undefined && kept.length >= 32) return kept;
  const made = randomHex(random, 32);
  writeSecretFile(directory, SECRET_KEY_FILE, made);
  return made;
}

interface FirstStartParts {
  readonly store: MgmtStore;
  readonly hasher: PasswordHasher;
  readonly clock: Clock;
  readonly random: Random;
  readonly directory: string;
  /** One-time password chosen by the operator. */
  readonly initialPassword: string | undefined;
}

/**
 * Makes `admin` at the first start and hands its one-time password over. Later starts do nothing, unless the password is still
 * the one-time password and its file is gone: then nobody knows it, and a new one replaces it.
 */
export async function prepareFirstUser(parts: FirstStartParts): Promise<void> {
  const { store, hasher, clock, random, directory } = parts;
  const pending = store.users.withOneTimePassword()[0];
  const isFirstStart = store.users.count() === 0;
  if (!isFirstStart && (!pending || readSecretFile(directory, ONE_TIME_PASSWORD_FILE) !== undefined)) return;
  const password = parts.initialPassword ?? oneTimePassword(random);
  const passwordHash = await hasher.hash(password);
  const nowMs = clock.wallMs();
  if (pending) {
    store.users.setPassword(pending.id, { hash: passwordHash, mustChange: true });
  } else {
    store.users.add({ name: FIRST_USER, role: "admin", passwordHash, nowMs });
    store.audit.add({
      atMs: nowMs,
      userName: FIRST_USER,
      action: "user_created",
      address: "",
      result: "ok",
      detail: "first start",
    });
  }
  // The file last: a stop before it leaves a password without a file, which the next start replaces.
  writeSecretFile(directory, ONE_TIME_PASSWORD_FILE, password);
}

function removeFile(path: string): void {
  try {
    Deno.removeSync(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}
