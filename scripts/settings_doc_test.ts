import { assertEquals, assertStringIncludes } from "@std/assert";
import { CONFIGURATION_PAGE, configurationPage } from "@/scripts/settings_doc.ts";
import { settingNames } from "@/shared/settings.ts";

Deno.test("configurationPage() is what docs/configuration.md holds (else run deno task docs)", async () => {
  assertEquals(await Deno.readTextFile(CONFIGURATION_PAGE), configurationPage());
});

Deno.test("configurationPage() has a row for every setting", () => {
  const page = configurationPage();
  for (const name of settingNames()) assertStringIncludes(page, `\`${name}\``);
});
