/**
 * Every handle and target is also an invisible button over its drawing, so that it can have the focus, a name and the
 * arrow keys. The buttons are kept as long as their point lives: one made anew would lose the focus.
 */
import { make } from "./dom.ts";
import { type Part, type Scale, toCss } from "./geometry.ts";
import type { ShownPoint } from "./points.ts";

const PARTS: readonly Part[] = ["handle", "target"];

export class PointButtons {
  readonly element = make("div", "dg-points");
  readonly #buttons = new Map<string, HTMLButtonElement>();

  /** One of them is a stop of the Tab key (`selected`, or else the first); from there N goes on to the others. */
  show(
    points: readonly ShownPoint[],
    scale: Scale,
    selected: { readonly id: number; readonly part: Part } | null,
  ): void {
    const wanted = new Set(points.flatMap(({ id }) => PARTS.map((part) => key(id, part))));
    for (const [name, button] of this.#buttons) {
      if (wanted.has(name)) continue;
      button.remove();
      this.#buttons.delete(name);
    }
    for (const point of points) {
      for (const part of PARTS) {
        const button = this.#buttons.get(key(point.id, part)) ?? this.#make(point.id, part);
        const { left, top } = toCss(scale, point[part]);
        const stop = selected
          ? selected.id === point.id && selected.part === part
          : this.#buttons.values().next().value === button;
        if ((button.tabIndex === 0) !== stop) button.tabIndex = stop ? 0 : -1;
        button.style.transform = `translate(${left.toFixed(1)}px, ${top.toFixed(1)}px)`;
      }
    }
  }

  /** Says where a point is, to whoever listens rather than looks; not at every step of a run. */
  describe(points: readonly ShownPoint[]): void {
    for (const point of points) {
      for (const part of PARTS) {
        const [x, y] = point[part];
        const button = this.#buttons.get(key(point.id, part));
        button?.setAttribute("aria-description", `x ${Math.round(x)}, y ${Math.round(y)}`);
      }
    }
  }

  focus(id: number, part: Part): void {
    this.#buttons.get(key(id, part))?.focus({ preventScroll: true });
  }

  /** Which point an element is the button of. */
  of(element: EventTarget | null | undefined): { readonly id: number; readonly part: Part } | null {
    if (!(element instanceof HTMLElement) || !this.element.contains(element)) return null;
    const part = PARTS.find((each) => each === element.dataset.part);
    return part ? { id: Number(element.dataset.id), part } : null;
  }

  #make(id: number, part: Part): HTMLButtonElement {
    const button = make("button", {
      type: "button",
      class: "dg-point",
      named: `Point ${id} ${part}`,
      "data-id": id,
      "data-part": part,
      "aria-keyshortcuts": "N Shift+N Delete",
    });
    this.#buttons.set(key(id, part), button);
    this.element.append(button);
    return button;
  }
}

function key(id: number, part: Part): string {
  return `${id} ${part}`;
}
