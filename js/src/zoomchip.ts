/** How near the picture is looked at, in its corner; only there while that is nearer than all of it, or to be moved. */

import { make } from "./dom.ts";
import { button, type Toolbar } from "./toolbar.ts";
import type { ViewState } from "./viewstate.ts";

export class ZoomChip {
  readonly element: HTMLElement;
  readonly #value = make("output", "dg-zoom-value");

  constructor(toolbar: Toolbar) {
    this.element = make(
      "div",
      { class: "dg-zoom", role: "group", named: "Zoom", hidden: true },
      toolbar.add(button("Zoom out", "minus", "Farther (-)")),
      this.#value,
      toolbar.add(button("Zoom in", "plus", "Nearer (+)")),
      toolbar.add(button("Pan", "hand", "Pan: pull the picture about (G, or Space held)")),
      toolbar.add(button("Fit", "fit", "All of the picture (0)")),
    );
  }

  show({ zoom, tool }: ViewState): void {
    this.element.hidden = zoom.factor === 1 && tool !== "pan";
    this.#value.value = `${Math.round(100 * zoom.factor)} %`;
  }
}
