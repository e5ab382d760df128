/** Points: press and pull. What a pull means is in `gesture.ts`; this carries it out. */
import { Pull } from "../gesture.ts";
import type { Gesture, Press } from "../pointer.ts";
import type { PageMessage } from "../protocol.ts";
import { MOVED, PRESS_AND_PULL } from "../status.ts";
import type { ToolContext } from "./context.ts";

export function pulling(context: ToolContext, { at, reach, slack }: Press): Gesture {
  const { view, stage, send, update, paint, aside } = context;
  const pull = new Pull(
    () => ({ points: view.points, scale: stage.scale, status: view.state?.status ?? "idle", hold: view.hold }),
    at,
    reach,
    slack,
  );
  const select = () => {
    view.selected = { id: pull.id, part: pull.part };
    context.focusSelected();
  };
  const step = (messages: readonly PageMessage[], cursor: "pulling" | "grab" | "free", show = update) => {
    for (const message of messages) send(message);
    stage.cursor(cursor);
    show();
  };
  if (!pull.isNew) select();
  step([], "pulling");
  return {
    move: (path) => {
      const before = pull.pulled;
      step(pull.move(path.at(-1) ?? at), "pulling", before ? paint : update);
      if (pull.isNew && pull.pulled && !before) {
        select();
        update();
      }
    },
    end: () => {
      if (!pull.pulled && pull.isNew) {
        view.selected = null;
        aside(PRESS_AND_PULL, 2500);
      } else if (pull.waits) aside(MOVED, 4000);
      step(pull.end(), pull.pulled || !pull.isNew ? "grab" : "free");
    },
    cancel: () => step(pull.cancel(), "free"),
  };
}
