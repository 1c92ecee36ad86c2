import { assertEquals } from "@std/assert";
import { COMMAND, COMMAND_FLAG, ERRNO, EXPORT_FLAG } from "@/sdc/nbd/protocol.ts";
import { emptyRequestHeader, requestErrno, type RequestHeader } from "@/sdc/nbd/request_header.ts";

const ALL_FLAGS = Object.values(EXPORT_FLAG).reduce((sum, flag) => sum | flag, 0) & ~EXPORT_FLAG.readOnly;
const RULES = { sizeBytes: 1 << 30, flags: ALL_FLAGS, allocationContext: true };

function errno(header: Partial<RequestHeader>, rules: Partial<typeof RULES> = {}): number {
  return requestErrno({ ...emptyRequestHeader(), ...header }, { ...RULES, ...rules });
}

Deno.test("requestErrno() accepts every command with its own flags", () => {
  const { fua, noHole, fastZero, df, reqOne } = COMMAND_FLAG;
  const lengthBytes = 4096;
  assertEquals(errno({ type: COMMAND.read, lengthBytes, flags: fua | df }), 0);
  assertEquals(errno({ type: COMMAND.write, lengthBytes, flags: fua }), 0);
  assertEquals(errno({ type: COMMAND.flush, flags: fua }), 0);
  assertEquals(errno({ type: COMMAND.trim, lengthBytes, flags: fua }), 0);
  assertEquals(errno({ type: COMMAND.cache, lengthBytes }), 0);
  assertEquals(errno({ type: COMMAND.writeZeroes, lengthBytes, flags: fua | noHole | fastZero }), 0);
  assertEquals(errno({ type: COMMAND.blockStatus, lengthBytes, flags: reqOne }), 0);
});

Deno.test("requestErrno() refuses flags of other commands and flags that were not announced", () => {
  const { noHole, fastZero, df, reqOne } = COMMAND_FLAG;
  const lengthBytes = 4096;
  assertEquals(errno({ type: COMMAND.read, lengthBytes, flags: noHole }), ERRNO.EINVAL);
  assertEquals(errno({ type: COMMAND.write, lengthBytes, flags: df }), ERRNO.EINVAL);
  assertEquals(errno({ type: COMMAND.trim, lengthBytes, flags: reqOne }), ERRNO.EINVAL);
  assertEquals(errno({ type: COMMAND.write, lengthBytes, flags: 1 << 5 }), ERRNO.EINVAL);
  const flags = ALL_FLAGS & ~EXPORT_FLAG.sendDf & ~EXPORT_FLAG.sendFastZero;
  assertEquals(errno({ type: COMMAND.read, lengthBytes, flags: df }, { flags }), ERRNO.EINVAL);
  assertEquals(errno({ type: COMMAND.writeZeroes, lengthBytes, flags: fastZero }, { flags }), ERRNO.EINVAL);
});

Deno.test("requestErrno() refuses ranges beyond the export: ENOSPC for what writes, EINVAL otherwise", () => {
  const beyond = { offsetBytes: RULES.sizeBytes - 1, lengthBytes: 2 };
  const answers = [COMMAND.read, COMMAND.write, COMMAND.trim, COMMAND.cache, COMMAND.writeZeroes, COMMAND.blockStatus]
    .map((type) => errno({ type, ...beyond }));
  const { EINVAL, ENOSPC } = ERRNO;
  assertEquals(answers, [EINVAL, ENOSPC, EINVAL, EINVAL, ENOSPC, EINVAL]);
  assertEquals(errno({ type: COMMAND.read, offsetBytes: 2 ** 64, lengthBytes: 1 }), EINVAL);
  assertEquals(errno({ type: COMMAND.write, offsetBytes: RULES.sizeBytes - 1, lengthBytes: 1 }), 0);
});

Deno.test("requestErrno() refuses changes of a read-only export with EPERM, whatever else is wrong", () => {
  const flags = ALL_FLAGS | EXPORT_FLAG.readOnly;
  for (const type of [COMMAND.write, COMMAND.trim, COMMAND.writeZeroes]) {
    assertEquals(errno({ type, offsetBytes: RULES.sizeBytes, lengthBytes: 1 }, { flags }), ERRNO.EPERM);
  }
  assertEquals(errno({ type: COMMAND.read, lengthBytes: 1 }, { flags }), 0);
  assertEquals(errno({ type: COMMAND.flush }, { flags }), 0);
});

Deno.test("requestErrno() refuses unknown commands, long reads and misplaced fields", () => {
  const lengthBytes = 32 * 1024 * 1024 + 1;
  assertEquals(errno({ type: 8 }), ERRNO.EINVAL);
  assertEquals(errno({ type: 0xffff }), ERRNO.EINVAL);
  assertEquals(errno({ type: COMMAND.read, lengthBytes }), ERRNO.EINVAL);
  assertEquals(errno({ type: COMMAND.read, lengthBytes, flags: COMMAND_FLAG.df }), ERRNO.EOVERFLOW);
  assertEquals(errno({ type: COMMAND.trim, lengthBytes }), 0);
  assertEquals(errno({ type: COMMAND.flush, lengthBytes: 1 }), ERRNO.EINVAL);
  assertEquals(errno({ type: COMMAND.blockStatus }), ERRNO.EINVAL);
  assertEquals(errno({ type: COMMAND.blockStatus, lengthBytes: 1 }, { allocationContext: false }), ERRNO.EINVAL);
});
