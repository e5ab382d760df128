/** The head of the drawer: its name, and the way back to the model's own settings, all at once. */

import { isOff, make, on, put, setOff } from "./dom.ts";
import { type Toolbar, wide } from "./toolbar.ts";
import type { ViewState } from "./viewstate.ts";

export class DrawerHead {
  readonly element: HTMLElement;
  readonly #reset = wide("Reset all settings", "All settings back to the model's own", "reset");

  constructor(reset: () => void, toolbar: Toolbar) {
    const compare = wide("Engines", "A line on each engine, and the same pull by several, side by side", "compare");
    put(compare, "aria-label", "Compare engines");
    toolbar.add(compare);
    this.element = make(
      "div",
      { class: "dg-drawer-head", hidden: true },
      make("strong", {}, "All settings"),
      compare,
      this.#reset,
    );
    on(this.#reset, "click", () => isOff(this.#reset) || reset());
  }

  show({ drawer, state, live }: ViewState): void {
    this.element.hidden = drawer !== "settings";
    const own = JSON.stringify(state?.settings) === JSON.stringify(state?.defaults);
    setOff(this.#reset, !live || own);
  }
}
