/** Group "IO" of the specification: 5 tests. @module */
import { assert, assertEquals } from "@std/assert";
import { CHUNK_BYTES } from "@/shared/constants.ts";
import { base64, pattern, type SpecificationCluster } from "@/tests/integration/specification/cluster.ts";

const MIB = 2 ** 20;

/** Declares the group's tests. */
export function ioTests(cluster: () => SpecificationCluster): void {
  async function write(volumeId: number, sdc_id: number, part: { offset_bytes: number; data: Uint8Array }) {
    const { offset_bytes, data } = part;
    const body = { sdc_id, offset_bytes, data_b64: base64(data) };
    const written = await cluster().ok("POST", `/vol/${volumeId}/io/write`, body);
    assertEquals([written.status, written.bytes_written, written.io_path], ["written", data.length, "network"]);
    assertEquals(written.replicas_written, 2);
  }

  async function assertReads(volumeId: number, sdc_id: number, part: { offset_bytes: number; data: Uint8Array }) {
    const { offset_bytes, data } = part;
    const body = { sdc_id, offset_bytes, length_bytes: data.length };
    const read = await cluster().ok("POST", `/vol/${volumeId}/io/read`, body);
    assertEquals([read.status, read.bytes_read], ["read", data.length]);
    assert(Buffer.from(read.data_b64, "base64").equals(data), `what was written at ${offset_bytes} is read`);
    const device = await cluster().device(volumeId);
    const same = await device.ask({ command: "READ", offset_bytes, length_bytes: data.length });
    assert(Buffer.from(same.data_b64, "base64").equals(data), "the device port reads the same");
    device.close();
  }

  Deno.test("IO: what is written is read back, as bytes and as text", async () => {
    const { volumeId, sdcId } = await cluster().mapped();
    const data = new TextEncoder().encode("Hello PowerFlex!");
    await write(volumeId, sdcId, { offset_bytes: 0, data });
    await assertReads(volumeId, sdcId, { offset_bytes: 0, data });
    const read = { sdc_id: sdcId, offset_bytes: 0, length_bytes: 16 };
    assertEquals((await cluster().ok("POST", `/vol/${volumeId}/io/read`, read)).utf8_text, "Hello PowerFlex!");
    await cluster().refused({ path: `/vol/${volumeId}/io/read`, body: { ...read, sdc_id: sdcId + 1 } }, {
      status: 403,
      says: /mapped/,
    });
  });

  Deno.test("IO: an unaligned write changes its own bytes and no others", async () => {
    const { volumeId, sdcId } = await cluster().mapped();
    const around = pattern(3 * 4096);
    await write(volumeId, sdcId, { offset_bytes: 0, data: around });
    const data = new TextEncoder().encode("unaligned");
    await write(volumeId, sdcId, { offset_bytes: 4096 - 4, data });
    around.set(data, 4096 - 4);
    await assertReads(volumeId, sdcId, { offset_bytes: 0, data: around });
    await assertReads(volumeId, sdcId, { offset_bytes: 4093, data: around.subarray(4093, 4099) });
  });

  Deno.test("IO: a write across chunks is one write to its client", async () => {
    const { volumeId, sdcId } = await cluster().mapped();
    const part = { offset_bytes: CHUNK_BYTES - 1000, data: pattern(CHUNK_BYTES + 2000) };
    await write(volumeId, sdcId, part);
    await assertReads(volumeId, sdcId, part);
  });

  Deno.test("IO: a large write over many chunks and servers is read back whole", async () => {
    const { volumeId, sdcId } = await cluster().mapped();
    const part = { offset_bytes: 3 * MIB, data: pattern(16 * MIB) };
    await write(volumeId, sdcId, part);
    await assertReads(volumeId, sdcId, part);
  });

  Deno.test("IO: what was never written reads as zeros, and nothing is read beyond the end", async () => {
    const { volumeId, sdcId } = await cluster().mapped();
    await write(volumeId, sdcId, { offset_bytes: 5000, data: pattern(10) });
    await assertReads(volumeId, sdcId, { offset_bytes: 8192, data: new Uint8Array(2 * CHUNK_BYTES) });
    const beyond = { sdc_id: sdcId, offset_bytes: 64 * MIB - 8, length_bytes: 16 };
    const answer = await cluster().call("POST", `/vol/${volumeId}/io/read`, beyond);
    assert(answer.status === 400 || answer.status === 422, JSON.stringify(answer));
  });
}
