/** The list of models to choose from, where the kernel offers one. */
import { make, on } from "./dom.ts";
import { Pending } from "./pending.ts";
import type { ModelsMessage, StateMessage } from "./protocol.ts";

/** With the arrow keys one passes over models on the way to another; only one that is stayed at is loaded. */
const DWELL = 900;
/** The kernel is asked what there is when the list is opened, but by one opening only once. */
const ASK_EVERY = 500;

export interface ModelHost {
  /** What is there to choose from? */
  askForModels(): void;
  load(name: string): void;
}

/**
 * What the list holds. What is not listed has its place too, or the list would show another model as the present one:
 * `foreign` is what came from elsewhere and cannot be chosen, `others` are files that have gone, or are about to be read.
 */
export function choices({ builtin, files }: ModelsMessage, state: StateMessage) {
  const { model, generator } = state;
  const listed = new Set([...builtin, ...files]);
  const others = [...new Set([model, loadingOf(state)])].filter((name) => name !== null && !listed.has(name));
  return { foreign: model === null ? generator : null, others: others as string[], builtin, files };
}

/** The model that is about to take this one's place. */
function loadingOf(state: StateMessage): string | null {
  return state.jobs.findLast(({ what }) => what === "load")?.name ?? null;
}

export class ModelPicker {
  readonly element: HTMLElement;
  readonly #host: ModelHost;
  readonly #list = make("select", {
    class: "dg-box dg-list",
    named: "Model",
    title: "Another model begins a new edit",
  });
  #models: ModelsMessage | null = null;
  #state: StateMessage | null = null;
  /** What the options were made of. */
  #made = "";
  #byKey = false;
  #dwelling: ReturnType<typeof setTimeout> | null = null;
  readonly #sent = new Pending<string>();
  #askedAt = Number.NEGATIVE_INFINITY;

  constructor(host: ModelHost) {
    this.#host = host;
    this.element = make(
      "label",
      { class: "dg-field dg-model", hidden: true },
      make("span", {}, "Model"),
      this.#list,
      make("i", "dg-spinner"),
    );
    on(this.#list, "focus", () => this.#ask());
    on(this.#list, "pointerdown", () => {
      this.#byKey = false;
      this.#ask();
    });
    on(this.#list, "change", () => this.#changed());
    on(this.#list, "blur", () => this.#dwelling && this.#choose());
  }

  receive(models: ModelsMessage): void {
    this.#models = models;
    this.show(this.#state);
  }

  show(state: StateMessage | null): void {
    this.#state = state;
    this.element.hidden = this.#models === null || state === null;
    if (!this.#models || !state) return;
    this.#make(this.#models, state);
    const loading = loadingOf(state);
    this.#list.setAttribute("aria-busy", String(loading !== null));
    this.element.toggleAttribute("data-busy", loading !== null);
    this.#sent.hears((name) => name === loading);
    if (this.#dwelling === null) this.#list.value = this.#sent.value ?? loading ?? state.model ?? "";
  }

  /** A key in the list: until a pointer is used, choosing is taken to be by key. */
  typed(event: KeyboardEvent): void {
    if (event.composedPath()[0] !== this.#list) return;
    this.#byKey = true;
    if (event.key === "Enter" && this.#dwelling !== null) this.#choose();
    if (event.key === "Escape") {
      this.#rest();
      this.show(this.#state);
    }
  }

  close(): void {
    this.#rest();
  }

  #changed(): void {
    this.#rest();
    if (this.#byKey) this.#dwelling = setTimeout(() => this.#choose(), DWELL);
    else this.#choose();
  }

  #choose(): void {
    this.#rest();
    const name = this.#list.value;
    if (name !== "" && this.#state && name !== (loadingOf(this.#state) ?? this.#state.model)) {
      this.#sent.expect(name);
      this.#host.load(name);
    }
    this.show(this.#state);
  }

  #rest(): void {
    if (this.#dwelling !== null) clearTimeout(this.#dwelling);
    this.#dwelling = null;
  }

  #ask(): void {
    if (Date.now() - this.#askedAt < ASK_EVERY) return;
    this.#askedAt = Date.now();
    this.#host.askForModels();
  }

  /** Made anew only where they differ: the list may be open. */
  #make(models: ModelsMessage, state: StateMessage): void {
    const { foreign, others, builtin, files } = choices(models, state);
    const made = JSON.stringify([foreign, others, builtin, files]);
    if (made === this.#made) return;
    this.#made = made;
    const option = (name: string) => make("option", { value: name }, name);
    const group = (label: string, names: readonly string[]) =>
      names.length > 0 ? [make("optgroup", { label }, ...names.map(option))] : [];
    this.#list.replaceChildren(
      ...(foreign === null ? [] : [make("option", { value: "", disabled: true }, foreign)]),
      ...others.map(option),
      ...group("Built in", builtin),
      ...group("Files", files),
    );
  }
}
