/** A part of a panel that opens and closes. */
import { make, on, put, say } from "../shared.ts";

export class Fold {
  readonly head: HTMLElement;
  readonly body: HTMLElement;
  readonly #button: HTMLButtonElement;
  readonly #about = make("small");
  #open: boolean;

  get open(): boolean {
    return this.#open;
  }

  /** `beside`: what stands beside the words that open it. */
  constructor(words: string, body: HTMLElement, open = false, ...beside: HTMLElement[]) {
    this.body = body;
    this.#open = open;
    this.#button = make("button", { type: "button", class: "dg-fold" }, make("span", {}, words), this.#about);
    this.head = make("div", "dg-fold-head", this.#button, ...beside);
    on(this.#button, "click", () => {
      this.#open = !this.#open;
      this.show();
    });
    this.show();
  }

  /** `forced`: open whatever somebody has chosen, for what is looked for is in it. */
  show(forced = false): void {
    const open = this.#open || forced;
    this.body.hidden = !open;
    put(this.#button, "aria-expanded", String(open));
  }

  set(open: boolean): void {
    this.#open = open;
    this.show();
  }

  about(words: string): void {
    say(this.#about, words);
  }
}
