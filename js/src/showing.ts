/** The card that says what is laid over the picture, points and mask, and takes masks from files and puts them there. */

import { make, on } from "./dom.ts";
import { button, type Toolbar, wide } from "./toolbar.ts";
import type { Showing, ViewState } from "./viewstate.ts";

export interface ShowingHost {
  change(showing: Partial<Showing>): void;
  close(): void;
  /** A file that was chosen. */
  load(file: File): void;
}

export class ShowingCard {
  readonly element = make("div", {
    class: "dg-card dg-showing",
    role: "dialog",
    named: "Points and mask",
    hidden: true,
  });
  /** What opens it. */
  readonly button: HTMLButtonElement;
  readonly #points = make("input", { type: "checkbox", named: "Show points" });
  readonly #mask = make("input", { type: "checkbox", named: "Show mask" });
  readonly #opacity = make("input", { type: "range", min: 0.1, max: 1, step: 0.05, named: "Mask opacity" });
  readonly #file = make("input", { type: "file", accept: "image/*", hidden: true, named: "Mask file" });
  readonly #close = button("Close", "close", "Close (Esc)");

  constructor(host: ShowingHost, toolbar: Toolbar) {
    const title = "Show or hide points and mask; load or save a mask";
    this.button = toolbar.add(button("Show and hide", "showing", title));
    const load = wide("Load mask", "From a picture: white may move, black must stay", "picture");
    const save = wide("Save mask", "As a PNG: white may move, black must stay", "download");
    this.element.append(
      make("header", {}, make("strong", {}, "Show"), this.#close),
      check(this.#points, "Points", "V"),
      check(this.#mask, "Mask", "M"),
      make("label", "dg-field", "Mask opacity", this.#opacity),
      make("div", "dg-files", toolbar.add(load), toolbar.add(save), this.#file),
    );
    on(this.#close, "click", () => host.close());
    on(this.#points, "change", () => host.change({ points: this.#points.checked }));
    on(this.#mask, "change", () => host.change({ mask: this.#mask.checked }));
    on(this.#opacity, "input", () => host.change({ mask: true, opacity: Number(this.#opacity.value) }));
    on(this.#file, "change", () => {
      const file = this.#file.files?.[0];
      this.#file.value = ""; // the same file may be chosen again, changed
      if (file) host.load(file);
    });
  }

  /** Lets the person choose a file. */
  choose(): void {
    this.#file.click();
  }

  show({ card, showing }: ViewState): void {
    const opened = this.element.hidden && card === "showing";
    this.element.hidden = card !== "showing";
    this.#points.checked = showing.points;
    this.#mask.checked = showing.mask;
    if (this.#opacity.value !== String(showing.opacity)) this.#opacity.value = String(showing.opacity);
    if (opened) this.#close.focus({ preventScroll: true });
  }
}

function check(box: HTMLInputElement, words: string, key: string): HTMLElement {
  return make("label", "dg-field", box, words, make("kbd", { "aria-hidden": "true" }, key));
}
