/** A concern, over the settings below the picture or beside it, where it moves nothing and covers nothing of the edit. */
import type { Concern, Remedy } from "./concerns.ts";
import { make, on } from "./dom.ts";
import { icon } from "./icons.ts";
import { button, wide } from "./toolbar.ts";

export class Banner {
  readonly element = make("div", { class: "dg-banner", role: "group", named: "Warning", hidden: true });
  readonly #do: (remedy: Remedy) => void;
  readonly #dismiss: (key: string) => void;
  readonly #spoken = make("p", { role: "alert" });
  readonly #actions = make("span", "dg-actions");
  #shown = "";

  constructor(remedy: (remedy: Remedy) => void, dismiss: (key: string) => void) {
    this.#do = remedy;
    this.#dismiss = dismiss;
    this.element.append(icon("warning"), this.#spoken, this.#actions);
  }

  show(concern: Concern | null): void {
    // Made anew only where it says something else: a button that is made anew loses the focus.
    const now = JSON.stringify(concern);
    if (now === this.#shown) return;
    this.#shown = now;
    this.element.hidden = concern === null;
    this.#spoken.textContent = concern?.text ?? "";
    const buttons = (concern?.remedies ?? []).map(([label, remedy]) => {
      const each = wide(label);
      on(each, "click", () => this.#do(remedy));
      return each;
    });
    this.#actions.replaceChildren(...buttons);
    const key = concern?.key;
    if (key == null) return;
    const away = button("Dismiss", "close", "Dismiss");
    on(away, "click", () => this.#dismiss(key));
    this.#actions.append(away);
  }
}
