import { assertEquals } from "@std/assert";
import { scopeProblem } from "@/sds/core/admission.ts";

const allowed = { nodeId: 7, readOnly: false, sizeBytes: 3 * 1024 * 1024 };
const request = { mutation: true, removal: false, nodeId: 7, chunkIndex: 0, offsetBytes: 0, lengthBytes: 4096 };

Deno.test("scopeProblem() admits what the token and the protocol allow", () => {
  assertEquals(scopeProblem(request, allowed), undefined);
  assertEquals(scopeProblem({ ...request, offsetBytes: 65535, lengthBytes: 1 }, allowed), undefined);
  assertEquals(scopeProblem({ ...request, chunkIndex: 2, offsetBytes: 1048575, lengthBytes: 1 }, allowed), undefined);
  assertEquals(scopeProblem({ ...request, removal: true, lengthBytes: 1048576 }, allowed), undefined);
  assertEquals(scopeProblem({ ...request, mutation: false }, { ...allowed, readOnly: true }), undefined);
});

Deno.test("scopeProblem() names each trespass", () => {
  assertEquals(scopeProblem({ ...request, lengthBytes: 0 }, allowed), "bad_request");
  assertEquals(scopeProblem({ ...request, offsetBytes: 1048575, lengthBytes: 2 }, allowed), "bad_request");
  assertEquals(scopeProblem({ ...request, offsetBytes: 65535, lengthBytes: 2 }, allowed), "bad_request");
  assertEquals(scopeProblem({ ...request, removal: true, lengthBytes: 100 }, allowed), "bad_request");
  assertEquals(scopeProblem({ ...request, nodeId: 8 }, allowed), "token_volume");
  assertEquals(scopeProblem(request, { ...allowed, readOnly: true }), "token_mode");
  assertEquals(scopeProblem({ ...request, chunkIndex: 3 }, allowed), "token_range");
});
