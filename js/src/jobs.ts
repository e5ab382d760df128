/** Long work beside the edit: what it is, how much of it is done, and the way to end it. One at a time, the oldest. */
import { make, on, putStyle, say } from "./dom.ts";
import type { Job, PageMessage } from "./protocol.ts";
import { working } from "./status.ts";
import { wide } from "./toolbar.ts";
import type { ViewState } from "./viewstate.ts";

export interface JobHost {
  readonly view: ViewState;
  cancel(job: Job): void;
  send(message: PageMessage): void;
  update(): void;
}

export class JobLine {
  readonly element = make("span", { class: "dg-past dg-job", hidden: true });
  readonly #words = make("span");
  #job: Job | undefined;

  readonly #enough = wide("Good enough", "End this as far as it has come, and keep it");
  readonly #place = wide("Square", "Place the square in the photo");

  constructor(host: JobHost) {
    const button = wide("Cancel");
    on(button, "click", () => this.#job && host.cancel(this.#job));
    on(this.#enough, "click", () => this.#job && host.send({ type: "enough", stage: this.#job.stage }));
    on(this.#place, "click", () => {
      host.view.placing = true;
      host.update();
    });
    this.element.append(this.#words, this.#place, this.#enough, button);
  }

  /** `placeable`: whether it is known where a square may be placed. */
  show(job: Job | undefined, placeable: boolean): void {
    this.#job = job;
    this.element.hidden = !job;
    if (!job) return;
    const fitted = job.stage === "pivot" || job.stage === "tuning";
    this.#enough.hidden = !fitted;
    this.#place.hidden = !fitted || !placeable;
    say(this.#words, working(job));
    putStyle(this.element, "--dg-done", String(job.progress ?? 0));
  }
}
