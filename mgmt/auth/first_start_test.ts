import { assertEquals, assertNotEquals } from "@std/assert";
import {
  ONE_TIME_PASSWORD_FILE,
  prepareFirstUser,
  readSecretFile,
  removeOneTimePassword,
  secretKeyOf,
} from "@/mgmt/auth/first_start.ts";
import { PasswordHasher } from "@/mgmt/auth/passwords.ts";
import { openStore } from "@/mgmt/store/store.ts";
import { systemRandom } from "@/shared/random.ts";
import { FakeClock } from "@/tests/support/fake_clock.ts";

const hasher = new PasswordHasher(systemRandom, { logN: 4, r: 8, p: 1 });

async function inDirectory(body: (directory: string) => Promise<void>): Promise<void> {
  const directory = await Deno.makeTempDir();
  try {
    await body(directory);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

Deno.test("prepareFirstUser() makes admin once and hands the password over by a file of its owner only", async () => {
  await inDirectory(async (directory) => {
    using store = openStore(":memory:");
    const parts = {
      store,
      hasher,
      clock: new FakeClock(),
      random: systemRandom,
      directory,
      initialPassword: undefined,
    };
    await prepareFirstUser(parts);
    const password = readSecretFile(directory, ONE_TIME_PASSWORD_FILE)!;
    assertEquals(Deno.statSync(`${directory}/${ONE_TIME_PASSWORD_FILE}`).mode! & 0o777, 0o600);
    const admin = store.users.byName("admin")!;
    assertEquals([admin.role, admin.mustChangePassword], ["admin", true]);
    assertEquals(await hasher.matches(password, admin.passwordHash), true);

    await prepareFirstUser(parts);
    assertEquals(readSecretFile(directory, ONE_TIME_PASSWORD_FILE), password, "a second start changes nothing");

    removeOneTimePassword(directory);
    await prepareFirstUser(parts);
    const replaced = readSecretFile(directory, ONE_TIME_PASSWORD_FILE)!;
    assertNotEquals(replaced, password, "a lost password is replaced");
    assertEquals(await hasher.matches(replaced, store.users.byName("admin")!.passwordHash), true);

    store.users.setPassword(admin.id, { hash: "x", mustChange: false });
    removeOneTimePassword(directory);
    await prepareFirstUser(parts);
    assertEquals(readSecretFile(directory, ONE_TIME_PASSWORD_FILE), undefined, "a chosen password stays");
  });
});

Deno.test("prepareFirstUser() takes the operator's password", async () => {
  await inDirectory(async (directory) => {
    using store = openStore(":memory:");
    const initialPassword = "chosen by the operator";
    await prepareFirstUser({ store, hasher, clock: new FakeClock(), random: systemRandom, directory, initialPassword });
    assertEquals(readSecretFile(directory, ONE_TIME_PASSWORD_FILE), initialPassword);
  });
});

Deno.test("secretKeyOf() keeps the key over starts", async () => {
  await inDirectory((directory) => {
    const key = secretKeyOf(directory, systemRandom);
    assertEquals(key.length, 64);
    assertEquals(secretKeyOf(directory, systemRandom), key);
    return Promise.resolve();
  });
});
