/**
 * Versions of the data path. A change of bytes adds an entry that says what changed and why.
 *
 * | version | change |
 * | ---: | --- |
 * | 1 | first: frames of two lengths, header and payload; compact header of 64 bytes; JSON header for everything |
 * | 2 | pulses and their answers are compact frames: they are what an idle cluster does, and cost less so |
 * | 3 | links: verify_blocks, fetch_block, mend_block and join_damaged, so that copies repair one another |
 *
 * @module
 */

/** Version that HELLO names. */
export const DATA_PATH_VERSION = 3;
