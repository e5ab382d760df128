/** The row of the mask, there while one of its tools is in the hand: what it means, and all that is done with it. */

import { make, on } from "./dom.ts";
import { MASK } from "./status.ts";
import { button, type Toolbar } from "./toolbar.ts";
import type { BrushSettings, ViewState } from "./viewstate.ts";

export const SMALLEST = 6;
export const LARGEST = 200;

export class MaskRow {
  readonly element: HTMLElement;
  readonly #size = make("input", {
    type: "range",
    min: SMALLEST,
    max: LARGEST,
    step: 2,
    named: "Stroke width",
    title: "Size of the brush ([ and ])",
  });
  readonly #softness = make("input", {
    type: "range",
    min: 0,
    max: 1,
    step: 0.05,
    named: "Soft edge",
    title: "How much of the brush fades towards its rim",
  });
  readonly #sized: HTMLElement;
  readonly #takeAway: HTMLElement;

  constructor(change: (brush: Partial<BrushSettings>) => void, toolbar: Toolbar) {
    this.#sized = make("label", "dg-field", "Size", this.#size);
    this.#takeAway = toolbar.add(button("Take away", "minus", "Take away instead of painting (or hold Alt)"));
    this.element = make(
      "div",
      { class: "dg-row dg-mask", role: "group", named: "Mask", hidden: true },
      make("p", "dg-words", MASK),
      this.#sized,
      make("label", "dg-field", "Soft", this.#softness),
      make(
        "span",
        "dg-group",
        this.#takeAway,
        toolbar.add(button("Suggest mask", "suggest", "Suggest a mask from the handles")),
        toolbar.add(button("Invert mask", "invert", "Invert: what may move and what must stay change places")),
        toolbar.add(button("Clear mask", "trash", "Clear what was painted: everything may move")),
      ),
    );
    on(this.#size, "input", () => change({ size: Number(this.#size.value) }));
    on(this.#softness, "input", () => change({ softness: Number(this.#softness.value) }));
  }

  show({ tool, brush, masking }: ViewState): void {
    this.element.hidden = !masking;
    const area = tool === "rectangle" || tool === "lasso";
    this.#takeAway.hidden = !area;
    this.#size.value = String(brush.size);
    this.#softness.value = String(brush.softness);
  }
}
