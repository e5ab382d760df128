/** Long work beside the edit: what it is, how much of it is done, and the way to end it. One at a time, the oldest. */
import { make, on, putStyle, say } from "./dom.ts";
import type { Job } from "./protocol.ts";
import { working } from "./status.ts";
import { wide } from "./toolbar.ts";

export class JobLine {
  readonly element = make("span", { class: "dg-past dg-job", hidden: true });
  readonly #words = make("span");
  #job: Job | undefined;

  constructor(cancel: (job: Job) => void) {
    const button = wide("Cancel");
    on(button, "click", () => this.#job && cancel(this.#job));
    this.element.append(this.#words, button);
  }

  show(job: Job | undefined): void {
    this.#job = job;
    this.element.hidden = !job;
    if (!job) return;
    say(this.#words, working(job));
    putStyle(this.element, "--dg-done", String(job.progress ?? 0));
  }
}
