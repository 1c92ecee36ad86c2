import { assertEquals, assertMatch, assertStringIncludes, assertThrows } from "@std/assert";
import { TIMES } from "@/shared/constants.ts";
import {
  type Environment,
  readMdmSettings,
  readMgmtSettings,
  readSdcSettings,
  readSdsSettings,
  settingNames,
  SettingsError,
} from "@/shared/settings.ts";

function problemsOf(read: (environment: Environment) => unknown, environment: Environment): readonly string[] {
  return assertThrows(() => read(environment), SettingsError).problems;
}

Deno.test("readMdmSettings() gives the defaults of an empty environment", () => {
  const settings = readMdmSettings({});
  assertEquals([settings.apiPort, settings.bindHost, settings.dataDir], [8001, "127.0.0.1", ".powerflex/mdm"]);
  assertEquals([settings.dbPath, settings.auth], [".powerflex/mdm/powerflex.db", "token"]);
  assertEquals(settings.times, { ...TIMES });
});

Deno.test("readSdsSettings() adds the index to the base ports and lets an own port win", () => {
  const third = readSdsSettings({ POWERFLEX_SDS_INDEX: "2", POWERFLEX_SDS_DATA_PORT: "9999" });
  assertEquals(third.storageRoot, ".powerflex/sds-3/devices");
  assertEquals([third.nodeId, third.controlPort, third.mgmtPort, third.dataPort], ["sds-3", 9102, 9202, 9999]);
});

Deno.test("readSdcSettings() accepts the alias of a name and refuses two that differ", () => {
  assertEquals(readSdcSettings({ POWERFLEX_SDC_SERVICE_PORT: "8105" }).devicePort, 8105);
  assertEquals(
    readSdcSettings({ POWERFLEX_SDC_SERVICE_PORT: "8105", POWERFLEX_SDC_DEVICE_PORT: "8105" }).devicePort,
    8105,
  );
  const [problem] = problemsOf(readSdcSettings, {
    POWERFLEX_SDC_SERVICE_PORT: "8105",
    POWERFLEX_SDC_DEVICE_PORT: "8205",
  });
  assertEquals(
    problem,
    'POWERFLEX_SDC_DEVICE_PORT is "8205" and POWERFLEX_SDC_SERVICE_PORT is "8105", but they are one setting: ' +
      "unset POWERFLEX_SDC_SERVICE_PORT",
  );
});

Deno.test("readMgmtSettings() makes the MDM's address of host and port, or takes the whole", () => {
  assertEquals(readMgmtSettings({}).mdmUrl, "http://127.0.0.1:8001");
  assertEquals(
    readMgmtSettings({ POWERFLEX_MDM_ADDRESS: "fd00::7", POWERFLEX_MDM_API_PORT: "81" }).mdmUrl,
    "http://[fd00::7]:81",
  );
  assertEquals(
    readMgmtSettings({ POWERFLEX_MDM_BASE_URL: "https://mdm.example:8443/" }).mdmUrl,
    "https://mdm.example:8443",
  );
});

Deno.test("readMdmSettings() accepts every spelling of a time and an empty variable as not set", () => {
  for (const [text, expected] of [["90000", 90_000], ["90s", 90_000], ["2min", 120_000], ["1h", 3_600_000]] as const) {
    assertEquals(readMdmSettings({ POWERFLEX_OUT_AFTER_MS: text }).times.outAfterMs, expected);
  }
  assertEquals(readMdmSettings({ POWERFLEX_OUT_AFTER_MS: " " }).times.outAfterMs, TIMES.outAfterMs);
});

Deno.test("settings of one process name every mistake at once", () => {
  const problems = problemsOf(readMdmSettings, {
    POWERFLEX_MDM_API_PORT: "0",
    POWERFLEX_LOG_LEVEL: "loud",
    POWERFLEX_MDM_API_PROT: "1",
    POWERFLEX_TEST_PEERS: "required",
  });
  assertEquals(problems, [
    "POWERFLEX_MDM_API_PROT is not a setting: the nearest is POWERFLEX_MDM_API_PORT",
    'POWERFLEX_MDM_API_PORT is "0": it must be at least 1',
    'POWERFLEX_LOG_LEVEL is "loud": it must be one of trace, debug, info, warning, error',
  ]);
});

Deno.test("settings are refused one by one with the variable, the value and the remedy", async (t) => {
  const cases: [string, (environment: Environment) => unknown, Environment, RegExp][] = [
    [
      "port not a number",
      readSdcSettings,
      { POWERFLEX_SDC_NBD_PORT: "10e3" },
      /SDC_NBD_PORT is "10e3": .* whole number/,
    ],
    ["port too large", readSdcSettings, { POWERFLEX_SDC_NBD_PORT: "65536" }, /at most 65535/],
    ["base plus index too large", readSdsSettings, {
      POWERFLEX_DATA_BASE_PORT: "65535",
      POWERFLEX_SDS_INDEX: "1",
    }, /DATA_BASE_PORT \+ POWERFLEX_SDS_INDEX is 65536 .*ports end at 65535/],
    ["scheme of the MDM", readSdsSettings, { POWERFLEX_MDM_BASE_URL: "ftp://mdm:21" }, /http or https with a host/],
    ["no host of the MDM", readSdsSettings, { POWERFLEX_MDM_BASE_URL: "http://:8001" }, /http or https with a host/],
    ["path of the MDM", readSdsSettings, { POWERFLEX_MDM_BASE_URL: "http://mdm/api" }, /end after host and port/],
    [
      "MDM on the SDSs' data base",
      readMdmSettings,
      { POWERFLEX_MDM_API_PORT: "9700" },
      /MDM_API_PORT and POWERFLEX_DATA_BASE_PORT are both 9700/,
    ],
    [
      "SDS data on the MDM",
      readSdsSettings,
      { POWERFLEX_SDS_DATA_PORT: "8001" },
      /MDM_API_PORT and POWERFLEX_SDS_DATA_PORT are both 8001/,
    ],
    [
      "SDS data on the SDC",
      readSdsSettings,
      { POWERFLEX_SDS_DATA_PORT: "8005" },
      /SDS_DATA_PORT and POWERFLEX_SDC_DEVICE_PORT are both 8005/,
    ],
    [
      "SDC on the MDM",
      readSdcSettings,
      { POWERFLEX_SDC_DEVICE_PORT: "8001" },
      /MDM_API_PORT and POWERFLEX_SDC_DEVICE_PORT are both 8001/,
    ],
    [
      "SDC on the SDSs' data base",
      readSdcSettings,
      { POWERFLEX_SDC_DEVICE_PORT: "9700" },
      /DATA_BASE_PORT and POWERFLEX_SDC_DEVICE_PORT are both 9700/,
    ],
    [
      "another listener of the SDC on the MDM",
      readSdcSettings,
      { POWERFLEX_SDC_CONTROL_PORT: "8001" },
      /MDM_API_PORT and POWERFLEX_SDC_CONTROL_PORT are both 8001/,
    ],
    [
      "NBD on the SDSs' data base",
      readSdcSettings,
      { POWERFLEX_SDC_NBD_PORT: "9700" },
      /DATA_BASE_PORT and POWERFLEX_SDC_NBD_PORT are both 9700/,
    ],
    [
      "GUI on the MDM",
      readMgmtSettings,
      { POWERFLEX_GUI_PORT: "8001" },
      /MDM_API_PORT and POWERFLEX_MGMT_GUI_PORT are both 8001.*change one/,
    ],
    [
      "two listeners of one SDC",
      readSdcSettings,
      { POWERFLEX_SDC_NBD_PORT: "8003" },
      /SDC_CONTROL_PORT and POWERFLEX_SDC_NBD_PORT are both 8003/,
    ],
    ["quorum", readSdcSettings, { POWERFLEX_WRITE_ACK_POLICY: "quorum" }, /quorum", which is refused: .*set it to all/],
    ["open on all addresses", readMdmSettings, {
      POWERFLEX_AUTH: "open",
      POWERFLEX_BIND_HOST: "0.0.0.0",
      POWERFLEX_ADVERTISE_HOST: "mdm",
    }, /AUTH is "open", but POWERFLEX_BIND_HOST is "0.0.0.0".*set POWERFLEX_AUTH=token/],
    ["open on a role's own address", readSdsSettings, {
      POWERFLEX_AUTH: "open",
      POWERFLEX_SDS_BIND_HOST: "10.0.0.7",
    }, /POWERFLEX_SDS_BIND_HOST is "10.0.0.7"/],
    [
      "all addresses without a name",
      readSdsSettings,
      { POWERFLEX_BIND_HOST: "0.0.0.0" },
      /set POWERFLEX_ADVERTISE_HOST/,
    ],
    ["another role", readSdsSettings, { POWERFLEX_COMPONENT_ROLE: "mdm" }, /COMPONENT_ROLE is "mdm", but .* as sds/],
    [
      "lease against heartbeats",
      readSdsSettings,
      { POWERFLEX_LEASE_MS: "600" },
      /LEASE_MS \(600 ms\) must be at least 3 times/,
    ],
    [
      "grace against the lease",
      readSdsSettings,
      { POWERFLEX_GRACE_MS: "3s" },
      /GRACE_MS \(3000 ms\) must exceed POWERFLEX_LEASE_MS/,
    ],
    [
      "long socket",
      readSdcSettings,
      { POWERFLEX_DATA_DIR: `/${"d".repeat(120)}` },
      /set POWERFLEX_SDC_NBD_SOCKET to a shorter one/,
    ],
    [
      "short secret, not shown",
      readMgmtSettings,
      { POWERFLEX_SECRET_KEY: "hunter2" },
      /SECRET_KEY is \(secret\): .*32/,
    ],
  ];
  for (const [name, read, environment, expected] of cases) {
    await t.step(name, () => {
      const problems = problemsOf(read, environment);
      assertMatch(problems.join("\n"), expected);
      assertEquals(problems.length, 1, problems.join("\n"));
    });
  }
});

Deno.test("SettingsError lists its problems one per line", () => {
  assertEquals(new SettingsError(["a", "b"]).message, "Cannot start with these settings:\n  - a\n  - b");
});

Deno.test("settingNames() holds every variable that the requirements name", () => {
  const promised = `MDM_ADDRESS MDM_API_PORT MDM_BIND_HOST MDM_BASE_URL COMPONENT_ROLE CLUSTER_NAME DB_PATH SDS_NODE_ID
    SDS_CONTROL_PORT SDS_DATA_PORT SDS_MGMT_PORT SDS_STORAGE_ROOT SDC_NODE_ID SDC_CONTROL_PORT SDC_DEVICE_PORT
    SDC_MGMT_PORT SDC_SERVICE_PORT MGMT_GUI_PORT GUI_PORT GUI_BIND_HOST SECRET_KEY CONTROL_BASE_PORT DATA_BASE_PORT
    IO_MODE WRITE_ACK_POLICY NET BOOT_ID HOST_ID JOIN_TOKEN JOIN_TOKEN_FILE AUTH DATA_DIR LOG_LEVEL`.split(/\s+/);
  const names = settingNames();
  assertEquals(promised.filter((name) => !names.includes(`POWERFLEX_${name}`)), []);
  assertEquals(names.length, new Set(names).size, "each name belongs to one setting");
  assertStringIncludes(names.join(" "), "POWERFLEX_OUT_AFTER_MS");
});
