/** Which class the picture is of: a number between two steppers, or a list where the classes have names. */
import { make, on, setOff } from "./dom.ts";
import { clamp } from "./geometry.ts";
import { Pending } from "./pending.ts";
import type { StateMessage } from "./protocol.ts";
import { badClass } from "./status.ts";
import { button } from "./toolbar.ts";

export interface ClassHost {
  label(value: number): void;
  hint(text: string): void;
}

/** The class that somebody typed, or null where there is none of that number. */
export function classOf(typed: string, classes: number): number | null {
  const label = Number(typed);
  return /^\d+$/.test(typed.trim()) && label < classes ? label : null;
}

export class ClassField {
  readonly element: HTMLElement;
  readonly #host: ClassHost;
  readonly #number = make("input", {
    class: "dg-box dg-number",
    type: "number",
    min: 0,
    step: 1,
    named: "Class",
    title: "The class of the picture; another one begins a new edit",
  });
  readonly #list = make("select", { class: "dg-box dg-list", named: "Class", title: this.#number.title });
  readonly #slot = make("span", "dg-field", this.#number);
  readonly #previous = button("Previous class", "previous", "The class before");
  readonly #next = button("Next class", "next", "The class after");
  /** What the person is in the middle of changing is theirs until they are done. */
  #typing = false;
  /** What the kernel is about to repeat: steps are counted from here, however fast they come. */
  readonly #sent = new Pending<number>();
  #names: readonly string[] = [];
  #state: StateMessage | null = null;

  constructor(host: ClassHost) {
    this.#host = host;
    this.element = make(
      "div",
      { class: "dg-field dg-class", role: "group", named: "Class of the picture", hidden: true },
      make("span", { "aria-hidden": "true" }, "Class"),
      make("span", "dg-group", this.#previous, this.#slot, this.#next),
    );
    on(this.#previous, "click", () => this.#step(-1));
    on(this.#next, "click", () => this.#step(1));
    on(this.#list, "change", () => this.#choose(Number(this.#list.value)));
    on(this.#number, "change", () => this.#take());
    on(this.#number, "input", () => {
      this.#typing = true;
      this.#number.removeAttribute("aria-invalid");
    });
  }

  receive(names: readonly string[]): void {
    this.#names = names;
    // The name first: a list is searched by typing how an entry begins.
    this.#list.replaceChildren(...names.map((name, label) => make("option", { value: label }, `${name} · ${label}`)));
    this.show(this.#state);
  }

  /** The next state of the kernel holds, whatever was chosen here. */
  believe(): void {
    this.#sent.forget();
  }

  show(state: StateMessage | null): void {
    this.#state = state;
    const classes = state?.classes ?? 0;
    this.element.hidden = classes === 0;
    if (!state || classes === 0) return;
    const control = this.#names.length === classes ? this.#list : this.#number;
    if (control.parentElement !== this.#slot) this.#slot.replaceChildren(control);
    this.#number.max = String(classes - 1);
    this.#sent.hears((label) => label === state.label);
    const label = this.#label;
    const shown = label === null ? "" : String(label);
    if (!this.#typing && this.#number.value !== shown) this.#number.value = shown;
    if (this.#list.value !== shown) this.#list.value = shown;
    setOff(this.#previous, label === null || label <= 0);
    setOff(this.#next, label === null || label >= classes - 1);
  }

  /** A key in one of the controls. */
  typed(event: KeyboardEvent): void {
    if (event.key !== "Escape" || event.composedPath()[0] !== this.#number) return;
    this.#done();
    this.show(this.#state);
  }

  get #label(): number | null {
    return this.#sent.value ?? this.#state?.label ?? null;
  }

  #take(): void {
    const classes = this.#state?.classes ?? 0;
    const label = classOf(this.#number.value, classes);
    if (label !== null) {
      this.#choose(label);
      return;
    }
    this.#typing = true;
    this.#number.setAttribute("aria-invalid", "true");
    this.#host.hint(badClass(classes));
  }

  #step(by: number): void {
    const label = this.#label;
    if (label === null || !this.#state) return;
    const next = clamp(label + by, 0, this.#state.classes - 1);
    if (next !== label) this.#choose(next);
  }

  #choose(label: number): void {
    this.#done();
    this.#host.label(label);
    this.#sent.expect(label);
    this.show(this.#state);
  }

  #done(): void {
    this.#typing = false;
    this.#number.removeAttribute("aria-invalid");
  }
}
