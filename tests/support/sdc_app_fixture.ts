/**
 * A whole SDC over fake SDSs and a fake MDM, on a fake clock and memory transport.
 *
 * @module
 */
import type { BlockRequest } from "@/sdc/block_device.ts";
import { createSdc, type Sdc } from "@/sdc/app.ts";
import { SdcStore } from "@/sdc/store/store.ts";
import { BackupFolder } from "@/shared/backup_folder.ts";
import { TIMES } from "@/shared/constants.ts";
import { logger } from "@/shared/log.ts";
import { FakeClock } from "@/tests/support/fake_clock.ts";
import { FakeCluster } from "@/tests/support/fake_cluster.ts";
import { FAKE_JOIN_TOKEN, FakeMdm } from "@/tests/support/fake_mdm.ts";
import { FakeSds } from "@/tests/support/fake_sds.ts";
import { MemoryTransport } from "@/tests/support/memory_transport.ts";
import { plainRandom } from "@/tests/support/sdc_fixture.ts";

/** What a manager of the fixture's SDC shows. */
export const MANAGEMENT_TOKEN = "token-of-the-manager";

/** `start` again is a restart with the same directory. */
export class SdcAppFixture implements AsyncDisposable {
  readonly clock = new FakeClock();
  readonly cluster = new FakeCluster({ pgCount: 4, sizeBytes: 8 * 1048576, sdsIds: [1, 2] });
  readonly mdm = new FakeMdm(this.cluster);
  readonly transport = new MemoryTransport();
  readonly store = new SdcStore({ chunks: ":memory:", local: ":memory:" });
  readonly random = plainRandom();
  readonly sdss = [1, 2].map((sdsId) =>
    new FakeSds({ cluster: this.cluster, sdsId, transport: this.transport, clock: this.clock, random: this.random })
  );
  /** Set before `start` by whoever makes a backup, who removes it. */
  backupPath = "never-made";
  nodeKeyHex: string | undefined;
  sdc: Sdc | undefined;

  start(joinToken: string | undefined = FAKE_JOIN_TOKEN): Sdc {
    return this.sdc = createSdc({
      clock: this.clock,
      random: this.random,
      transport: this.transport,
      httpSend: this.mdm.send,
      log: logger("sdc"),
      store: this.store,
      backups: new BackupFolder(this.backupPath, this.clock),
      managementToken: MANAGEMENT_TOKEN,
      keys: { load: () => this.nodeKeyHex, save: (key) => this.nodeKeyHex = key },
      settings: {
        nodeId: "sdc-1",
        mdmUrl: "http://mdm:8001",
        advertiseHost: "127.0.0.1",
        controlPort: 8003,
        mgmtPort: 8004,
        devicePort: 8005,
        nbdPort: 10809,
        joinToken,
        bootId: "boot",
        hostId: "host",
        times: TIMES,
        queueDepth: 256,
      },
    });
  }

  io(operation: "read" | "write" | "flush", data = new Uint8Array(0)): { outcome: string | undefined } {
    const result: { outcome: string | undefined } = { outcome: undefined };
    const request: BlockRequest = {
      operation,
      offsetBytes: 0,
      lengthBytes: data.length,
      forceUnitAccess: false,
      noHole: false,
      data,
      complete: (error) => result.outcome = error ?? "ok",
    };
    this.sdc!.volumes.open("demo")!.submit(request);
    return result;
  }

  /** A call of the MDM at the control port. */
  async control(path: string, body?: unknown): Promise<Response> {
    const text = body === undefined ? "" : JSON.stringify(body);
    const method = body === undefined ? "GET" : "POST";
    const headers = this.mdm.signed({ method, path, body: text, componentId: "sdc-1" });
    const answer = this.sdc!.control.request(path, { method, headers, ...(body !== undefined && { body: text }) });
    await this.clock.advance(0);
    return await answer;
  }

  async stop(): Promise<void> {
    const stopped = this.sdc!.stop();
    await this.clock.advance(2_000);
    await stopped;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
    await Promise.all(this.sdss.map((sds) => sds.stop()));
    this.store[Symbol.dispose]();
  }
}
