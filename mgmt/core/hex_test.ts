import { assertEquals } from "@std/assert";
import { hexLines } from "@/mgmt/core/hex.ts";

Deno.test("hexLines() shows 16 bytes a line, with what can be printed", () => {
  const bytes = new TextEncoder().encode("Hello PowerFlex!\n\x00é");
  assertEquals(hexLines(bytes), [
    "00000000  48 65 6c 6c 6f 20 50 6f 77 65 72 46 6c 65 78 21  |Hello PowerFlex!|",
    `00000010  0a 00 c3 a9${" ".repeat(36)}  |....|`,
  ]);
  assertEquals(hexLines(new Uint8Array()), []);
});
