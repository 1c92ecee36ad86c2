/**
 * fio with verification: on a whole cluster, and while a storage server is killed.
 *
 * @module
 */
import { assert, assertEquals } from "@std/assert";
import { sleep, systemClock } from "@/shared/clock.ts";
import { FaultCluster } from "@/tests/support/fault_cluster.ts";
import { fioVerify, TWO_CONNECTIONS } from "@/tests/support/fio_verify.ts";
import { programTest } from "@/tests/support/programs.ts";

const STALL_MS_MAX = 8000;
const HEALTHY_MS_MAX = 30_000;

programTest("scenario: fio verifies what it wrote over two connections, aligned and not", ["fio"], async () => {
  await using cluster = new FaultCluster();
  await cluster.start();
  for (const uri of [cluster.uri, cluster.unixUri]) {
    const verdict = await fioVerify(TWO_CONNECTIONS, { uri, seconds: 25 });
    console.log(uri.split(":")[0], verdict);
    assert(verdict.ios > 1000);
  }
});

for (const victim of ["sds-2", "the primary of most groups"]) {
  programTest(`scenario: fio meets no error and no long stall while ${victim} is killed`, ["fio"], async () => {
    await using cluster = new FaultCluster();
    await cluster.start();
    const name = victim.startsWith("sds") ? victim : await cluster.busiestSds();
    const marks = await cluster.logMarks();
    const load = fioVerify(TWO_CONNECTIONS, { uri: cluster.unixUri, seconds: 25 });
    const harm = (async () => {
      await sleep(systemClock, 8000);
      await cluster.kill(name);
      await sleep(systemClock, 500);
      return await cluster.healthy(HEALTHY_MS_MAX);
    })();
    const [verdict, healthyMs] = await Promise.all([load, harm]);
    const joins = await cluster.joinsSince(marks);
    console.log(`${name} killed:`, verdict, `healthy after ${healthyMs} ms`, joins);
    assert(verdict.longestMs < STALL_MS_MAX, `longest stall ${verdict.longestMs} ms`);
    assertEquals([joins.full, joins.failed], [0, 0]);
    assert(joins.delta > 0);
  });
}
