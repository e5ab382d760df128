/** The line under the picture, and its spoken twin: what is seen changes at every step, what is spoken seldom. */

import { make, put, say } from "./dom.ts";
import { Announcer, DISCONNECTED, kind, making, NO_ANSWER, sentence, about as whatItIsDoneTo } from "./status.ts";
import type { ViewState } from "./viewstate.ts";

/** What the kernel tells within so many milliseconds of something that was said belongs to the same thing. */
const FRESH = 250;

export class StatusLine {
  readonly element: HTMLElement;
  readonly #seen = make("span", { class: "dg-sentence", "aria-hidden": "true" });
  readonly #spoken = make("span", { class: "dg-spoken", role: "status", "aria-live": "polite" });
  readonly #about = make("span", { class: "dg-about" });
  readonly #past = make("span", { class: "dg-past", hidden: true });
  readonly #announcer = new Announcer((text) => {
    this.#spoken.textContent = text;
  });
  #aside: { text: string; at: number; timer: ReturnType<typeof setTimeout> } | null = null;
  #saidOf = "";
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

  show({ state, connected, late, hold, looking, tool, exporting }: ViewState): void {
    const made = connected && !late ? making(exporting) : "";
    const said = !connected ? DISCONNECTED : late ? NO_ANSWER : sentence(state, hold, looking, tool);
    this.#text = !made ? said : state?.status === "running" ? `${said} ${made}` : made;
    // What was said for a moment is of something else by now.
    const about = [connected, late, connected && kind(state), state?.message, looking, tool, made !== ""].join();
    if (about !== this.#saidOf && this.#aside && Date.now() - this.#aside.at > FRESH) this.#drop();
    this.#saidOf = about;
    this.#past.hidden = looking === null;
    this.#about.hidden = looking !== null;
    say(this.#about, state ? whatItIsDoneTo(state) : "");
    this.#write();
    // The slider says itself where it is.
    const told = !connected ? "disconnected" : late ? "late" : made ? "making" : kind(state);
    if (looking === null) this.#announcer.tell(told, this.#text);
  }

  /** Something worth a line for a moment; then the line says again what is going on. */
  aside(text: string, milliseconds: number): void {
    if (this.#aside) clearTimeout(this.#aside.timer);
    const timer = setTimeout(() => {
      this.#drop();
      this.#write();
    }, milliseconds);
    this.#aside = { text, at: Date.now(), timer };
    this.#announcer.tell("aside", text);
    this.#write();
  }

  close(): void {
    this.#drop();
  }

  #drop(): void {
    if (this.#aside) clearTimeout(this.#aside.timer);
    this.#aside = null;
  }

  #write(): void {
    const text = this.#aside?.text ?? this.#text;
    say(this.#seen, text);
    put(this.#seen, "title", text);
    this.element.toggleAttribute("data-aside", this.#aside !== null);
  }
}
