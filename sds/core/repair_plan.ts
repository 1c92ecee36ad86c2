/**
 * What to do about blocks whose copies were looked at under one lock (replication design, section 5.6). Pure: copies in, steps out.
 *
 * | here | at members | step |
 * | --- | --- | --- |
 * | good | bad at some | the members are mended from here |
 * | good | good, another checksum | must not happen (I14): `differ`, the members are mended from here |
 * | bad | good at one | mended from that member, and bad members too |
 * | bad | good at none, all answered | `damaged` everywhere |
 * | bad | good at none, some did not answer | `unknown`: to be asked again |
 *
 * @module
 */

/** The checksum of a good block, 0 for one that was never written, or that there is no good copy. */
export type BlockState = number | "bad";

/** One member's copy of the blocks; undefined if it did not answer. */
export type MemberStates = readonly BlockState[] | undefined;

/** What to do about one block. `members` are indexes of those to be written to. */
export type RepairStep =
  | {
    readonly kind: "mend_members";
    readonly block: number;
    readonly members: readonly number[];
    readonly differ: boolean;
  }
  | { readonly kind: "mend_here"; readonly block: number; readonly from: number; readonly members: readonly number[] }
  | { readonly kind: "damaged"; readonly block: number; readonly members: readonly number[] }
  | { readonly kind: "unknown"; readonly block: number };

/** Steps for blocks `first`, `first + 1` and so on, of which `own` and `members` give the states. */
export function planRepair(
  options: { readonly first: number; readonly own: readonly BlockState[]; readonly members: readonly MemberStates[] },
): RepairStep[] {
  const { first, own, members } = options;
  return own.flatMap((here, index): RepairStep[] => {
    const block = first + index;
    const states = members.map((states) => states?.[index]);
    const others = (wanted: (state: BlockState) => boolean) =>
      states.flatMap((state, member) => state !== undefined && wanted(state) ? [member] : []);
    if (here !== "bad") {
      const wrong = others((state) => state !== here);
      if (wrong.length === 0) return [];
      const differ = wrong.some((member) => states[member] !== "bad");
      return [{ kind: "mend_members", block, members: wrong, differ }];
    }
    const [from] = others((state) => state !== "bad");
    if (from !== undefined) return [{ kind: "mend_here", block, from, members: others((state) => state === "bad") }];
    if (states.includes(undefined)) return [{ kind: "unknown", block }];
    return [{ kind: "damaged", block, members: others(() => true) }];
  });
}
