/** The line under the picture, and its spoken twin: what is seen changes at every step, what is spoken seldom. */
import type { Desk } from "./desk.ts";
import { make, put, say } from "./dom.ts";
import { Announcer, about, DISCONNECTED, kind, NO_ANSWER, sentence } from "./status.ts";

export class StatusLine {
  readonly element: HTMLElement;
  readonly #seen = make("span", { class: "dg-sentence", "aria-hidden": "true" });
  readonly #spoken = make("span", { class: "dg-spoken", role: "status", "aria-live": "polite" });
  readonly #about = make("span", { class: "dg-about" });
  readonly #past = make("span", { class: "dg-past", hidden: true });
  readonly #announcer = new Announcer((text) => {
    this.#spoken.textContent = text;
  });
  #aside: { text: string; timer: ReturnType<typeof setTimeout> } | null = null;
  #text = "";

  /** `past` is what can be done while the past is looked at. */
  constructor(...past: HTMLElement[]) {
    this.#past.append(...past);
    this.element = make(
      "div",
      { class: "dg-status" },
      make("i", { class: "dg-light" }),
      this.#seen,
      this.#spoken,
      this.#about,
      this.#past,
    );
  }

  show({ state, connected, late, hold, looking }: Desk): void {
    this.#text = !connected ? DISCONNECTED : late ? NO_ANSWER : sentence(state, hold, looking);
    this.#past.hidden = looking === null;
    this.#about.hidden = looking !== null;
    say(this.#about, state ? about(state) : "");
    this.#write();
    // The slider says itself where it is.
    if (looking === null) this.#announcer.tell(!connected ? "disconnected" : late ? "late" : kind(state), this.#text);
  }

  /** Something worth a line for a moment; then the line says again what is going on. */
  aside(text: string, milliseconds: number): void {
    if (this.#aside) clearTimeout(this.#aside.timer);
    const timer = setTimeout(() => {
      this.#aside = null;
      this.#write();
    }, milliseconds);
    this.#aside = { text, timer };
    this.#announcer.tell("aside", text);
    this.#write();
  }

  close(): void {
    if (this.#aside) clearTimeout(this.#aside.timer);
  }

  #write(): void {
    const text = this.#aside?.text ?? this.#text;
    say(this.#seen, text);
    put(this.#seen, "title", text);
    this.element.toggleAttribute("data-aside", this.#aside !== null);
  }
}
