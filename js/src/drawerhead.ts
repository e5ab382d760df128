/** The head of the drawer: its name, and the way back to the model's own settings, all at once. */

import { isOff, make, on, setOff } from "./dom.ts";
import { type Toolbar, wide } from "./toolbar.ts";
import type { ViewState } from "./viewstate.ts";

export class DrawerHead {
  readonly element: HTMLElement;
  readonly #reset = wide("Reset all settings", "All settings back to the model's own", "reset");

  constructor(reset: () => void, toolbar: Toolbar) {
    const compare = toolbar.add(wide("Compare engines", "The same pull by several engines, side by side", "compare"));
    this.element = make(
      "div",
      { class: "dg-drawer-head", hidden: true },
      make("strong", {}, "All settings"),
      make("span", "dg-group", compare, this.#reset),
    );
    on(this.#reset, "click", () => isOff(this.#reset) || reset());
  }

  show({ drawer, state, live }: ViewState): void {
    this.element.hidden = drawer !== "settings";
    const own = JSON.stringify(state?.settings) === JSON.stringify(state?.defaults);
    setOff(this.#reset, !live || own);
  }
}
