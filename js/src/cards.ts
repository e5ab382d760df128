/** The cards over the picture: one at a time, and the focus goes back to where it came from. */
import type { FocusKeeper } from "./focus.ts";
import type { ButtonName } from "./toolbar.ts";
import { type Card, OPENS, type ViewState } from "./viewstate.ts";

export interface CardsHost {
  readonly view: ViewState;
  readonly focus: FocusKeeper;
  update(): void;
  /** Gives the focus to a button of the toolbar. */
  focusButton(name: ButtonName): void;
}

export class Cards {
  readonly #host: CardsHost;
  readonly #elements: readonly HTMLElement[];
  /** What had the focus when a card was opened. */
  #from: HTMLElement | null = null;

  constructor(host: CardsHost, elements: readonly HTMLElement[]) {
    this.#host = host;
    this.#elements = elements;
  }

  /** Whether the focus is in one of them. */
  get focused(): boolean {
    const { active } = this.#host.focus;
    return this.#elements.some((each) => each.contains(active));
  }

  open(card: Card | null): void {
    const { view, focus, update, focusButton } = this.#host;
    const was = view.card;
    if (card === was) return;
    const within = this.focused;
    if (!within) this.#from = focus.active instanceof HTMLElement && focus.inside ? focus.active : null;
    view.card = card;
    update();
    if (card !== null || !within) return;
    if (this.#from?.isConnected) this.#from.focus({ preventScroll: true });
    else focusButton(OPENS[was ?? "help"]);
  }
}
