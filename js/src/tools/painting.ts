/** Brush and eraser: strokes as wide as they look, thinner where a pen is pressed less, and so is their ring. */
import { beyond, type Place } from "../geometry.ts";
import type { Gesture, Press } from "../pointer.ts";
import { NOTHING_PAINTED } from "../status.ts";
import type { ToolContext } from "./context.ts";

export function painting({ view, stage, masking, aside }: ToolContext, { at }: Press, erase: boolean): Gesture | null {
  if (erase && !masking.painted) {
    aside(NOTHING_PAINTED, 4000);
    return null;
  }
  const edit = masking.begin();
  const { size, softness } = view.brush;
  let last = at;
  const stroke = (to: Place) => {
    const scale = stage.scale;
    // Where a pen is lifted it is not pressed at all, and is still the pen that was.
    const place = to.pressure === undefined && last.pressure !== undefined ? { ...to, pressure: last.pressure } : to;
    const radius = ((size / 2) * scale.width * weight(place)) / scale.shownWidth;
    edit.show(edit.mask.stroke(beyond(scale, last), beyond(scale, place), radius, erase, softness * radius));
    last = place;
  };
  const move = (path: readonly Place[]) => {
    for (const place of path) stroke(place);
    stage.ring(last, size * weight(last));
  };
  move([at]);
  return { move, end: edit.end, cancel: edit.cancel };
}

/** How wide the stroke of a pen is. The lightest touch still leaves a line. */
function weight({ pressure }: Place): number {
  return pressure === undefined ? 1 : 0.25 + 0.75 * pressure;
}
