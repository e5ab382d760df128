/** Whether a handle sits where its content can be followed, and when that is worth saying. Pure. */
import type { PointState, StateMessage } from "./protocol.ts";

/** Pixels from its target within which nothing is left to be done for a point. */
const THERE = 1;

/**
 * Whether there is anything to say now. What looks bad in the middle of a run may be well at its end, so it is not said
 * before; and where the points have arrived or nearly so, or an error is to be read, no advice is wanted.
 */
export function advises({ status }: StateMessage): boolean {
  return !["running", "arrived", "near", "error"].includes(status);
}

/** Whether it is worth saying that a point sits badly: it does, and it has still a way to go. */
export function sitsBadly(state: StateMessage, { texture, distance }: PointState): boolean {
  return advises(state) && texture?.flat === true && distance > THERE;
}
