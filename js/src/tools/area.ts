/** Rectangle and lasso: an outline is drawn, and what it encloses is painted when it is let go, or taken away with Alt. */
import { apart, beyond, type Place } from "../geometry.ts";
import type { Gesture, Press } from "../pointer.ts";
import { NOTHING_PAINTED } from "../status.ts";
import type { ToolContext } from "./context.ts";

/** Nearer than that two places are one: a hand that stays makes no corners. */
const APART = 2;

export function outlining(
  context: ToolContext,
  { at, alt, rubber }: Press,
  outline: (path: readonly Place[]) => readonly Place[],
): Gesture | null {
  const { view, stage, masking, update, aside } = context;
  const erase = alt || rubber || view.brush.takeAway;
  if (erase && !masking.painted) {
    aside(NOTHING_PAINTED, 4000);
    return null;
  }
  const path: Place[] = [at];
  const corners = () => outline(path).map((place) => beyond(stage.scale, place));
  const show = (shape: typeof view.outline) => {
    view.outline = shape;
    update();
  };
  return {
    move: (places) => {
      for (const place of places) if (apart(path.at(-1) ?? at, place) >= APART) path.push(place);
      show(corners());
    },
    end: () => {
      const scale = stage.scale;
      const soft = (view.brush.softness * (view.brush.size / 2) * scale.width) / scale.shownWidth;
      const edit = masking.begin();
      const { width, height } = edit.mask.fill(corners(), erase, soft);
      show(null);
      if (width > 0 && height > 0) edit.end();
      else edit.cancel();
    },
    cancel: () => show(null),
  };
}
