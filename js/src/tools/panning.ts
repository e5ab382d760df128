/** The picture is taken hold of and moved: with Space held, or by the middle button. */
import type { Gesture, Press } from "../pointer.ts";
import { panned } from "../zoom.ts";
import type { Bench } from "./tool.ts";

export function panning({ desk, stage, update }: Bench, { at }: Press): Gesture {
  const before = desk.zoom;
  const show = (zoom: typeof desk.zoom) => {
    desk.zoom = zoom;
    update();
  };
  stage.cursor("pulling");
  return {
    move: (path) => {
      const to = path.at(-1) ?? at;
      show(panned(before, stage.size, to.left - at.left, to.top - at.top));
    },
    end: () => stage.cursor("free"),
    cancel: () => {
      stage.cursor("free");
      show(before);
    },
  };
}
