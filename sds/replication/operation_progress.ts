/**
 * Where an operation at the primary stands.
 *
 * @module
 */

/** Facts about one operation. Reused with it. */
export class OperationProgress {
  /** It has its lock and counts as running: whoever drains the group waits for it. */
  started = false;
  /** Its owner has been told. */
  answered = false;
  /** Nothing of it is left; the object may be in use for another one. */
  ended = true;
  /** members[1] is asked alone first, since the chunk is new. */
  asking = false;
  /** How often it was asked: again on a new session or under a new epoch. */
  askCount = 0;
  /** The lock covers the whole chunk. */
  locksChunk = false;
  /** The device was told that a write of the region runs. */
  writing = false;
  /** A step on this device has not called back yet. */
  busy = false;
  /** In the page cache of this device: a resend reads it back from there. */
  applied = false;
  /** Applied, committed, and synced where asked for. */
  localDone = false;

  /** A new operation begins. */
  reset(): void {
    this.started = false;
    this.answered = false;
    this.ended = false;
    this.asking = false;
    this.askCount = 0;
    this.locksChunk = false;
    this.writing = false;
    this.busy = false;
    this.applied = false;
    this.localDone = false;
  }
}
