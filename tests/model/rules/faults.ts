/**
 * Crashes, power losses and restarts.
 *
 * @module
 */
import { changeDevice, DEVICE_COUNT, leaseBit, spend, type State } from "@/tests/model/state.ts";
import { keeps, type Step } from "@/tests/model/step.ts";

/** A process crashes, loses power with what was not stable, or starts again under a new incarnation. */
export function devicesFail(step: Step): void {
  const { state } = step;
  state.devices.forEach((device, index) => {
    if (!device.isUp) {
      if (state.budgets.restarts === 0) return;
      step.to(`device ${index} restarts`, (next) => {
        spend(next, "restarts");
        changeDevice(next, index, { isUp: true, incarnation: device.incarnation + 1 });
      });
      return;
    }
    if (state.budgets.crashes === 0) return;
    step.to(`device ${index} crashes`, (next) => stop(next, index));
    if (!step.powerLoss || device.cached === device.stable) return;
    for (const survivor of [device.stable, device.cached]) {
      step.to(`device ${index} loses power and keeps ${survivor}`, (next) => {
        stop(next, index);
        const intent = device.intent && keeps(step, "intent_before_data");
        changeDevice(next, index, { cached: survivor, stable: survivor, intent });
        next.discontinuous |= 1 << index;
      });
    }
  });
}

/** What a process forgets when it stops: all but the files. */
function stop(next: State, index: number): void {
  spend(next, "crashes");
  changeDevice(next, index, {
    isUp: false,
    epoch: -1,
    members: [],
    write: undefined,
    join: undefined,
    asksTakeOver: false,
    handsOver: false,
    sessionCount: 0,
    writeCount: 0,
    accepted: undefined,
  });
  for (let other = 0; other < DEVICE_COUNT; other++) next.leases &= ~leaseBit(index, other);
}
