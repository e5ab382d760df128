/** One chip a point: how far it has to go, how surely it is followed, and whether it sits badly. */
import { make, on, scrollSideways } from "./dom.ts";
import { icon } from "./icons.ts";
import type { PointState } from "./protocol.ts";
import { Roving } from "./roving.ts";
import { sureness } from "./status.ts";
import type { ViewState } from "./viewstate.ts";

interface Chip {
  readonly element: HTMLElement;
  readonly select: HTMLButtonElement;
  readonly way: HTMLElement;
  readonly bar: HTMLElement;
}

export interface FeedbackHost {
  select(id: number): void;
  remove(id: number): void;
}

export class Feedback {
  readonly element: HTMLElement;
  readonly #list = make("div", { class: "dg-chips", role: "group", named: "Points of the edit" });
  readonly #empty = make("span", "dg-empty", "Points and the way they have to go appear here.");
  readonly #chips = new Map<number, Chip>();
  readonly roving = new Roving(this.#list);
  readonly #host: FeedbackHost;

  constructor(host: FeedbackHost, removeAll: HTMLElement) {
    this.#host = host;
    this.element = make("div", "dg-feedback", this.#empty, this.#list, removeAll);
    scrollSideways(this.#list);
  }

  show({ state, points, selected, badly }: ViewState): void {
    const shown = points.shown();
    this.#empty.hidden = shown.length > 0;
    this.#list.hidden = shown.length === 0;
    for (const [id, chip] of this.#chips) {
      if (shown.some((point) => point.id === id)) continue;
      chip.element.remove();
      this.#chips.delete(id);
    }
    for (const { id, handle, target } of shown) {
      const chip = this.#chips.get(id) ?? this.#make(id);
      const known = state?.points.find((point) => point.id === id);
      const way = `${Math.hypot(target[0] - handle[0], target[1] - handle[1]).toFixed(1)} px`;
      if (chip.way.textContent !== way) chip.way.textContent = way;
      const chosen = id === selected?.id;
      if (chosen && !chip.element.hasAttribute("data-selected")) bring(this.#list, chip.element);
      chip.element.toggleAttribute("data-selected", chosen);
      const flat = badly.has(id);
      chip.element.toggleAttribute("data-flat", flat);
      this.#showSureness(chip, known, id, flat, way);
    }
    this.roving.settle();
  }

  #showSureness(chip: Chip, known: PointState | undefined, id: number, isFlat: boolean, way: string): void {
    const confidence = known?.confidence ?? null;
    const words = sureness(confidence);
    const flat = isFlat ? ", hard to follow here" : "";
    const label = `Select point ${id}: ${way} to go${words && `, ${words}`}${flat}`;
    if (chip.select.getAttribute("aria-label") === label) return;
    chip.select.setAttribute("aria-label", label);
    chip.select.title = `${way} to go${words && `, ${words}`}${flat}`;
    chip.bar.toggleAttribute("data-unknown", confidence === null);
    chip.bar.toggleAttribute("data-low", confidence !== null && confidence < 0.35);
    chip.bar.style.setProperty("--dg-sure", String(confidence ?? 0));
  }

  #make(id: number): Chip {
    const way = make("span", "dg-way");
    const bar = make("i", "dg-sure");
    const select = make(
      "button",
      { type: "button", class: "dg-chip" },
      make("b", {}, String(id)),
      way,
      make("span", "dg-mark", bar, icon("warning")),
    );
    const remove = make(
      "button",
      { type: "button", class: "dg-chip dg-off", named: `Delete point ${id}`, title: "Delete this point" },
      icon("close"),
    );
    on(select, "click", () => this.#host.select(id));
    on(remove, "click", () => this.#host.remove(id));
    const chip = { element: make("span", "dg-both", select, remove), select, way, bar };
    this.#chips.set(id, chip);
    // In the order of their numbers, whichever came first.
    const next = [...this.#chips.keys()].filter((each) => each > id).sort((a, b) => a - b)[0];
    this.#list.insertBefore(chip.element, (next !== undefined && this.#chips.get(next)?.element) || null);
    return chip;
  }
}

/** Scrolls a line so that a part of it is seen, and nothing else. */
function bring(line: HTMLElement, part: HTMLElement): void {
  const [a, b] = [line.getBoundingClientRect(), part.getBoundingClientRect()];
  line.scrollLeft += Math.min(0, b.left - a.left - 30) + Math.max(0, b.right - a.right + 30);
}
