/** The line under the picture, and its spoken twin: what is seen changes at every step, what is spoken seldom. */
import { make, say } from "./dom.ts";
import type { StateMessage } from "./protocol.ts";
import { Announcer, DISCONNECTED, kind, sentence } from "./status.ts";

export class StatusLine {
  readonly element: HTMLElement;
  readonly #seen = make("span", { class: "dg-sentence", "aria-hidden": "true" });
  readonly #spoken = make("span", { class: "dg-spoken", role: "status", "aria-live": "polite" });
  readonly #about = make("span", { class: "dg-about" });
  readonly #announcer = new Announcer((text) => {
    this.#spoken.textContent = text;
  });
  #aside: { text: string; timer: ReturnType<typeof setTimeout> } | null = null;
  #text = "";

  constructor() {
    this.element = make(
      "div",
      { class: "dg-status" },
      make("i", { class: "dg-light" }),
      this.#seen,
      this.#spoken,
      this.#about,
    );
  }

  show(state: StateMessage | null, connected: boolean, hold: boolean): void {
    this.#text = connected ? sentence(state, hold) : DISCONNECTED;
    say(this.#about, state ? `${state.generator} · ${state.width} × ${state.height}` : "");
    this.#write();
    this.#announcer.tell(connected ? kind(state) : "disconnected", this.#text);
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
    this.element.toggleAttribute("data-aside", this.#aside !== null);
  }
}
