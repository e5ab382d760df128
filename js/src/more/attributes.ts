/** Attributes of the picture beside its points: said in words, slid, held, and taught. */
import type { PanelHost } from "../panels.ts";
import type { StateMessage } from "../protocol.ts";
import { isOff, make, on, Pending, put, say, setOff, wide } from "../shared.ts";
import type { ViewState } from "../viewstate.ts";
import { Amount } from "./amount.ts";
import { finds } from "./finding.ts";
import { Fold } from "./fold.ts";
import { lock } from "./icons.ts";
import { Prompt } from "./prompt.ts";
import { Slides } from "./slides.ts";
import { closing, Teaching } from "./teaching.ts";
import type { Told } from "./told.ts";

const READING = "Reading the attributes…";
/** Milliseconds between two looks at the values while a run is on. */
const SELDOM = 500;
const NONE_FOUND = "No attribute is called that.";

export class Attributes {
  readonly element: HTMLElement;
  readonly #host: PanelHost;
  readonly #words = make("input", {
    class: "dg-box",
    type: "text",
    named: "Say what should change",
    placeholder: "older, smiling a bit, hair longer",
    autocomplete: "off",
    maxlength: 1000,
  });
  readonly #do = wide("Change", "Do what the words say (Enter)");
  readonly #search = make("input", {
    class: "dg-box dg-search",
    type: "search",
    named: "Search attributes",
    placeholder: "Search",
    autocomplete: "off",
  });
  readonly #said = make("p", { class: "dg-said", role: "status" });
  readonly #empty = make("p", {}, READING);
  readonly #holds = make("div", { class: "dg-row dg-holds", role: "group", named: "Hold several at once" });
  readonly #list = make("div");
  readonly #asks = make("div", "dg-ask", this.#words, this.#do);
  readonly #prompt: Prompt;
  readonly #teaching: Teaching;
  readonly #teach: HTMLElement;
  readonly #slides: Slides;
  #amounts: readonly Amount[] = [];
  #groups: { fold: Fold; label: string; amounts: readonly Amount[] }[] = [];
  #locks: { button: HTMLButtonElement; members: readonly string[] }[] = [];
  #values: Told["values"] = { values: {}, began: {}, held: [] };
  #number = 0;
  #own = "";
  #said_by = 0;
  readonly #asked = new Pending<StateMessage | null>(2000);
  #askedAt = 0;
  #state: StateMessage | null = null;
  #model = "";

  constructor(host: PanelHost) {
    this.#host = host;
    const next = () => ++this.#number;
    this.#slides = new Slides((slide) => host.send({ type: "change", ...slide }), next);
    this.#prompt = new Prompt(host, (text) => {
      this.#said_by = next();
      this.#tell("", false);
      host.send({ type: "prompt", id: this.#said_by, text });
    });
    this.#teaching = new Teaching(host, (name) => {
      this.#said_by = next();
      host.send({ type: "teach", id: this.#said_by, name });
    });
    this.#teach = make("div", {}, this.#teaching.fold.head, this.#teaching.fold.body);
    const close = closing("Attributes", host);
    this.element = make(
      "section",
      { role: "group", named: "Attributes", hidden: true },
      make("div", "dg-panel-head", make("strong", {}, "Attributes"), this.#search, close, this.#asks),
      this.#prompt.element,
      this.#said,
      this.#empty,
      this.#holds,
      this.#list,
      this.#teach,
    );
    on(this.#do, "click", () => this.#say());
    on(this.#words, "input", () => setOff(this.#do, this.#words.value.trim() === ""));
    on(this.#search, "input", () => this.#sort());
    setOff(this.#do, true);
  }

  show(view: ViewState): void {
    const open = view.drawer === "attributes";
    const opened = open && this.element.hidden;
    this.element.hidden = !open;
    const { state, live } = view;
    if (!open || !live || !state) return;
    const model = [state.generator, state.model, state.width, state.photo, state.classes].join();
    if (opened || model !== this.#model) {
      this.#model = model;
      this.#state = state;
      this.#host.send({ type: "attributes" });
    } else if (state !== this.#state && !this.#slides.waits() && !this.#asked.waits()) {
      // Of a run not of each step: reading them takes time from it.
      if (state.status === "running" && Date.now() - this.#askedAt < SELDOM) return;
      this.#state = state;
      this.#askedAt = Date.now();
      this.#asked.expect(state);
      this.#host.send({ type: "values" });
    }
  }

  attributes({ attributes, groups, sets, why }: Told["attributes"]): void {
    const host = {
      move: (name: string, value: number) => {
        if (!this.#slides.held) this.#tell("", false); // it was said of something else
        this.#own = name;
        this.#slides.move({ [name]: value });
      },
      end: () => this.#slides.end(),
      lock: (name: string, on: boolean) => this.#host.send({ type: "lock", name, on }),
    };
    const same = JSON.stringify(attributes);
    if (this.#list.dataset.made !== same) {
      this.#list.dataset.made = same;
      const open = new Map(this.#groups.map(({ label, fold }) => [label, fold.open]));
      this.#amounts = attributes.map((each) => new Amount(each, host));
      this.#locks = [];
      this.#groups = groups.map(({ name, label }, at) => {
        const amounts = this.#amounts.filter(({ attribute }) => attribute.group === name);
        const members = amounts.map(({ attribute }) => attribute.name);
        const body = make(
          "div",
          { class: "dg-amounts", role: "group", named: label },
          ...amounts.map((each) => each.element),
        );
        return {
          fold: new Fold(label, body, open.get(label) ?? at === 0, this.#lock(name, label, members)),
          label,
          amounts,
        };
      });
      this.#list.replaceChildren(...this.#groups.flatMap(({ fold }) => [fold.head, fold.body]));
      this.#holds.replaceChildren(
        ...sets.map(({ name, members }) => this.#lock(name, name, members, `Hold ${name.replaceAll("_", " ")}`)),
      );
      this.#holds.hidden = sets.length === 0;
    }
    say(this.#empty, why);
    this.#sort();
    this.#show();
  }

  values(values: Told["values"]): void {
    this.#values = values;
    this.#asked.forget();
    this.#show();
    this.show(this.#host.view); // the state may have gone on meanwhile
  }

  prompt(told: Told["prompt"]): void {
    this.#prompt.receive(told);
    // A model that reads prompts has no attributes: what these are asked by says nothing there.
    for (const part of [this.#asks, this.#search, this.#teach]) part.hidden = this.#prompt.there;
    this.#asked.forget();
    this.show(this.#host.view); // the state may have gone on meanwhile
  }

  marks({ sides }: Told["marks"], pictures: readonly ArrayBufferView[]): void {
    void this.#teaching.receive(sides, pictures);
  }

  answer({ id, done, notes }: Told["answer"]): void {
    this.#slides.answered(id);
    if (!this.#slides.waits()) this.#own = "";
    const spoken = id === this.#said_by;
    // What a slider could not have is said as well; of what it could there is nothing to say.
    if (spoken || notes.length > 0) this.#tell(notes.map((note) => `${note.replace(/\.$/, "")}.`).join(" "), !done);
    if (spoken && done) this.#teaching.done();
    this.#show();
  }

  typed(event: KeyboardEvent): void {
    const target = event.composedPath()[0];
    const enter = event.key === "Enter";
    if (target === this.#words && enter) this.#say();
    if (target === this.#prompt.input && enter) this.#prompt.make();
    if (target === this.#prompt.input && event.key === "Escape") this.#prompt.forget();
    if (target === this.#teaching.name && enter) this.#teaching.teach();
    if (target === this.#search && event.key === "Escape") {
      this.#search.value = "";
      this.#sort();
    }
  }

  #say(): void {
    const text = this.#words.value.trim();
    if (isOff(this.#do) || !this.#host.view.live || text === "") return;
    this.#said_by = ++this.#number;
    this.#tell("…", false);
    this.#host.send({ type: "say", id: this.#said_by, text });
  }

  #tell(text: string, bad: boolean): void {
    say(this.#said, text);
    this.#said.toggleAttribute("data-bad", bad);
  }

  #lock(name: string, label: string, members: readonly string[], words = ""): HTMLButtonElement {
    const button = lock(words || `Hold all of ${label}`, words);
    on(button, "click", () => {
      this.#host.send({ type: "lock", name, on: button.getAttribute("aria-pressed") !== "true" });
    });
    this.#locks.push({ button, members });
    return button;
  }

  /** Shows what is looked for, or all. */
  #sort(): void {
    const text = this.#search.value.trim();
    let found = 0;
    for (const { fold, label, amounts } of this.#groups) {
      let here = 0;
      for (const { element, attribute } of amounts) {
        element.hidden = !finds(text, attribute, label);
        if (!element.hidden) here += 1;
      }
      fold.show(text !== "" && here > 0);
      fold.head.hidden = here === 0;
      if (here === 0) fold.body.hidden = true;
      found += here;
    }
    if (this.#amounts.length > 0) say(this.#empty, found > 0 ? "" : NONE_FOUND);
    this.#empty.hidden = this.#empty.textContent === "";
  }

  #show(): void {
    const { values, began, held } = this.#values;
    const all = new Set(held);
    const waits = this.#slides.waits();
    for (const amount of this.#amounts) {
      const { name } = amount.attribute;
      const value = values[name] ?? 0;
      amount.show(value, began[name] ?? value, all.has(name), waits && name === this.#own);
    }
    for (const { button, members } of this.#locks) {
      put(button, "aria-pressed", String(members.length > 0 && members.every((name) => all.has(name))));
    }
    for (const { fold, amounts } of this.#groups) {
      const changed = amounts.filter(({ element }) => element.hasAttribute("data-changed")).length;
      fold.about([`${amounts.length}`, ...(changed ? [`${changed} changed`] : [])].reverse().join(" of "));
    }
  }
}
