/** Pointer Events → one gesture at a time, whatever it is that the gesture does. Two fingers are a pinch. */
import type { Css, Place } from "./geometry.ts";
import type { Stage } from "./stage.ts";

export interface Gesture {
  /** Every place the pointer passed since the last call, the newest last. */
  move(path: readonly Place[]): void;
  end(): void;
  cancel(): void;
}

export interface Press {
  readonly at: Place;
  /** How near to a dot counts as on it, in css pixels. */
  readonly reach: number;
  /** How far it may move and is still a press, in css pixels; undefined: as far as a hand trembles. */
  readonly slack?: number;
  readonly alt: boolean;
  /** The picture is taken hold of, not what is on it. */
  readonly middle: boolean;
  /** With the other end of a pen, which erases. */
  readonly rubber: boolean;
}

export type Pinch = (from: readonly [Css, Css], to: readonly [Css, Css]) => void;

export interface PointerHost {
  /** Null: this press does nothing. */
  begin(press: Press): Gesture | null;
  /** Two fingers: called with where they were and where they are. */
  pinch(): Pinch;
  /** A wheel turned; false where it does nothing here, and the page may scroll. */
  wheel(at: Css, event: WheelEvent): boolean;
  twice(at: Css): void;
  /** Where the pointer is when nothing is pressed, or null when it has left. */
  hover(at: Css | null, reach: number): void;
}

/** A finger covers what it points at. */
function reachOf(event: PointerEvent): number {
  return event.pointerType === "touch" ? 22 : 14;
}

/** The button that Pointer Events have for a pen's other end. */
const RUBBER = 5;

export class PointerInput {
  readonly #stage: Stage;
  readonly #host: PointerHost;
  readonly #fingers = new Map<number, Css>();
  #active: { gesture: Gesture; pointer: number } | null = null;
  #pinch: { go: Pinch; from: readonly [Css, Css] } | null = null;

  constructor(stage: Stage, host: PointerHost, signal: AbortSignal) {
    this.#stage = stage;
    this.#host = host;
    const { element } = stage;
    element.addEventListener("pointerdown", (event) => this.#down(event), { signal });
    element.addEventListener("pointermove", (event) => this.#move(event), { signal });
    for (const type of ["pointerup", "pointercancel", "lostpointercapture"] as const) {
      element.addEventListener(type, (event) => this.#end(event), { signal });
    }
    // Where capturing failed, the pointer may be let go outside of the picture.
    window.addEventListener("pointerup", (event) => this.#end(event), { signal });
    element.addEventListener("pointerleave", () => this.#active ?? this.#host.hover(null, 0), { signal });
    // Where the focus goes is decided by what was pressed, and nothing is selected by pulling over it.
    element.addEventListener("mousedown", (event) => event.preventDefault(), { signal });
    element.addEventListener("contextmenu", (event) => this.#active && event.preventDefault(), { signal });
    element.addEventListener("dblclick", (event) => this.#host.twice(stage.locate(event)), { signal });
    element.addEventListener(
      "wheel",
      (event) => {
        if (this.#host.wheel(stage.locate(event), event)) event.preventDefault();
      },
      { signal, passive: false },
    );
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
    if (event.pointerType === "touch") {
      this.#fingers.set(event.pointerId, this.#stage.locate(event));
      const [one, two] = [...this.#fingers.values()];
      if (one && two) {
        this.cancel();
        this.#pinch = { go: this.#host.pinch(), from: [one, two] };
        return;
      }
    }
    if (this.#active || this.#pinch || ![0, 1, RUBBER].includes(event.button)) return;
    const gesture = this.#host.begin({
      at: this.#place(event),
      reach: reachOf(event),
      alt: event.altKey,
      middle: event.button === 1,
      rubber: event.button === RUBBER,
    });
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
    if (this.#fingers.has(event.pointerId)) this.#fingers.set(event.pointerId, at);
    if (this.#pinch) {
      const [one, two] = [...this.#fingers.values()];
      if (one && two) this.#pinch.go(this.#pinch.from, [one, two]);
    } else if (event.pointerId === this.#active?.pointer) {
      // A button that was let go where nobody could tell us (in another window) is up all the same.
      if (event.pointerType === "mouse" && event.buttons === 0) {
        this.#end(event);
        return;
      }
      const path = event.getCoalescedEvents?.().map((each) => this.#place(each)) ?? [];
      this.#active.gesture.move(path.length > 0 ? path : [this.#place(event)]);
    } else if (!this.#active) {
      this.#host.hover(event.pointerType === "touch" ? null : at, reachOf(event));
    }
  }

  #end(event: PointerEvent): void {
    // Capture is lost with every release: the finger is gone only with the release itself.
    if (event.type !== "lostpointercapture") this.#fingers.delete(event.pointerId);
    if (this.#fingers.size === 0) this.#pinch = null;
    if (event.pointerId !== this.#active?.pointer) return;
    const { gesture } = this.#active;
    // Where the pointer was let go counts, even if no move told of it.
    if (event.type === "pointerup") gesture.move([this.#stage.locate(event)]);
    this.#active = null;
    gesture.end();
    if (event.pointerType === "touch") this.#host.hover(null, 0);
  }

  /** Only a pen knows how hard it is pressed; everything else says one half. */
  #place(event: PointerEvent): Place {
    const at = this.#stage.locate(event);
    return event.pointerType === "pen" && event.pressure > 0 ? { ...at, pressure: event.pressure } : at;
  }
}
