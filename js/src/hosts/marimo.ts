/**
 * marimo: notices when an edit has come to rest as another one. It runs cells again when a widget changes, and looks
 * only at what the page changes, so the page has to say it; once, not for every step.
 */
import type { StateMessage } from "../protocol.ts";

const QUIET = 300;

export class Settled {
  readonly #changed: () => void;
  #known: string | null = null;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(changed: () => void) {
    this.#changed = changed;
  }

  state({ status, step, seed, truncation, label, points, generator }: StateMessage): void {
    clearTimeout(this.#timer);
    if (status === "running") return;
    const places = points.map(({ id, handle, target }) => [id, handle, target]);
    const now = JSON.stringify([status, step, seed, truncation, label, places, generator]);
    this.#known ??= now; // as it was found
    if (now === this.#known) return;
    this.#timer = setTimeout(() => {
      this.#known = now;
      this.#changed();
    }, QUIET);
  }

  close(): void {
    clearTimeout(this.#timer);
  }
}
