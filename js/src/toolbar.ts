/** The buttons above the picture and the row below it: what is pressed goes to one callback, what is so comes from one `show`. */

import { isOff, make, on, put, setOff } from "./dom.ts";
import { type Icon, icon } from "./icons.ts";
import { Roving } from "./roving.ts";
import { DRAWERS, OPENS, type ViewState } from "./viewstate.ts";
import { NEAREST } from "./zoom.ts";

export const CONTROL = /Mac|iP(hone|ad)/.test(globalThis.navigator?.platform ?? "") ? "⌘" : "Ctrl+";

const KEYS = { Undo: `${CONTROL}Z`, Redo: CONTROL === "⌘" ? "⇧⌘Z" : "Ctrl+Shift+Z" };

const SAVE = "Save the picture as PNG";
const SAVE_PHOTO = "Save the photograph, in full size, with the edit in it";

const GROUPS = [
  [
    ["Start", "play", "Start: the picture follows its points (Space)"],
    ["Stop", "stop", "Stop (Space)"],
    ["Step once", "step", "One step only"],
    ["Hold", "pin", "Hold: pulling only sets points, until Start (H)"],
  ],
  [
    ["Points", "points", "Pull points (P)"],
    ["Brush", "brush", "Paint what may move (B)"],
    ["Eraser", "eraser", "Erase what was painted (E)"],
    ["Rectangle", "rectangle", "Paint a rectangle, with Alt take it away (R)"],
    ["Lasso", "lasso", "Paint what you draw around, with Alt take it away (L)"],
  ],
  [
    ["Undo", "undo", `Undo (${KEYS.Undo})`],
    ["Redo", "redo", `Redo (${KEYS.Redo})`],
    ["Reset", "reset", "Reset: back to the picture before the edit, without points"],
  ],
  [
    ["Before and after", "compare", "Before and after, side by side (hold O to see what was before)"],
    ["Save image", "download", SAVE],
    ["Results", "results", "More results: clipboard, films, files, code"],
    ["All settings", "settings", "All settings"],
    ["Full screen", "full", "Full screen (F)"],
    ["Help", "help", "Gestures and keys (?)"],
  ],
] as const satisfies readonly (readonly (readonly [string, Icon, string])[])[];

/** Buttons that stand elsewhere and obey the same rules. */
type Elsewhere =
  | "New image"
  | "Open photo"
  | "Previous seed"
  | "Next seed"
  | "Clear mask"
  | "Invert mask"
  | "Suggest mask"
  | "Take away"
  | "Remove all"
  | "Go on from here"
  | "Newest"
  | "Show and hide"
  | "Attributes"
  | "Compare engines"
  | "Load mask"
  | "Save mask"
  | "Pan"
  | "Zoom in"
  | "Zoom out"
  | "Fit";

export type ButtonName = (typeof GROUPS)[number][number][0] | Elsewhere;

export function button(name: string, kind: Icon, title: string): HTMLButtonElement {
  return make("button", { type: "button", class: "dg-button", named: name, title }, icon(kind));
}

/** A button with words. */
export function wide(words: string, title = "", kind?: Icon): HTMLButtonElement {
  const about = { type: "button", class: "dg-button dg-wide", named: words, title };
  return make("button", about, ...(kind ? [icon(kind)] : []), make("span", {}, words));
}

export class Toolbar {
  readonly element = make("div", { class: "dg-toolbar", role: "toolbar", named: "Tools" });
  readonly #buttons = new Map<ButtonName, HTMLButtonElement>();
  readonly #press: (name: ButtonName) => void;
  /** All of them are one stop of the Tab key, so that the picture is the next. */
  readonly roving = new Roving(this.element);

  constructor(press: (name: ButtonName) => void) {
    this.#press = press;
    for (const group of GROUPS) {
      const box = make("div", { class: "dg-group", role: "group" });
      for (const [name, kind, title] of group) box.append(this.add(button(name, kind, title)));
      this.element.append(box);
    }
  }

  /** Buttons that stand elsewhere obey the same rules. */
  add(element: HTMLButtonElement): HTMLButtonElement {
    const name = element.getAttribute("aria-label") as ButtonName;
    this.#buttons.set(name, element);
    on(element, "click", () => this.press(name));
    return element;
  }

  /** As if pressed, whether by pointer or by key: what is off does nothing. */
  press(name: ButtonName): void {
    const element = this.#buttons.get(name);
    if (element && !isOff(element)) this.#press(name);
  }

  focus(name: ButtonName): void {
    this.#buttons.get(name)?.focus();
  }

  show(view: ViewState, painted: boolean, picture: boolean): void {
    const { state, live, running, tool, hold, brush, looking, zoom, seed } = view;
    const points = view.points.shown().length > 0;
    /** What is not named is always on. */
    const on: Partial<Record<ButtonName, boolean>> = {
      Start: live && !running && points,
      Stop: live && running,
      "Step once": live && !running && points,
      Undo: live && state?.can_undo === true,
      Redo: live && state?.can_redo === true,
      Reset: live && state?.edited === true,
      "Before and after": picture,
      "Save image": picture,
      Results: picture,
      "Remove all": live && points,
      "New image": live,
      "Open photo": live,
      "Previous seed": live && seed !== null && seed > 0,
      "Next seed": live && seed !== null && seed < 2 ** 32 - 1,
      "Clear mask": live && painted,
      "Invert mask": live && painted,
      "Suggest mask": live && points,
      "Load mask": live,
      "Save mask": painted,
      "Go on from here": live && looking !== null,
      Newest: looking !== null,
      "Zoom in": zoom.factor < NEAREST,
      "Zoom out": zoom.factor > 1,
      Fit: zoom.factor > 1,
    };
    for (const [name, element] of this.#buttons) setOff(element, on[name] === false);
    this.#swap(running);
    this.roving.settle();
    this.#pressed("Hold", hold);
    const save = this.#buttons.get("Save image");
    if (save) put(save, "title", state?.photo ? SAVE_PHOTO : SAVE);
    this.#title("Undo", state?.undo);
    this.#title("Redo", state?.redo);
    for (const name of ["Points", "Brush", "Eraser", "Rectangle", "Lasso", "Pan"] as const) {
      this.#pressed(name, name.toLowerCase() === tool);
    }
    this.#pressed("Take away", brush.takeAway);
    this.#pressed("Before and after", view.split !== null);
    this.#pressed("Full screen", view.full);
    for (const [card, name] of Object.entries(OPENS)) this.#put(name, "aria-expanded", view.card === card);
    for (const [drawer, name] of Object.entries(DRAWERS)) {
      this.#pressed(name, view.drawer === drawer);
      this.#put(name, "aria-expanded", view.drawer === drawer);
    }
  }

  /** Start and Stop stand in one place, and the focus goes from the one to the other. */
  #swap(running: boolean): void {
    const [start, stop] = [this.#buttons.get("Start"), this.#buttons.get("Stop")];
    if (!start || !stop) return;
    const [shown, other] = running ? [stop, start] : [start, stop];
    if (other.hasAttribute("data-away")) return;
    const focused = other.matches(":focus");
    shown.removeAttribute("data-away");
    if (focused) shown.focus({ preventScroll: true });
    other.toggleAttribute("data-away", true);
  }

  /** What would be undone is said before, not after. */
  #title(name: "Undo" | "Redo", what: string | undefined): void {
    const element = this.#buttons.get(name);
    if (element) put(element, "title", what ? `${name}: ${what} (${KEYS[name]})` : `${name} (${KEYS[name]})`);
  }

  #pressed(name: ButtonName, pressed: boolean): void {
    this.#put(name, "aria-pressed", pressed);
  }

  #put(name: ButtonName, attribute: string, value: boolean): void {
    const element = this.#buttons.get(name);
    if (element) put(element, attribute, String(value));
  }
}
