/**
 * Sliders on their way to the kernel: the newest value wins, and one answer is under way. What is asked for before it
 * has come waits, and of what waits only the newest goes; the end of a gesture always goes, and at once. Pure.
 */
import type { Amounts } from "./told.ts";

/** An answer that takes longer was lost, or the kernel is busy with something else: the next one is asked for. */
const PATIENCE = 4000;

export interface Slide {
  readonly id: number;
  readonly values: Amounts;
  readonly pulling: boolean;
}

export class Slides {
  readonly #send: (slide: Slide) => void;
  readonly #next: () => number;
  #asked: { readonly id: number; readonly at: number } | null = null;
  #waiting: Amounts | null = null;
  /** Of the gesture that is under way, what was asked for last. */
  #newest: Amounts | null = null;

  /** `next` gives each message a number. */
  constructor(send: (slide: Slide) => void, next: () => number) {
    this.#send = send;
    this.#next = next;
  }

  /** Whether a slider is held. */
  get held(): boolean {
    return this.#newest !== null;
  }

  /** Whether what the kernel says is of before. */
  waits(now = Date.now()): boolean {
    return this.held || (this.#asked !== null && now - this.#asked.at < PATIENCE);
  }

  move(values: Amounts, now = Date.now()): void {
    this.#newest = values;
    this.#waiting = values;
    if (!this.#asked || now - this.#asked.at >= PATIENCE) this.#go(true, now);
  }

  /** The slider is let go. */
  end(now = Date.now()): void {
    if (!this.#newest) return;
    this.#waiting = this.#newest;
    this.#newest = null;
    this.#go(false, now);
  }

  answered(id: number, now = Date.now()): void {
    if (id !== this.#asked?.id) return;
    this.#asked = null;
    if (this.#waiting) this.#go(true, now);
  }

  #go(pulling: boolean, now: number): void {
    const values = this.#waiting;
    this.#waiting = null;
    if (!values) return;
    const id = this.#next();
    this.#asked = { id, at: now };
    this.#send({ id, values, pulling });
  }
}
