/** The head of the drawer: its name, and the way back to the model's own settings, all at once. */
import type { Desk } from "./desk.ts";
import { isOff, make, on, setOff } from "./dom.ts";
import { wide } from "./toolbar.ts";

export class DrawerHead {
  readonly element: HTMLElement;
  readonly #reset = wide("Reset all settings", "All settings back to the model's own", "reset");

  constructor(reset: () => void) {
    this.element = make(
      "div",
      { class: "dg-drawer-head", hidden: true },
      make("strong", {}, "All settings"),
      this.#reset,
    );
    on(this.#reset, "click", () => isOff(this.#reset) || reset());
  }

  show({ drawer, state, live }: Desk): void {
    this.element.hidden = !drawer;
    const own = JSON.stringify(state?.settings) === JSON.stringify(state?.defaults);
    setOff(this.#reset, !live || own);
  }
}
