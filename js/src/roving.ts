/**
 * Many buttons that are one stop of the Tab key: it leads to the one that was used last, and from there the arrow keys
 * go to the others, Home and End to the first and the last.
 */
import type { Way } from "./keys.ts";

export class Roving {
  readonly element: HTMLElement;
  #stop: HTMLElement | null = null;

  constructor(element: HTMLElement) {
    this.element = element;
    element.addEventListener("focusin", ({ target }) => {
      if (target instanceof HTMLElement) this.#settle(target);
    });
  }

  /** To be called when buttons came, went or changed places: just one of them is a stop. */
  settle(): void {
    const all = [...this.element.querySelectorAll("button")];
    const at = this.#stop instanceof HTMLButtonElement ? all.indexOf(this.#stop) : -1;
    // Whatever stands where the last one stood: Stop, where Start was.
    const next = [...all.slice(Math.max(at, 0)), ...all.slice(0, Math.max(at, 0)).reverse()].find(isThere);
    this.#settle(next ?? null);
  }

  /** Goes on from the button that has the focus; false where that is none of these. */
  go(way: Way, focused: Element | null): boolean {
    const all = [...this.element.querySelectorAll("button")].filter(isThere);
    const at = all.indexOf(focused as HTMLButtonElement);
    const last = all.length - 1;
    if (at < 0) return false;
    const to = { first: 0, last, next: at === last ? 0 : at + 1, before: at === 0 ? last : at - 1 }[way];
    all[to]?.focus();
    return true;
  }

  #settle(stop: HTMLElement | null): void {
    this.#stop = stop;
    for (const button of this.element.querySelectorAll("button")) {
      const index = button === stop ? 0 : -1;
      if (button.tabIndex !== index) button.tabIndex = index;
    }
  }
}

/** What is away or hidden cannot have the focus. */
function isThere(button: HTMLElement): boolean {
  return !button.hidden && !button.hasAttribute("data-away");
}
