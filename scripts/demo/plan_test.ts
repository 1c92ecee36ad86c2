import { assertEquals, assertMatch } from "@std/assert";
import { DEMO_HELP, type DemoOptions, parseDemoOptions, sizeBytes } from "@/scripts/demo/options.ts";
import { membersOf, planOf, planProblems, stopOrder } from "@/scripts/demo/plan.ts";
import { readMdmSettings, readMgmtSettings, readSdcSettings, readSdsSettings } from "@/shared/settings.ts";

const PLACE = { dir: "/data/.powerflex", temporaryDir: "/tmp", hostIdentity: { POWERFLEX_BOOT_ID: "0123456789" } };

function options(...args: string[]): DemoOptions {
  const parsed = parseDemoOptions(args);
  if (parsed.kind !== "options") throw new Error(parsed.text);
  return parsed.options;
}

Deno.test("parseDemoOptions() gives defaults, reads every flag and shows help", () => {
  assertEquals(options(), {
    dataDir: ".powerflex",
    portOffset: 0,
    sdsCount: 3,
    sdcCount: 1,
    volumeBytes: 2 ** 30,
    bare: false,
    reset: false,
    restart: true,
  });
  const all = "--data-dir d --port-offset 100 --sds 5 --sdc 2 --volume-size 1.5GiB --bare --reset --no-restart".split(
    " ",
  );
  assertEquals(options(...all), {
    dataDir: "d",
    portOffset: 100,
    sdsCount: 5,
    sdcCount: 2,
    volumeBytes: 1.5 * 2 ** 30,
    bare: true,
    reset: true,
    restart: false,
  });
  assertEquals(parseDemoOptions(["-h"]), { kind: "text", text: DEMO_HELP, exitCode: 0 });
});

Deno.test("parseDemoOptions() refuses what it cannot use and says what would do", async (t) => {
  const cases: [string[], RegExp][] = [
    [["--sds", "1"], /--sds is "1": it must be a whole number from 2 to 100/],
    [["--port-offset", "many"], /--port-offset is "many"/],
    [["--volume-size", "1GB"], /--volume-size is "1GB": .*such as 512MiB/],
    [["--colour"], /--colour/],
    [["stray"], /stray/],
  ];
  for (const [args, expected] of cases) {
    await t.step(args.join(" "), () => {
      const parsed = parseDemoOptions(args);
      assertEquals(parsed.kind === "text" && parsed.exitCode, 2);
      assertMatch(parsed.kind === "text" ? parsed.text : "", expected);
    });
  }
});

Deno.test("sizeBytes() rounds up to whole blocks and keeps to possible volumes", () => {
  assertEquals(sizeBytes("1MiB"), 2 ** 20);
  assertEquals(sizeBytes("1.001MiB"), 2 ** 20 + 4096);
  assertEquals(["0.5MiB", "17TiB", "1", "1 gib"].map(sizeBytes), [undefined, undefined, undefined, undefined]);
});

Deno.test("planOf() gives every process settings that it accepts, with ports of its own", () => {
  const plan = planOf(options("--sds", "4", "--sdc", "3", "--port-offset", "20"), PLACE);
  assertEquals(planProblems(plan), []);
  assertEquals(readMdmSettings(plan.mdm.environment).apiPort, 8021);
  assertEquals(readMgmtSettings(plan.mgmt.environment).mdmUrl, "http://127.0.0.1:8021");
  const fourth = readSdsSettings(plan.sds[3]!.environment);
  assertEquals([fourth.nodeId, fourth.controlPort, fourth.mgmtPort, fourth.dataPort], ["sds-4", 9123, 9223, 9723]);
  const third = readSdcSettings(plan.sdc[2]!.environment);
  assertEquals([third.nodeId, third.controlPort, third.nbdPort], ["sdc-3", 8043, 10849]);
  assertEquals(third.nbdSocket, "/data/.powerflex/sdc-3/nbd.sock");
  assertEquals([third.auth, third.times.outAfterMs, third.times.stopMs], ["open", 60_000, 2_000]);
});

Deno.test("planOf() moves a socket whose path would be too long", () => {
  const plan = planOf(options(), { ...PLACE, dir: `/${"d".repeat(100)}` });
  assertEquals(plan.sdc[0]!.nbdSocket, "/tmp/powerflex-nbd-10809.sock");
});

Deno.test("planProblems() finds ports beyond the last", () => {
  const plan = { ...planOf(options(), PLACE) };
  const mgmt = { ...plan.mgmt, ports: [{ use: "dashboard", port: 65_536 }] };
  assertEquals(planProblems({ ...plan, mgmt }), [
    "Port 65536 of dashboard is above 65535: choose a smaller --port-offset",
  ]);
  assertEquals(planProblems({ ...plan, mgmt: { ...mgmt, ports: plan.mdm.ports } }).length, 1);
});

Deno.test("stopOrder() stops users of others first and names every process once", () => {
  const plan = planOf(options("--sdc", "2"), PLACE);
  const names = stopOrder(plan).map((group) => group.map(({ name }) => name));
  assertEquals(names, [["sdc-1", "sdc-2", "mgmt"], ["sds-1", "sds-2", "sds-3"], ["mdm"]]);
  assertEquals(names.flat().sort(), membersOf(plan).map(({ name }) => name).sort());
});
