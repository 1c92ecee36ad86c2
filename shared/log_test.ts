import { assertEquals, assertMatch } from "@std/assert";
import { StorageError } from "@/shared/errors.ts";
import { logger, startLogging, stopLogging } from "@/shared/log.ts";

function logged(options: { logLevel: "info" | "warning"; logFormat: "pretty" | "json" }, write: () => void): string[] {
  const lines: string[] = [];
  startLogging({ ...options, colours: false, write: (line) => lines.push(line) });
  try {
    write();
  } finally {
    stopLogging();
  }
  return lines;
}

Deno.test("startLogging() writes one JSON object per line with the message's values", () => {
  const [line] = logged({ logLevel: "info", logFormat: "json" }, () => {
    logger("sds", "links").info("Link to SDS {sdsId} is open", { sdsId: 2 });
  });
  const record = JSON.parse(line!);
  assertEquals([record.level, record.message, record.logger, record.sdsId], [
    "INFO",
    "Link to SDS 2 is open",
    "powerflex.sds.links",
    2,
  ]);
  assertEquals(line!.endsWith("\n"), true);
});

Deno.test("startLogging() writes pretty lines for people", () => {
  const [line] = logged(
    { logLevel: "info", logFormat: "pretty" },
    () => logger("mdm").warning("Pool {name} is full", { name: "p" }),
  );
  assertMatch(line!, /^\d\d:\d\d:\d\d\.\d{3} \[WRN\] mdm: Pool "?p"? is full\n$/);
});

Deno.test("startLogging() writes a failure that is handled as its sentence, others with their place", () => {
  const lines = logged({ logLevel: "info", logFormat: "pretty" }, () => {
    logger("sds").warning("Cannot beat: {error}", { error: new StorageError("unavailable", "Cannot reach the MDM") });
    logger("sds").error("Cannot beat: {error}", { error: new TypeError("is not a function") });
  });
  assertMatch(lines[0]!, /Cannot beat: Cannot reach the MDM\n$/);
  assertMatch(lines[1]!, /TypeError: is not a function\n +at /);
});

Deno.test("startLogging() adds to a pretty line what its message does not mention", () => {
  const [line] = logged({ logLevel: "info", logFormat: "pretty" }, () => {
    logger("sds").error("Device {name} failed", { name: "blk0", reason: "no space", attempts: 2 });
  });
  assertMatch(line!, /Device "?blk0"? failed reason="no space" attempts=2\n$/);
});

Deno.test("startLogging() leaves out what is below the level", () => {
  const lines = logged({ logLevel: "warning", logFormat: "json" }, () => {
    logger("mdm").info("quiet");
    logger("mdm").error("loud");
  });
  assertEquals(lines.map((line) => JSON.parse(line).message), ["loud"]);
});
