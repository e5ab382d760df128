/** Where the controls stand and how big the picture is, by the room there is; anew whenever that changes. */
import { putStyle } from "./dom.ts";
import { arrange } from "./geometry.ts";
import { Space } from "./hosts/space.ts";
import type { Stage } from "./stage.ts";

/** A toolbar that is narrower than this has its buttons in two lines. */
const NARROW = 440;

export class Layout {
  readonly #root: HTMLElement;
  readonly #stage: Stage;
  readonly #space: Space;

  /** `resized` is called where there is more or less room than before. */
  constructor(root: HTMLElement, stage: Stage, toolbar: HTMLElement, resized: () => void, signal: AbortSignal) {
    this.#root = root;
    this.#stage = stage;
    this.#space = new Space(root, resized, signal);
    const sizes = new ResizeObserver(() => {
      // Of the widget, not of the picture: a tall picture is narrow where there is room for everything.
      root.toggleAttribute("data-narrow", toolbar.clientWidth < NARROW);
      resized();
    });
    for (const element of [stage.element, toolbar]) sizes.observe(element);
    window.addEventListener("resize", resized, { signal });
    signal.addEventListener("abort", () => sizes.disconnect());
  }

  arrange(full: boolean): void {
    const room = full ? { width: window.innerWidth, height: window.innerHeight } : this.#space.size;
    const { wide, width, side } = arrange(this.#stage.picture, room, full);
    this.#root.toggleAttribute("data-wide", wide);
    putStyle(this.#root, "--dg-stage", `${width}px`);
    putStyle(this.#root, "--dg-side", `${side}px`);
    putStyle(this.#root, "--dg-room", `${Math.round(room.height)}px`);
  }
}
