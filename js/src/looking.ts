/**
 * Sliding through the past asks for more pictures than anybody can make: one is asked for at a time, and when it is
 * there the one that is wanted by then. So the slider never runs ahead of the picture by more than one, on any line.
 */
import { Pending } from "./pending.ts";

const PATIENCE = 700;

export class Looker {
  readonly #send: (step: number | null) => void;
  readonly #settled: () => void;
  readonly #under = new Pending<number | null>(PATIENCE);
  #timer: ReturnType<typeof setTimeout> | undefined;
  #next: { step: number | null } | null = null;

  /** `settled` is called when what was last wanted is shown, or is not going to be. */
  constructor(send: (step: number | null) => void, settled: () => void) {
    this.#send = send;
    this.#settled = settled;
  }

  look(step: number | null): void {
    if (this.#under.value !== undefined) this.#next = { step };
    else this.#go(step);
  }

  /** The kernel shows this record now. */
  shows(step: number | null): void {
    if (this.#under.value !== undefined && this.#under.hears((sent) => sent === step)) this.#done();
  }

  close(): void {
    clearTimeout(this.#timer);
    this.#under.forget();
    this.#next = null;
  }

  #go(step: number | null): void {
    this.#under.expect(step);
    this.#timer = setTimeout(() => this.#done(), PATIENCE);
    this.#send(step);
  }

  #done(): void {
    const next = this.#next;
    this.close();
    if (next) this.#go(next.step);
    else this.#settled();
  }
}
