/** The prompt of a model that reads one: another makes the picture anew, of the same seed. */
import type { PanelHost } from "../panels.ts";
import { isOff, make, on, put, say, setOff, wide } from "../shared.ts";
import type { Told } from "./told.ts";

const HOW = "Open photo has the model learn a picture of your own, which is then pulled.";
const LEARNT = "The model has learnt the picture that was opened.";

export class Prompt {
  readonly input = make("input", {
    class: "dg-box",
    type: "text",
    named: "Prompt",
    placeholder: "what the picture shows",
    autocomplete: "off",
    maxlength: 1000,
  });
  readonly #make = wide("Make", "Make the picture of this prompt, of the same seed (Enter)");
  readonly #words = make("div", { class: "dg-row dg-holds", role: "group", named: "Words of the prompt" });
  readonly #learnt = make("p");
  /** Hidden where the model reads no prompts. */
  readonly element = make("div", { hidden: true }, make("div", "dg-ask", this.input, this.#make), this.#words);
  readonly #host: PanelHost;
  readonly #send: (text: string) => void;
  /** As the kernel has it; null where there is none. */
  #now: string | null = null;
  #buttons: readonly HTMLButtonElement[] = [];

  constructor(host: PanelHost, send: (text: string) => void) {
    this.#host = host;
    this.#send = send;
    this.element.append(this.#learnt);
    on(this.#make, "click", () => this.make());
    on(this.input, "input", () => this.#show());
  }

  /** Whether the model reads prompts. */
  get there(): boolean {
    return this.#now !== null;
  }

  receive({ prompt, words, learnt }: Told["prompt"]): void {
    // What is being typed stays, unless there is another prompt by now: by undo, or by Python.
    if (prompt !== this.#now) this.input.value = prompt ?? "";
    this.#now = prompt;
    this.element.hidden = prompt === null;
    say(this.#learnt, learnt ? LEARNT : HOW);
    if (this.#buttons.map(({ textContent }) => textContent).join() !== words.join()) {
      this.#buttons = words.map((word) => this.#button(word));
      this.#words.replaceChildren(...this.#buttons);
    }
    this.#words.hidden = words.length === 0;
    this.#show();
  }

  make(): void {
    if (!isOff(this.#make) && this.#host.view.live) this.#send(this.input.value.trim());
  }

  /** Back to what is so. */
  forget(): void {
    this.input.value = this.#now ?? "";
    this.#show();
  }

  /** Says a word, or says it no longer. */
  #button(word: string): HTMLButtonElement {
    const button = wide(word);
    on(button, "click", () => {
      const said = this.#said();
      const others = said.filter((each) => each !== word);
      this.input.value = (others.length < said.length ? others : [...said, word]).join(" ");
      this.#show();
    });
    return button;
  }

  #said(): string[] {
    return this.input.value
      .toLowerCase()
      .split(/[\s,]+/)
      .filter(Boolean);
  }

  #show(): void {
    setOff(this.#make, this.input.value.trim() === this.#now);
    const said = this.#said();
    for (const button of this.#buttons) put(button, "aria-pressed", String(said.includes(button.textContent ?? "")));
  }
}
