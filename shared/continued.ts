/** Whether what was derived from a history still goes on from it. */
import type { History } from "./history.ts";

/** Whether a device that had the one history has it still, as far as it was: a reset lets go of it, and it is fetched again from the beginning. */
export function isContinued(before: History, now: History): boolean {
  return before.log === now.log && before.position <= now.position;
}
