/**
 * `deno task test:faults [--filter NAME]`: the scenarios that harm a real cluster, and those that real clients measure it by.
 * They take minutes; `tests/integration/faults_test.ts` holds a short selection that every run of the tests includes.
 *
 * @module
 */
Deno.env.set("POWERFLEX_LOG_LEVEL", "debug"); // the joins that a scenario counts are told at this level

await import("@/tests/faults/first_start.ts");
await import("@/tests/faults/nbd_tools.ts");
await import("@/tests/faults/fio.ts");
await import("@/tests/faults/kill_sds.ts");
await import("@/tests/faults/kill_rounds.ts");
await import("@/tests/faults/kill_all.ts");
await import("@/tests/faults/kill_gateway.ts");
await import("@/tests/faults/pauses.ts");
await import("@/tests/faults/sqlite.ts");
await import("@/tests/faults/delta_join.ts");
await import("@/tests/faults/lost_sds.ts");
await import("@/tests/faults/old_database.ts");
await import("@/tests/faults/fsx.ts");
await import("@/tests/faults/partitions.ts");
await import("@/tests/faults/bad_disks.ts");
await import("@/tests/faults/bit_flips.ts");
await import("@/tests/faults/idle_and_soak.ts");
