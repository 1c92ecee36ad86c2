/**
 * The member's end of a pulse connection: each pulse is noted for grace and answered with the groups that are not covered
 * (replication design, section 3.3).
 *
 * @module
 */
import { StorageError } from "@/shared/errors.ts";
import type { FrameChannel, FrameHandler } from "@/shared/net/frame_channel.ts";
import type { LinkClient } from "@/shared/wire/control.ts";
import { COMPACT_HEADER_BYTES, FRAME_KINDS, HEADER_FIELDS, NOT_COVERED_BYTES } from "@/shared/wire/header.ts";
import type { LinkIn } from "@/sds/replication/link_in.ts";

/** Handler of the pulses that the device of `options.client` sends to the device of `link`. */
export function pulseAnswerer(link: LinkIn, options: { channel: FrameChannel; client: LinkClient }): FrameHandler {
  const { channel, client } = options;
  const { store, context } = link.device;
  return {
    onFrame(frame) {
      if (frame.header.getUint8(frame.headerAt) !== FRAME_KINDS.pulse) throw notPulse();
      if (store.failed !== undefined) return channel.close("the device failed");
      const requestId = frame.header.getUint32(frame.headerAt + HEADER_FIELDS.requestId[0]);
      const notCovered = link.pulse(client.fromIncarnation);
      const payloadBytes = notCovered.length * NOT_COVERED_BYTES;
      let to = channel.beginFrame(FRAME_KINDS.pulse_answer, { requestId, payloadBytes }) + COMPACT_HEADER_BYTES;
      for (const pgId of notCovered) {
        channel.send.view.setUint32(to, pgId);
        to += NOT_COVERED_BYTES;
      }
      context.heart.nudge();
    },
    onMessage() {
      throw notPulse();
    },
    onBatchEnd() {},
    onClosed() {},
  };
}

function notPulse(): StorageError {
  return new StorageError("bad_request", "Cannot take anything but pulses on a pulse connection");
}
