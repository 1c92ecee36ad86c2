import { assertEquals, assertThrows } from "@std/assert";
import { roleCommand, ROOT } from "@/scripts/roles.ts";
import { type Environment, type Role, ROLES, SettingsError } from "@/shared/settings.ts";

function flags(role: Role, environment: Environment): Record<string, string[]> {
  const pairs = roleCommand(role, environment).args.filter((arg) => arg.startsWith("--allow-"))
    .map((arg) => arg.slice("--allow-".length).split("=", 2) as [string, string]);
  return Object.fromEntries(pairs.map(([name, value]) => [name, value.split(",")]));
}

Deno.test("roleCommand() lets a role write its own directory only and never run, load or inspect", () => {
  for (const role of ROLES) {
    const { env, read, write, net, ...others } = flags(role, { POWERFLEX_DATA_DIR: "/data/here" });
    assertEquals(others, {});
    assertEquals(env, ["POWERFLEX_*"]);
    assertEquals(write, ["/data/here"]);
    assertEquals(read, ["/data/here", `${ROOT}/${role}`, `${ROOT}/shared`]);
    assertEquals(
      net!.every((host) => host.startsWith("127.0.0.1") || host.startsWith("unix:/data/here/")),
      true,
      `${net}`,
    );
  }
});

Deno.test("roleCommand() opens the own listeners, the MDM and POWERFLEX_NET beyond loopback", () => {
  const { net } = flags("sds", {
    POWERFLEX_SDS_BIND_HOST: "10.0.0.7",
    POWERFLEX_MDM_BASE_URL: "https://mdm.example",
    POWERFLEX_NET: "10.0.0.0/24,fd00::/64",
  });
  assertEquals(net, ["10.0.0.7:9100", "10.0.0.7:9200", "10.0.0.7:9700", "mdm.example:443", "10.0.0.0/24", "fd00::/64"]);
});

Deno.test("roleCommand() adds devices, a database and a socket that lie outside the directory", () => {
  assertEquals(flags("sds", { POWERFLEX_DATA_DIR: "/a", POWERFLEX_SDS_STORAGE_ROOT: "/mnt/disks" })["write"], [
    "/a",
    "/mnt/disks",
  ]);
  assertEquals(flags("mdm", { POWERFLEX_DATA_DIR: "/a", POWERFLEX_DB_PATH: "/db/p.db" })["write"]?.[2], "/db/p.db-wal");
  const sdc = flags("sdc", { POWERFLEX_DATA_DIR: "/a", POWERFLEX_SDC_NBD_SOCKET: "/run/nbd.sock" });
  assertEquals([sdc["write"]?.[1], sdc["net"]?.includes("unix:/run/nbd.sock")], ["/run/nbd.sock", true]);
});

Deno.test("roleCommand() lets a role read the file of its join token, wherever that is, and not write it", () => {
  for (const role of ROLES) {
    const { read, write } = flags(role, {
      POWERFLEX_DATA_DIR: "/a",
      POWERFLEX_JOIN_TOKEN_FILE: "/etc/powerflex/token",
    });
    assertEquals([read!.slice(0, 2), write], [["/a", "/etc/powerflex/token"], ["/a"]]);
  }
});

Deno.test("roleCommand() refuses settings before anything is started", () => {
  assertThrows(() => roleCommand("mdm", { POWERFLEX_MDM_API_PORT: "x" }), SettingsError);
});

Deno.test("roleCommand() makes the runtime refuse a neighbour's directory", async () => {
  const root = await Deno.makeTempDir();
  try {
    for (const name of ["own", "neighbour"]) {
      await Deno.mkdir(`${root}/${name}`);
      await Deno.writeTextFile(`${root}/${name}/file`, name);
    }
    await Deno.writeTextFile(
      `${root}/own/probe.ts`,
      `for (const name of ["own", "neighbour"]) {
      try { console.log(Deno.readTextFileSync("${root}/" + name + "/file")); } catch (error) { console.log(error.name); }
    }`,
    );
    for (const role of ROLES) {
      const { executable, args } = roleCommand(role, { POWERFLEX_DATA_DIR: `${root}/own` });
      const probe = [...args.slice(0, -1), `${root}/own/probe.ts`];
      const { stdout } = await new Deno.Command(executable, { args: probe, stdin: "null", stderr: "null" }).output();
      assertEquals(new TextDecoder().decode(stdout), "own\nNotCapable\n", role);
    }
  } finally {
    await Deno.remove(root, { recursive: true });
  }
});
