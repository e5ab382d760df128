/** What can be done with the picture, on one small card over it. */
import { make, markMore } from "./dom.ts";
import { button, CONTROL } from "./toolbar.ts";

const LINES: readonly (readonly [string, string])[] = [
  ["Press and pull", "the picture follows"],
  ["Pull a ring", "move a target"],
  ["Pull a dot", "move a handle, while stopped"],
  ["Space", "start, stop"],
  ["H", "hold: only set points, then start"],
  ["P  B  E  R  L  G", "points, brush, eraser, rectangle, lasso, pan"],
  ["Pen", "pressed less it paints thinner; its other end erases"],
  ["V  M", "show or hide points, mask"],
  ["[  ]", "smaller, larger brush"],
  ["+  -  0", "nearer, farther, all of the picture"],
  [`${CONTROL}wheel`, "nearer, farther; two fingers do too"],
  ["Space and pull", "move the picture; so does the wheel, while zoomed"],
  ["Double click", "nearer; again: all of it"],
  ["O or \\", "held: the picture from before"],
  ["N  Shift+N", "next point, point before"],
  ["Arrows", "move the point by 1 px, with Shift by 10"],
  ["On the picture", "arrows move a cross, Enter presses and lets go there"],
  ["Delete", "remove the point"],
  ["F", "full screen, and back"],
  ["Esc", "cancel the pull; leave full screen; back to the newest picture"],
  [`${CONTROL}Z`, "undo"],
  [CONTROL === "⌘" ? "⇧⌘Z" : "Ctrl+Shift+Z", "redo"],
  ["?", "this card"],
];

export class Help {
  readonly element = make("div", {
    class: "dg-card dg-help",
    role: "dialog",
    named: "Gestures and keys",
    hidden: true,
  });
  readonly #close = button("Close", "close", "Close (Esc)");

  constructor(close: () => void) {
    const list = make("dl", {});
    for (const [keys, words] of LINES) list.append(make("dt", {}, keys), make("dd", {}, words));
    this.element.append(make("header", {}, make("strong", {}, "Gestures and keys"), this.#close), list);
    markMore(this.element);
    this.#close.addEventListener("click", close);
  }

  show(open: boolean): void {
    const opened = open && this.element.hidden;
    this.element.hidden = !open;
    if (opened) this.#close.focus({ preventScroll: true });
  }
}
