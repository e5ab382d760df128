/** What can be done with the picture, on one small card over it. */
import { make } from "./dom.ts";
import { button } from "./toolbar.ts";

const CONTROL = /Mac|iP(hone|ad)/.test(globalThis.navigator?.platform ?? "") ? "⌘" : "Ctrl+";

const LINES: readonly (readonly [string, string])[] = [
  ["Press and pull", "the picture follows"],
  ["Pull a ring", "move a target"],
  ["Pull a dot", "move a handle, while stopped"],
  ["Space", "start, stop"],
  ["H", "hold: only set points, then start"],
  ["P  B  E", "points, brush, eraser"],
  ["[  ]", "smaller, larger brush"],
  ["Tab", "from point to point"],
  ["Arrows", "move the point by 1 px, with Shift by 10"],
  ["Delete", "remove the point"],
  ["Esc", "cancel the pull"],
  [`${CONTROL}Z`, "undo"],
  [CONTROL === "⌘" ? "⇧⌘Z" : "Ctrl+Shift+Z", "redo"],
  ["?", "this card"],
];

export class Help {
  readonly element = make("div", { class: "dg-help", role: "dialog", "aria-label": "Gestures and keys", hidden: true });
  readonly #close = button("Close", "close", "Close (Esc)");

  constructor(close: () => void) {
    const list = make("dl", {});
    for (const [keys, words] of LINES) list.append(make("dt", {}, keys), make("dd", {}, words));
    this.element.append(make("header", {}, make("strong", {}, "Gestures and keys"), this.#close), list);
    this.#close.addEventListener("click", close);
  }

  get open(): boolean {
    return !this.element.hidden;
  }

  show(open: boolean): void {
    this.element.hidden = !open;
    if (open) this.#close.focus({ preventScroll: true });
  }
}
