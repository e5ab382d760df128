/** The picture is taken hold of and moved: by the pan tool, with Space held, or by the middle button. */
import type { Gesture, Press } from "../pointer.ts";
import { panned } from "../zoom.ts";
import type { ToolContext } from "./context.ts";

export function panning({ view, stage, update }: ToolContext, { at }: Press): Gesture {
  const before = view.zoom;
  const show = (zoom: typeof view.zoom) => {
    view.zoom = zoom;
    update();
  };
  const after = () => (view.tool === "pan" ? "grasp" : "free");
  stage.cursor("pulling");
  return {
    move: (path) => {
      const to = path.at(-1) ?? at;
      show(panned(before, stage.size, to.left - at.left, to.top - at.top));
    },
    end: () => stage.cursor(after()),
    cancel: () => {
      stage.cursor(after());
      show(before);
    },
  };
}
