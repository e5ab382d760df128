/** The buttons above the picture and the row below it: what is pressed goes to one callback, what is so comes from one `show`. */
import { isOff, make, put, setOff } from "./dom.ts";
import { type Icon, icon } from "./icons.ts";
import type { Tool } from "./keys.ts";
import type { StateMessage } from "./protocol.ts";

const GROUPS = [
  [
    ["Start", "play", "Start: the picture follows its points (Space)"],
    ["Stop", "stop", "Stop (Space)"],
    ["Step once", "step", "One step only"],
    ["Hold", "hand", "Hold: pulling only sets points, until Start (H)"],
  ],
  [
    ["Points", "points", "Pull points (P)"],
    ["Brush", "brush", "Paint what may move (B)"],
    ["Eraser", "eraser", "Erase what was painted (E)"],
  ],
  [
    ["Undo", "undo", "Undo (Ctrl+Z)"],
    ["Redo", "redo", "Redo (Ctrl+Shift+Z)"],
    ["Reset", "reset", "Reset: back to the picture before the edit"],
  ],
  [
    ["Delete point", "remove", "Delete the selected point (Delete)"],
    ["Remove all", "trash", "Remove all points"],
  ],
  [
    ["Save image", "download", "Save the picture as PNG"],
    ["Help", "help", "Gestures and keys (?)"],
  ],
] as const satisfies readonly (readonly (readonly [string, Icon, string])[])[];

export type ButtonName = (typeof GROUPS)[number][number][0] | "New image" | "Clear mask";

export interface Shown {
  readonly state: StateMessage | null;
  readonly connected: boolean;
  readonly points: number;
  readonly selected: boolean;
  readonly tool: Tool;
  readonly hold: boolean;
  readonly painted: boolean;
  readonly help: boolean;
  readonly picture: boolean;
}

export function button(name: string, kind: Icon, title: string): HTMLButtonElement {
  return make("button", { type: "button", class: "dg-button", "aria-label": name, title }, icon(kind));
}

export class Toolbar {
  readonly element = make("div", { class: "dg-toolbar" });
  readonly #buttons = new Map<ButtonName, HTMLButtonElement>();
  readonly #press: (name: ButtonName) => void;

  constructor(press: (name: ButtonName) => void) {
    this.#press = press;
    for (const group of GROUPS) {
      const box = make("div", { class: "dg-group" });
      for (const [name, kind, title] of group) box.append(this.add(name, button(name, kind, title)));
      this.element.append(box);
    }
  }

  /** Buttons that stand elsewhere obey the same rules. */
  add(name: ButtonName, element: HTMLButtonElement): HTMLButtonElement {
    this.#buttons.set(name, element);
    element.addEventListener("click", () => this.press(name));
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

  show({ state, connected, points, selected, tool, hold, painted, help, picture }: Shown): void {
    const live = state !== null && state.loading === null && connected;
    const running = state?.status === "running";
    const on: Record<ButtonName, boolean> = {
      Start: live && !running && points > 0,
      Stop: live && running,
      "Step once": live && !running && points > 0,
      Hold: true,
      Points: true,
      Brush: true,
      Eraser: true,
      Undo: live && state.can_undo,
      Redo: live && state.can_redo,
      Reset: live && state.edited,
      "Delete point": live && selected,
      "Remove all": live && points > 0,
      "Save image": picture,
      Help: true,
      "New image": live,
      "Clear mask": live && painted,
    };
    for (const [name, element] of this.#buttons) setOff(element, !on[name]);
    this.#pressed("Hold", hold);
    this.#pressed("Points", tool === "points");
    this.#pressed("Brush", tool === "brush");
    this.#pressed("Eraser", tool === "eraser");
    this.#put("Help", "aria-expanded", help);
  }

  #pressed(name: ButtonName, pressed: boolean): void {
    this.#put(name, "aria-pressed", pressed);
  }

  #put(name: ButtonName, attribute: string, value: boolean): void {
    const element = this.#buttons.get(name);
    if (element) put(element, attribute, String(value));
  }
}
