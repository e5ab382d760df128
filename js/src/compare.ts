/** Before and after: a bar that is drawn over the picture, with what was before to the left of it. */

import { make, on } from "./dom.ts";
import type { ViewState } from "./viewstate.ts";

export class Compare {
  readonly element: HTMLElement;
  readonly #slider = make("input", {
    type: "range",
    min: 0,
    max: 1,
    step: 0.01,
    named: "Split",
    class: "dg-split",
  });
  readonly #bar = make("div", "dg-bar");

  constructor(change: (split: number) => void) {
    this.element = make(
      "div",
      { class: "dg-compare", hidden: true },
      make("span", "dg-tag", "before"),
      make("span", "dg-tag dg-tag-after", "after"),
      this.#bar,
      this.#slider,
    );
    on(this.#slider, "input", () => change(Number(this.#slider.value)));
  }

  show({ split, peeking }: ViewState): void {
    const opened = this.element.hidden && split !== null;
    this.element.hidden = split === null || peeking;
    if (split === null) return;
    this.#slider.value = String(split);
    this.#slider.setAttribute("aria-valuetext", `${Math.round(100 * split)} % before`);
    this.#bar.style.left = `${100 * split}%`;
    if (opened) this.#slider.focus({ preventScroll: true });
  }
}
