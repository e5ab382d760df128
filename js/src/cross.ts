/** The keyboard's pointer: a cross on the picture that arrows move, and that Enter presses and lets go. */
import { beyond, type Css, clamped, toCss } from "./geometry.ts";
import type { Gesture, Press } from "./pointer.ts";
import { CROSS, PRESSED } from "./status.ts";
import type { ToolContext } from "./tools/context.ts";
import { TOOLS } from "./tools/tools.ts";
import type { Zooming } from "./zooming.ts";

export interface CrossHost extends ToolContext {
  /** Whether a pointer's gesture is under way. */
  busy(): boolean;
  /** The cross is there now, as a pointer would be. */
  hover(at: Css): void;
}

export class Cross {
  readonly #host: CrossHost;
  readonly #zooming: Zooming;
  /** Begun by Enter, moved by arrows, ended by Enter. */
  #gesture: Gesture | null = null;

  constructor(host: CrossHost, zooming: Zooming) {
    this.#host = host;
    this.#zooming = zooming;
  }

  /** Whether Enter holds it down. */
  get active(): boolean {
    return this.#gesture !== null;
  }

  /** Moves by so many pixels of the picture; the first time it only appears, in the middle of what is seen. */
  move(dx: number, dy: number): void {
    const { view, stage, update, aside, hover } = this.#host;
    if (!view.state) return;
    const middle = beyond(stage.scale, { left: stage.size.width / 2, top: stage.size.height / 2 });
    const [x, y] = view.cross ?? [Math.round(middle[0]), Math.round(middle[1])];
    if (!view.cross) aside(CROSS, 4000);
    view.cross = clamped(view.state, view.cross ? [x + dx, y + dy] : [x, y]);
    this.#zooming.reveal(view.cross);
    const at = toCss(stage.scale, view.cross);
    this.#gesture?.move([at]);
    if (!this.#gesture) hover(at);
    update();
  }

  /** Enter: shows the cross, presses where it is, or lets go there. */
  press(): void {
    const { view, stage, update, busy, aside, focusSelected } = this.#host;
    if (busy() || !view.live) return;
    if (!view.cross) {
      this.move(0, 0);
      return;
    }
    if (this.#gesture) {
      this.end();
      // From here the arrows move the target of what was just made.
      if (view.tool === "points" && view.selected) focusSelected();
      view.cross = null;
      update();
      return;
    }
    const at = toCss(stage.scale, view.cross);
    // What an arrow moves is meant, however little that is on the screen.
    const press: Press = { at, reach: 8, slack: 0, alt: false, middle: false, rubber: false };
    view.showWhatIsWorkedOn();
    // The focus stays on the picture, or the arrows would move the point that is being made.
    this.#gesture = TOOLS[view.tool]({ ...this.#host, focusSelected: () => {} }, press);
    view.pressed = this.#gesture !== null;
    if (this.#gesture) aside(PRESSED, 4000);
    update();
  }

  end(): void {
    const gesture = this.forget();
    gesture?.end();
  }

  /** Takes back what is under way; false if nothing is. */
  cancel(): boolean {
    const gesture = this.forget();
    gesture?.cancel();
    return gesture !== null;
  }

  /** Lets go without a word: what was pulled is no longer there. */
  forget(): Gesture | null {
    const gesture = this.#gesture;
    this.#gesture = null;
    this.#host.view.pressed = false;
    return gesture;
  }
}
