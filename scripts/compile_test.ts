import { assertEquals, assertMatch } from "@std/assert";
import { compileArgs, compileProblem } from "@/scripts/compile.ts";
import { ROOT } from "@/scripts/roles.ts";

Deno.test("compileArgs() gives the role's permissions with absolute paths", () => {
  const args = compileArgs("sdc", { path: "out", environment: { POWERFLEX_DATA_DIR: "/data" } });
  assertEquals(args.filter((arg) => /^--allow-(read|write)/.test(arg)), ["--allow-read=/data", "--allow-write=/data"]);
  assertEquals(args.some((arg) => arg.endsWith(",unix:/data/nbd.sock")), true, args.join(" "));
});

Deno.test("compileProblem() hands on what else goes wrong", () => {
  assertEquals(compileProblem("mdm", "error: Module not found\n"), "Cannot compile mdm: error: Module not found");
});

Deno.test("compileProblem() says in one line that the base binary cannot be fetched", async () => {
  const dir = await Deno.makeTempDir();
  try {
    // The packages of the real cache, none of its base binaries, and no network.
    await Deno.mkdir(`${dir}/cache`);
    await Deno.symlink(`${await cacheDirectory()}/npm`, `${dir}/cache/npm`);
    const proxy = "http://127.0.0.1:1";
    const { code, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["run", "--quiet", "--allow-all", `${ROOT}/scripts/compile.ts`, "mdm", "--out-dir", `${dir}/out`],
      clearEnv: true,
      env: { DENO_DIR: `${dir}/cache`, HTTP_PROXY: proxy, HTTPS_PROXY: proxy },
      stdout: "null",
      stderr: "piped",
    }).output();
    const said = new TextDecoder().decode(stderr);
    assertMatch(said, /^Cannot compile mdm: Deno's base binary cannot be fetched \(.+\)\. Use deno task bundle.*\n$/);
    assertEquals(code, 1);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});

async function cacheDirectory(): Promise<string> {
  const { stdout } = await new Deno.Command(Deno.execPath(), { args: ["info", "--json"], stdout: "piped" }).output();
  return JSON.parse(new TextDecoder().decode(stdout)).denoDir;
}
