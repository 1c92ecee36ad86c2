import { assertEquals, assertMatch } from "@std/assert";
import { devicePathOf } from "@/sdc/core/device_path.ts";
import { asId, type VolumeId } from "@/shared/ids.ts";

Deno.test("devicePathOf() names a volume the same everywhere, and each otherwise", () => {
  const path = devicePathOf("lab", asId<VolumeId>(7));
  assertMatch(path, /^naa\.6[0-9a-f]{31}$/);
  assertEquals(path, devicePathOf("lab", asId<VolumeId>(7)));
  assertEquals(
    new Set([path, devicePathOf("lab", asId<VolumeId>(8)), devicePathOf("other", asId<VolumeId>(7))]).size,
    3,
  );
});
