/** What has the focus in one view, what a key means there, and where the focus goes when that is hidden. */
import type { PointButtons } from "./handles.ts";
import type { Focus, Way } from "./keys.ts";
import type { Roving } from "./roving.ts";

export class FocusKeeper {
  readonly #root: HTMLElement;
  readonly #picture: HTMLElement;
  readonly #points: PointButtons;
  readonly #rovings: readonly Roving[];

  /** `picture` gets the focus of what is hidden. */
  constructor(root: HTMLElement, picture: HTMLElement, points: PointButtons, rovings: readonly Roving[]) {
    this.#root = root;
    this.#picture = picture;
    this.#points = points;
    this.#rovings = rovings;
  }

  /** The focused element, also where the widget stands in a shadow root. */
  get active(): Element | null {
    return (this.#root.getRootNode() as Document | ShadowRoot).activeElement;
  }

  /** Whether it is somewhere in the widget. */
  get inside(): boolean {
    return this.#root.contains(this.active);
  }

  toPicture(): void {
    this.#picture.focus({ preventScroll: true });
  }

  /** Does something that may hide what has the focus, which then goes to the picture. */
  keep(change: () => void): void {
    const focused = this.active;
    change();
    if (this.#root.contains(focused) && focused?.checkVisibility?.() === false) this.toPicture();
  }

  /** From one of many buttons to another. */
  go(way: Way): void {
    this.#rovings.some((each) => each.go(way, this.active));
  }

  kindOf(target: EventTarget | undefined): Focus {
    if (target instanceof HTMLInputElement) {
      return target.type === "range" ? "slider" : target.type === "checkbox" ? "button" : "input";
    }
    if (target instanceof HTMLSelectElement || target instanceof HTMLPreElement) return "input";
    if (this.#points.of(target)) return "point";
    if (target === this.#picture) return "picture";
    const many = target instanceof Node && this.#rovings.some(({ element }) => element.contains(target));
    return many ? "one of many" : "button";
  }
}
