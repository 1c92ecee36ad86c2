import { assertEquals, assertThrows } from "@std/assert";
import { SettingsError } from "@/shared/settings.ts";
import { readJoinToken } from "@/shared/settings/environment.ts";

Deno.test("readJoinToken() takes the value before the file, the file without its line end, and says what is missing", () => {
  const joinTokenFile = Deno.makeTempFileSync();
  try {
    Deno.writeTextFileSync(joinTokenFile, "from-file\n");
    assertEquals(readJoinToken({ joinToken: "direct", joinTokenFile }), "direct");
    assertEquals(readJoinToken({ joinToken: undefined, joinTokenFile }), "from-file");
    assertEquals(readJoinToken({ joinToken: undefined, joinTokenFile: undefined }), undefined);
  } finally {
    Deno.removeSync(joinTokenFile);
  }
  assertThrows(
    () => readJoinToken({ joinToken: undefined, joinTokenFile }),
    SettingsError,
    `POWERFLEX_JOIN_TOKEN_FILE is "${joinTokenFile}", which cannot be read`,
  );
});
