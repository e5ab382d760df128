/** The rows under the picture: which picture it is of. The few settings that are always at hand. */
import { ClassField, type ClassHost } from "./classes.ts";
import { make, on } from "./dom.ts";
import { type ModelHost, ModelPicker } from "./models.ts";
import { Pending } from "./pending.ts";
import { BAD_SEED, STAYS_HERE } from "./status.ts";
import { button, type Toolbar, wide } from "./toolbar.ts";
import type { ViewState } from "./viewstate.ts";

const OPEN = `Pull a photo of yours: choose it, drop it on the picture, or paste it there. ${STAYS_HERE}`;
const LARGEST_SEED = 2 ** 32 - 1;

export interface SettingsHost extends ClassHost, ModelHost {
  newImage(seed: number | null): void;
  truncation(value: number): void;
}

export class Settings {
  readonly element: HTMLElement;
  /** Model and class, where there is a choice of them. */
  readonly source: HTMLElement;
  readonly models: ModelPicker;
  readonly classes: ClassField;
  readonly #host: SettingsHost;
  readonly #seed = make("input", {
    class: "dg-box dg-seed",
    type: "text",
    inputmode: "numeric",
    named: "Seed",
    title: "The number that this picture grew from; Enter goes to another",
    autocomplete: "off",
    spellcheck: "false",
  });
  readonly #truncation = make("input", {
    type: "range",
    min: 0,
    max: 1,
    step: 0.05,
    named: "Truncation",
    title: "Low: typical pictures; high: varied ones. Begins a new edit",
  });
  readonly #value = make("output", "dg-value");
  /** What the person is in the middle of changing is theirs until they are done. */
  #typing = false;
  #sliding = false;
  #shownTruncation: number | null = null;
  /** What the kernel is about to repeat: on a slow line, the next key goes on from here. */
  readonly #sent = new Pending<number>();
  #view: ViewState | null = null;

  constructor(host: SettingsHost, toolbar: Toolbar) {
    this.#host = host;
    this.models = new ModelPicker(host);
    this.classes = new ClassField(host);
    this.source = make("div", { class: "dg-row dg-source", hidden: true }, this.models.element, this.classes.element);
    const fresh = wide("New image", "Another picture, from a random seed or from the one typed", "dice");
    this.element = make(
      "div",
      "dg-row",
      make(
        "span",
        "dg-field",
        make("span", { "aria-hidden": "true" }, "Seed"),
        make(
          "span",
          "dg-group",
          toolbar.add(button("Previous seed", "previous", "The seed before")),
          this.#seed,
          toolbar.add(button("Next seed", "next", "The seed after")),
        ),
      ),
      toolbar.add(fresh),
      toolbar.add(wide("Open photo", OPEN, "photo")),
      make("label", "dg-field dg-end", make("span", {}, "Truncation"), this.#truncation, this.#value),
    );
    this.#listen();
  }

  /** The typed seed, or null for a random one: what "New image" means now. Undefined where the typed one is none. */
  takeSeed(): number | null | undefined {
    if (!this.#typing || this.#seed.value.trim() === "") return this.#done(null);
    const typed = this.#seed.value.trim();
    const seed = Number(typed);
    if (/^\d+$/.test(typed) && seed <= LARGEST_SEED) return this.#done(seed);
    this.#seed.setAttribute("aria-invalid", "true");
    this.#host.hint(BAD_SEED);
    return undefined;
  }

  show(view: ViewState): void {
    this.#view = view;
    const { state } = view;
    this.models.show(state);
    this.classes.show(state);
    this.source.hidden = this.models.element.hidden && this.classes.element.hidden;
    if (!state) return;
    // Written only where they change: a slider that is set, even to what it says, is laid out and painted again.
    const seed = String(view.seed ?? "");
    if (!this.#typing && this.#seed.value !== seed) this.#seed.value = seed;
    const holds = this.#sent.hears((truncation) => truncation === state.truncation);
    if (!this.#sliding && holds && this.#shownTruncation !== state.truncation) {
      this.#shownTruncation = state.truncation;
      this.#truncation.value = String(state.truncation);
      this.#value.value = state.truncation.toFixed(2);
    }
  }

  /** The next state of the kernel holds, whatever was chosen here. */
  believe(): void {
    this.#sent.forget();
    this.classes.believe();
  }

  /** Keys come from the view, which hears them before the notebook does. */
  typed(event: KeyboardEvent): void {
    this.models.typed(event);
    this.classes.typed(event);
    if (event.composedPath()[0] !== this.#seed) return;
    if (event.key === "Enter") {
      this.#typing = true;
      const seed = this.takeSeed();
      if (seed !== undefined) this.#host.newImage(seed);
    } else if (event.key === "Escape") {
      this.#done(null);
      if (this.#view) this.show(this.#view);
    }
  }

  #done(seed: number | null): number | null {
    this.#typing = false;
    this.#seed.removeAttribute("aria-invalid");
    return seed;
  }

  #listen(): void {
    on(this.#seed, "input", () => {
      this.#typing = true;
      this.#seed.removeAttribute("aria-invalid");
    });
    on(this.#truncation, "input", () => {
      this.#sliding = true;
      this.#shownTruncation = null;
      this.#value.value = Number(this.#truncation.value).toFixed(2);
    });
    on(this.#truncation, "change", () => {
      const truncation = Number(this.#truncation.value);
      this.#host.truncation(truncation); // which believes the kernel in all else
      this.#sent.expect(truncation);
      this.#sliding = false;
    });
  }
}
