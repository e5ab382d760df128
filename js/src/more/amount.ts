/** One attribute: its slider, what the picture has of it, the way back, and its lock. */
import { button, clamp, isOff, make, on, put, say, setOff } from "../shared.ts";
import { signed, told } from "./finding.ts";
import { lock } from "./icons.ts";
import type { Attribute } from "./told.ts";

/** Milliseconds after which keys that moved the slider are one gesture that is over. */
const KEYS_REST = 900;
/** σ up to which nothing has changed. */
const SAME = 0.02;

export interface AmountHost {
  /** While the slider is held. */
  move(name: string, value: number): void;
  /** It is let go. */
  end(): void;
  lock(name: string, on: boolean): void;
}

export class Amount {
  readonly element: HTMLElement;
  readonly attribute: Attribute;
  readonly #slider: HTMLInputElement;
  readonly #value = make("span", { class: "dg-value", "aria-hidden": "true" });
  readonly #back: HTMLButtonElement;
  readonly #lock: HTMLButtonElement;
  readonly #host: AmountHost;
  #pointing = false;
  #held = false;
  #rest: ReturnType<typeof setTimeout> | undefined;
  #began = 0;

  constructor(attribute: Attribute, host: AmountHost) {
    const { name, label, less, more, least, most } = attribute;
    this.attribute = attribute;
    this.#host = host;
    const id = `dg-${Math.random().toString(36).slice(2)}`;
    this.#slider = make("input", { type: "range", min: least, max: most, step: 0.05, id, named: label });
    this.#back = button(`Reset ${label}`, "reset", "Back to what the edit began with");
    this.#back.classList.add("dg-back");
    this.#lock = lock(`Hold ${label}`);
    this.element = make(
      "div",
      "dg-amount",
      make("label", { for: id, title: label }, label),
      this.#back,
      this.#value,
      this.#lock,
      make("div", "dg-ends", make("span", { title: less }, less), this.#slider, make("span", { title: more }, more)),
    );
    on(this.#back, "click", () => {
      if (isOff(this.#back)) return;
      host.move(name, this.#began);
      host.end();
    });
    on(this.#lock, "click", () => host.lock(name, this.#lock.getAttribute("aria-pressed") !== "true"));
    this.#listen(name);
  }

  /** What the picture has of it, what it had when the edit began, and whether no pull may change it. */
  show(value: number, began: number, held: boolean, own: boolean): void {
    this.#began = began;
    put(this.#lock, "aria-pressed", String(held));
    const changed = Math.abs(value - began) > SAME;
    this.element.toggleAttribute("data-changed", changed);
    setOff(this.#back, !changed);
    if (this.#held || own) return;
    const { least, most } = this.attribute;
    const at = String(clamp(Math.round(value * 20) / 20, least, most));
    if (this.#slider.value !== at) this.#slider.value = at;
    this.#say(value);
  }

  #say(value: number): void {
    say(this.#value, signed(value));
    put(this.#slider, "aria-valuetext", told(value, this.attribute));
  }

  #listen(name: string): void {
    const slider = this.#slider;
    on(slider, "pointerdown", () => {
      this.#pointing = true;
    });
    on(slider, "input", () => {
      this.#held = true;
      const value = slider.valueAsNumber;
      this.#say(value);
      this.#host.move(name, value);
      clearTimeout(this.#rest);
      if (!this.#pointing) this.#rest = setTimeout(() => this.#end(), KEYS_REST);
    });
    // By a pointer this is the end; by keys it comes with each of them, and the end is that none comes any more.
    on(slider, "change", () => this.#pointing && this.#end());
    for (const lost of ["blur", "pointercancel"]) on(slider, lost, () => this.#end());
  }

  #end(): void {
    clearTimeout(this.#rest);
    this.#pointing = false;
    if (!this.#held) return;
    this.#held = false;
    this.#host.end();
  }
}
