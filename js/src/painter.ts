/** Draws what lies on the picture, once before each repaint in which something moved: points, outline, cross. */
import type { FocusKeeper } from "./focus.ts";
import { toCss } from "./geometry.ts";
import type { PointButtons } from "./handles.ts";
import { nextFrame } from "./hosts/clock.ts";
import { sitsBadly } from "./placement.ts";
import type { Stage } from "./stage.ts";
import type { ViewState } from "./viewstate.ts";

export interface PainterHost {
  readonly view: ViewState;
  readonly stage: Stage;
  readonly buttons: PointButtons;
  readonly focus: FocusKeeper;
}

export class Painter {
  readonly #host: PainterHost;
  readonly #closed: AbortSignal;
  #waiting = false;
  /** What was just selected has no button yet, and is to have the focus as soon as there is one. */
  #focusing = false;

  constructor(host: PainterHost, closed: AbortSignal) {
    this.#host = host;
    this.#closed = closed;
  }

  /** Puts the focus on what is selected, as soon as it is there. */
  focusSelected(): void {
    this.#focusing = true;
  }

  /** Paints before the next repaint. */
  soon(): void {
    if (this.#waiting) return;
    this.#waiting = true;
    nextFrame(() => {
      this.#waiting = false;
      if (!this.#closed.aborted) this.#paint();
    });
  }

  #paint(): void {
    const { view, stage, buttons, focus } = this.#host;
    const { state, points, selected, outline, cross, pressed, peeking, showing } = view;
    const scale = stage.scale;
    const shown = points.shown();
    const focused = buttons.of(focus.active);
    buttons.show(shown, scale, selected);
    if (state?.status !== "running") buttons.describe(shown);
    // The focus of a point that is gone goes to the picture, not out of the widget.
    if (focused && !points.find(focused.id)) focus.toPicture();
    if (this.#focusing && selected && focus.inside) buttons.focus(selected.id, selected.part);
    this.#focusing = false;
    const better = (id: number) => {
      const point = state?.points.find((each) => each.id === id);
      const to = state && point && !view.starting.waits() && sitsBadly(state, point) ? point.texture?.better : null;
      return to ? toCss(scale, to) : null;
    };
    stage.drawOverlay({
      marks:
        peeking || !showing.points
          ? []
          : shown.map(({ id, handle, target }) => ({
              id,
              handle: toCss(scale, handle),
              target: toCss(scale, target),
              selected: id === selected?.id,
              better: better(id),
            })),
      outline: outline?.map((place) => toCss(scale, place)) ?? null,
      cross: cross && { ...toCss(scale, cross), pressed },
    });
  }
}
