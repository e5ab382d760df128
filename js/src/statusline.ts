/** The line under the picture, and its spoken twin: what is seen changes at every step, what is spoken seldom. */

import { make, put, say } from "./dom.ts";
import { type JobHost, JobLine } from "./jobs.ts";
import { Announcer, DISCONNECTED, kind, NO_ANSWER, sentence, about as whatItIsDoneTo, working } from "./status.ts";
import type { ViewState } from "./viewstate.ts";

/** What the kernel tells within so many milliseconds of something that was said belongs to the same thing. */
const FRESH = 250;

export class StatusLine {
  readonly element: HTMLElement;
  readonly #seen = make("span", { class: "dg-sentence", "aria-hidden": "true" });
  readonly #spoken = make("span", { class: "dg-spoken", role: "status", "aria-live": "polite" });
  readonly #about = make("span", "dg-about");
  readonly #jobs: JobLine;
  readonly #past = make("span", { class: "dg-past", hidden: true });
  readonly #announcer = new Announcer((text) => {
    this.#spoken.textContent = text;
  });
  #aside: { text: string; at: number; timer: ReturnType<typeof setTimeout> } | null = null;
  #saidOf = "";
  #text = "";

  /** `past` is what can be done while the past is looked at. */
  constructor(host: JobHost, ...past: HTMLElement[]) {
    this.#jobs = new JobLine(host);
    this.#past.append(...past);
    this.element = make(
      "div",
      "dg-status",
      make("i", "dg-light"),
      this.#seen,
      this.#spoken,
      this.#about,
      this.#past,
      this.#jobs.element,
    );
  }

  show({ state, connected, late, hold, looking, tool, jobs, placeable }: ViewState): void {
    const job = connected && !late ? jobs[0] : undefined;
    this.#text = !connected ? DISCONNECTED : late ? NO_ANSWER : sentence(state, hold, looking, tool);
    // What was said for a moment is of something else by now.
    const about = [connected, late, connected && kind(state), state?.message, looking, tool, job?.id].join();
    if (about !== this.#saidOf && this.#aside && Date.now() - this.#aside.at > FRESH) this.#drop();
    this.#saidOf = about;
    this.#past.hidden = looking === null;
    this.#jobs.show(job, placeable);
    this.#about.hidden = looking !== null || job !== undefined;
    say(this.#about, state ? whatItIsDoneTo(state) : "");
    this.#write();
    // The slider says itself where it is.
    const told = !connected ? "disconnected" : late ? "late" : kind(state);
    if (job) this.#announcer.tell(`${told}…`, `${this.#text} ${working(job)}`);
    else if (looking === null) this.#announcer.tell(told, this.#text);
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
