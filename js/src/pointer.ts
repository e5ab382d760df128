/** Pointer Events → one gesture at a time, whatever it is that the gesture does. */
import type { Css } from "./geometry.ts";
import type { Stage } from "./stage.ts";

export interface Gesture {
  /** Every place the pointer passed since the last call, the newest last. */
  move(path: readonly Css[]): void;
  end(): void;
  cancel(): void;
}

export interface PointerHost {
  /** Null: this press does nothing. */
  begin(at: Css, reach: number): Gesture | null;
  /** Where the pointer is when nothing is pressed, or null when it has left. */
  hover(at: Css | null, reach: number): void;
}

/** How near to a dot counts as on it, in css pixels. A finger covers what it points at. */
function reachOf(event: PointerEvent): number {
  return event.pointerType === "touch" ? 22 : 14;
}

export class PointerInput {
  readonly #stage: Stage;
  readonly #host: PointerHost;
  #active: { gesture: Gesture; pointer: number } | null = null;

  constructor(stage: Stage, host: PointerHost, signal: AbortSignal) {
    this.#stage = stage;
    this.#host = host;
    const { element } = stage;
    element.addEventListener("pointerdown", (event) => this.#down(event), { signal });
    element.addEventListener("pointermove", (event) => this.#move(event), { signal });
    for (const type of ["pointerup", "pointercancel", "lostpointercapture"] as const) {
      element.addEventListener(type, (event) => this.#end(event), { signal });
    }
    element.addEventListener("pointerleave", () => this.#active ?? this.#host.hover(null, 0), { signal });
    // Where the focus goes is decided by what was pressed, and nothing is selected by pulling over it.
    element.addEventListener("mousedown", (event) => event.preventDefault(), { signal });
    element.addEventListener("contextmenu", (event) => this.#active && event.preventDefault(), { signal });
  }

  get active(): boolean {
    return this.#active !== null;
  }

  cancel(): boolean {
    const active = this.#active;
    this.#active = null;
    active?.gesture.cancel();
    return active !== null;
  }

  /** Lets go where the pointer is: the view ends, and the kernel must not wait for more. */
  finish(): void {
    const active = this.#active;
    this.#active = null;
    active?.gesture.end();
  }

  /** Lets go without a word: what was pulled is no longer there. */
  drop(): void {
    this.#active = null;
  }

  #down(event: PointerEvent): void {
    if (this.#active || event.button !== 0) return;
    const gesture = this.#host.begin(this.#stage.locate(event), reachOf(event));
    if (!gesture) return;
    this.#active = { gesture, pointer: event.pointerId };
    try {
      this.#stage.element.setPointerCapture(event.pointerId);
    } catch {
      // The pointer is gone already, or was made by a script: the gesture works inside the picture all the same.
    }
  }

  #move(event: PointerEvent): void {
    const at = this.#stage.locate(event);
    if (event.pointerId === this.#active?.pointer) {
      const path = event.getCoalescedEvents?.().map((each) => this.#stage.locate(each)) ?? [];
      this.#active.gesture.move(path.length > 0 ? path : [at]);
    } else if (!this.#active) {
      this.#host.hover(event.pointerType === "touch" ? null : at, reachOf(event));
    }
  }

  #end(event: PointerEvent): void {
    if (event.pointerId !== this.#active?.pointer) return;
    const { gesture } = this.#active;
    // Where the pointer was let go counts, even if no move told of it.
    if (event.type === "pointerup") gesture.move([this.#stage.locate(event)]);
    this.#active = null;
    gesture.end();
    if (event.pointerType === "touch") this.#host.hover(null, 0);
  }
}
