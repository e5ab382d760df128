/** How near the picture is looked at, by wheel, pinch, double click, keys and buttons. What a zoom is, says `zoom.ts`. */
import { type Css, toCss } from "./geometry.ts";
import type { Pinch } from "./pointer.ts";
import type { Xy } from "./protocol.ts";
import type { Stage } from "./stage.ts";
import type { ViewState } from "./viewstate.ts";
import { FIT, panned, pinched, revealing, wheelFactor, type Zoom, zoomed } from "./zoom.ts";

export interface ZoomingHost {
  readonly view: ViewState;
  readonly stage: Stage;
  /** Whether a gesture is under way. */
  busy(): boolean;
  update(): void;
  keepFocus(change: () => void): void;
}

export class Zooming {
  readonly #host: ZoomingHost;

  constructor(host: ZoomingHost) {
    this.#host = host;
  }

  to(zoom: Zoom): void {
    const { view, stage, keepFocus, update } = this.#host;
    view.zoom = zoom;
    stage.zoom(zoom);
    keepFocus(update);
  }

  /** Nearer or farther, around the keyboard's cross or the middle. */
  by(factor: number): void {
    const { view, stage } = this.#host;
    const { width, height } = stage.size;
    const at = view.cross ? toCss(stage.scale, view.cross) : { left: width / 2, top: height / 2 };
    this.to(zoomed(view.zoom, stage.size, at, factor));
  }

  /** So that a place of the picture is seen. */
  reveal(place: Xy): void {
    const { view, stage } = this.#host;
    this.to(revealing(view.zoom, stage.size, toCss(stage.scale, place)));
  }

  pinch(): Pinch {
    const { view, stage } = this.#host;
    const before = view.zoom;
    return (from, to) => this.to(pinched(before, stage.size, from, to));
  }

  /** False where the wheel does nothing here, and the page may scroll. */
  wheel(at: Css, { ctrlKey, metaKey, deltaX, deltaY, deltaMode }: WheelEvent): boolean {
    const { view, stage, busy } = this.#host;
    const { zoom } = view;
    if (ctrlKey || metaKey) {
      if (!busy()) this.to(zoomed(zoom, stage.size, at, wheelFactor(deltaY, deltaMode)));
      return true;
    }
    if (zoom.factor === 1 || busy()) return false;
    const unit = deltaMode === 1 ? 33 : 1;
    const moved = panned(zoom, stage.size, -deltaX * unit, -deltaY * unit);
    // At the end of the picture the page goes on scrolling.
    if (moved.left === zoom.left && moved.top === zoom.top) return false;
    this.to(moved);
    return true;
  }

  /** Nearer, or back to all of it. */
  twice(at: Css): void {
    const { view, stage } = this.#host;
    this.to(view.zoom.factor > 1 ? FIT : zoomed(view.zoom, stage.size, at, 2.5));
  }
}
